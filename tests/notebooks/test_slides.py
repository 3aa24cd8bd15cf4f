"""The slides of every lesson: what is on them and in which order. Whether all of it fits: browser/."""

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters import SlidesExporter
from traitlets.config import PyFileConfigLoader

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


@cache
def config():
    return PyFileConfigLoader("config.py", ROOT / "notebooks" / "slides").load_config()


def slides_of(notebook):
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}  # where its images are
    html, _ = SlidesExporter(config=config()).from_notebook_node(notebook, resources)
    return BeautifulSoup(html, "html.parser")


@cache
def slides(lesson):
    return slides_of(nbformat.read(lesson, as_version=4))


def notebook(*cells):
    """Return a notebook of texts (str) and code cells ((source, output))."""
    title = nbformat.v4.new_markdown_cell("# A lesson\n\n*5 minutes*")
    made = [title]
    for cell in cells:
        if isinstance(cell, str):
            made.append(nbformat.v4.new_markdown_cell(cell))
        else:
            source, text = cell
            output = nbformat.v4.new_output("stream", text=text)
            made.append(nbformat.v4.new_code_cell(source, outputs=[output] if text else []))
    return nbformat.v4.new_notebook(cells=made)


def outline(notebook):
    """Return what each slide says, on one line; `|` stands where it waits for a key."""
    page = slides_of(notebook)
    for waits in page.select("div.fragment, .celltag_predicted .jp-Cell-outputWrapper"):
        waits.insert_before("|")
    for prompt in page.select(".jp-InputPrompt, .jp-OutputPrompt"):
        prompt.decompose()
    return [
        [" ".join(slide.get_text(" ").replace("¶", "").split()) for slide in stack.find_all("section")]
        for stack in page.select(".slides > section")
    ]


@each_lesson
def test_each_heading_begins_a_slide_and_no_slide_is_empty(lesson):
    cells = nbformat.read(lesson, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|<details>.*?</details>", "", text, flags=re.S)
    stacks = slides(lesson).select(".slides > section")
    titles = [stack.section.find(["h1", "h2", "strong"]).get_text().strip("¶") for stack in stacks]
    wanted = [re.sub(r"[`*\\]", "", line) for line in re.findall(r"^##? (.+)", text, re.M)]
    assert [title for title in titles if title != "Key points"] == wanted
    for slide in slides(lesson).select(".slides > section > section"):
        assert slide.get_text(strip=True)


@each_lesson
def test_what_a_learner_does_alone_is_not_on_the_slides(lesson):
    folds = slides(lesson).select("details")
    assert all(fold.find_parent(class_="kit-report") for fold in folds)  # hints are gone, reports may fold
    text = slides(lesson).select_one(".slides").get_text()
    assert not re.search(r"^Solutions?:|\bcheck_\d|predicted_\d|^guess\w* = ", text, re.M)
    cells = nbformat.read(lesson, as_version=4).cells
    for number in re.findall(r"^## (Exercise \w+:)", "\n".join(cell.source for cell in cells), re.M):
        assert number in text


@each_lesson
def test_the_file_fetches_nothing(lesson):
    page = slides(lesson)
    assert page.title.text and page.html["lang"] == "en"
    assert not page.select("link, script[src], iframe")
    assert all(image["src"].startswith("data:") for image in page.select("img"))
    assert not re.search(r"@import|url\((?!data:)", "".join(style.text for style in page.select("style")))


def test_the_outcome_of_a_prediction_waits_and_so_does_its_explanation():
    shown = outline(
        notebook(
            "## Topic\n\n**Predict:** what?\n\n- **a** one\n- **b** two",
            ("guess = ...", ""),
            "We run it:",
            ("x", "two"),
            "Your guess, against what happened:",
            ("from checks import predicted_1_topic\n\npredicted_1_topic(guess)", "○"),
            "It is two. Once more:",
            ("y", "three"),
        )
    )
    assert shown == [
        ["A lesson 5 minutes"],
        ["Topic Predict: what? a one b two We run it: x | two | It is two. Once more: y three"],
    ]


def test_what_does_not_fit_goes_on_the_slide_below_and_a_text_stays_with_its_code():
    long = "\n".join(f"line_{number} = {number}" for number in range(12))
    shown = outline(notebook("## Topic", ("first()", ""), "This:", (long, ""), "And that:", (long, "")))
    assert [slide.split()[0] for slide in shown[1]] == ["Topic", "And"]


def test_hints_and_solutions_are_left_out_and_key_points_stay_with_the_end():
    hint = "<details><summary>Hint 1</summary>\n\nLook.\n</details>\n\nSolution: [1](solutions/1.ipynb)."
    stub = ("answer = ...", ""), ("from checks import check_1a\n\ncheck_1a(answer)", "○")
    end = "## In your own project\n\nCopy.\n\n**Key points**\n\n- One."
    shown = outline(notebook("## Exercise 1a: do it\n\nSo.", *stub, hint, end))
    assert shown[1:] == [
        ["Exercise 1a: do it So. answer = ..."],
        ["In your own project Copy. Key points One."],
    ]


def test_a_slide_type_in_the_notebook_is_kept():
    made = notebook("## Topic", "One.", "Two.")
    made.cells[2].metadata["slideshow"] = {"slide_type": "skip"}
    made.cells[3].metadata["slideshow"] = {"slide_type": "subslide"}
    assert outline(made)[1] == ["Topic", "Two."]
