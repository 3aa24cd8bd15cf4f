"""The slides of every lesson: what is on them and in the notes. Whether all of it fits: browser/."""

import re
from copy import copy
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
    """Return what each slide says, on one line; `|` is where it waits for a key, and notes follow `//`."""
    page = slides_of(notebook)
    for mark, selector in ("|", "div.fragment"), ("//", "aside.notes"):
        for part in page.select(selector):
            part.insert_before(mark)
    for prompt in page.select(".jp-InputPrompt, .jp-OutputPrompt"):
        prompt.decompose()
    found = page.select(".slides > section > section")
    return [" ".join(slide.get_text(" ").replace("¶", "").split()) for slide in found]


def plain(text):
    """Return the words of a text, without its marks."""
    return re.sub(r"[\W_]+", "", re.sub(r"\]\([^)]*\)", "", text))


@each_lesson
def test_a_slide_has_at_most_forty_words_and_twelve_lines_of_code(lesson):
    for slide in slides(lesson).select(".slides > section > section"):
        shown = copy(slide)
        for part in shown.select("aside, table, .jp-OutputArea, .anchor-link"):
            part.decompose()
        assert slide.get_text(strip=True)
        for code in shown.select("pre"):
            assert len(code.extract().get_text().rstrip().splitlines()) <= 12
        said = shown.get_text(" ", strip=True)
        assert len(shown.get_text().replace("¶", "").split()) <= 40, said


@each_lesson
def test_the_notes_hold_the_whole_prose(lesson):
    notes = plain(" ".join(note.get_text() for note in slides(lesson).select("aside.notes")))
    cells = nbformat.read(lesson, as_version=4).cells
    topics = [number for number, cell in enumerate(cells) if cell.source.startswith("## ")]
    for cell in [cells[0], *cells[topics[0] :]]:
        source = re.sub(r"<details>.*?</details>|^```.*?^```", "", cell.source, flags=re.S | re.M)
        for part in re.split(r"\n\s*\n", source) if cell.cell_type == "markdown" else ():
            part = part.strip()
            alone = len(cell.source) < 120 or re.match(r"(Next|Solutions?)\b", part)
            if part and part[0] not in "#|!" and not re.fullmatch(r"\*\*[^*]+\*\*", part) and not alone:
                items = re.split(r"^(?:[-*]|\d+\.) ", part, flags=re.M)  # a list may go on below
                assert all(plain(item) in notes for item in items), part


@each_lesson
def test_a_question_and_its_choices_are_whole(lesson):
    shown = copy(slides(lesson).select_one(".slides"))
    for note in shown.select("aside"):
        note.decompose()
    text = plain(shown.get_text().replace("¶", ""))
    for cell in nbformat.read(lesson, as_version=4).cells:
        if cell.cell_type == "markdown" and re.search(r"^(?!- ).*\*\*Predict", cell.source, re.M):
            asked = cell.source[cell.source.index("**Predict") :]
            choices = re.findall(r"^- \*\*\w\*\* .*", asked, re.M)
            assert plain(asked.split("\n\n")[0]) in text
            assert plain("".join(choices)) in text


@each_lesson
def test_objectives_are_on_one_slide_and_key_points_on_two_at_most(lesson):
    titles = [slide.find(["h1", "h2"]) for slide in slides(lesson).select(".slides > section > section")]
    titles = [title.get_text().strip("¶") for title in titles if title]
    assert titles.count("After this lesson you can") == 1
    assert 1 <= titles.count("Key points") <= 2


@each_lesson
def test_a_diagram_is_on_a_slide_with_its_heading_and_little_else(lesson):
    for image in slides(lesson).select(".slides .jp-MarkdownCell img"):
        slide = image.find_parent("section")
        assert slide.find(["h1", "h2"]) and not slide.select("pre, table")


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


def test_an_outcome_waits_and_the_text_that_explains_it_is_the_next_slide():
    shown = outline(
        notebook(
            "## Topic\n\n**Predict:** what?\n\n- **a** one\n- **b** two\n\nWrite it down:",
            ("guess = ...", ""),
            "We run it:",
            ("x", "two"),
            "Your guess, against what happened:",
            ("from checks import predicted_1_topic\n\npredicted_1_topic(guess)", "○"),
            "It is two.",
        )
    )
    assert shown[1:] == [
        "Topic Predict: what? a one b two // Predict: what? a one b two Write it down:",
        "Topic We run it: x // We run it: | two",
        "Topic It is two. // It is two.",
    ]


def test_of_a_long_text_the_first_the_bold_and_the_leading_sentence_are_shown():
    first, other = "The first sentence (an aside) says it.", "Another one is for readers. " * 3
    shown = outline(
        notebook(f"## Topic\n\n{first} {other}**This one is important**. {other}Look:", ("x", ""))
    )
    said, notes = shown[1].split(" // ")
    assert said == "Topic The first sentence says it. This one is important . Look: x"
    assert notes.startswith("The first sentence (an aside) says it. Another one")


def test_a_sentence_that_is_too_long_is_cut_after_a_clause():
    long = "It goes on, " + "as a sentence may " * 6 + "and there is no end to it, " + "none at all " * 9
    said = outline(notebook(f"## Topic\n\n{long}."))[1].split(" // ")[0]
    assert said.endswith("…") and 4 < len(said.split()) <= 40


def test_a_question_that_is_too_long_comes_before_its_choices():
    asked = "**Predict:** " + "this is a long story. " * 5 + "What happens?"
    choices = "- **a** " + "nothing at all " * 3 + "\n- **b** " + "all of it " * 3
    shown = [slide.split(" // ")[0] for slide in outline(notebook(f"## Topic\n\n{asked}\n\n{choices}"))]
    assert shown[1].startswith("Topic Predict: this") and shown[1].endswith("What happens?")
    assert shown[2].startswith("Topic What happens? a nothing")


def test_long_code_is_cut_before_a_statement_and_the_notes_have_all_of_it():
    body = "\n".join(f"    value_{number} = (\n        {number}\n    )" for number in range(6))
    said, notes = outline(notebook("## Topic", (f"import json\n\n\ndef made():\n{body}", "")))[1].split(
        " // "
    )
    assert said.startswith("Topic def made") and said.endswith("value_2 = ( 2 ) # … (in the notebook)")
    assert "import json" in notes and "value_5" in notes


def test_long_output_is_cut_and_a_large_table_is_in_the_notes():
    output = "\n".join(f"line {number}" for number in range(40))
    table = "| a | b |\n| --- | --- |\n" + "| cell | cell |\n" * 9
    shown = outline(notebook("## Topic", ("x", output), f"A table:\n\n{table}"))
    assert "line 10 … (in the notebook)" in " ".join(shown[1:3]) and "line 11" not in " ".join(shown)
    assert shown[-1].startswith("Topic A table: // A table: a b cell")


def test_hints_housekeeping_and_what_is_marked_skip_are_left_out():
    hint = "<details><summary>Hint 1</summary>\n\nLook.\n</details>\n\nSolution: [1](solutions/1.ipynb)."
    stub = ("answer = ...", ""), ("from checks import check_1a\n\ncheck_1a(answer)", "○")
    end = "## In your own project\n\nCopy.\n\n**Key points**\n\n- One.\n\nNext: [2](2.ipynb)."
    made = notebook(
        "Housekeeping:", ("import os", ""), "## Exercise 1a: do it\n\nSo.", *stub, hint, end, "Two."
    )
    made.cells[-1].metadata["slideshow"] = {"slide_type": "skip"}
    assert [slide.split(" // ")[0] for slide in outline(made)[1:]] == [
        "Exercise 1a: do it So. answer = ...",
        "In your own project Copy.",
        "Key points One.",
    ]
