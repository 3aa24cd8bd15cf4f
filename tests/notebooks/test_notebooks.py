"""What holds for every lesson, beside nbval running it and comparing its outputs."""

import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
NOTEBOOKS = [path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts]
GUIDES = [ROOT / "notebooks" / "GLOSSARY.md", ROOT / "notebooks" / "INSTRUCTOR.md"]
LESSONS = [path for path in NOTEBOOKS if path.parent.name == "notebooks" and path.name[0].isdigit()]


def read(path):
    return nbformat.read(path, as_version=4)


def text_of(path):
    """Return the text of a notebook without its code, or that of a page."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def anchors(text):
    """Return the anchors of the headings, as GitHub and JupyterLab make them."""
    headings = re.findall(r"^#+ (.+)", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def name(path):
    return str(path.relative_to(ROOT / "notebooks"))


def test_the_lessons_and_their_solutions_are_found():
    assert len(LESSONS) >= 5
    solutions = {path.name for path in NOTEBOOKS if path.parent.name == "solutions"}
    assert solutions == {path.name for path in LESSONS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_every_cell_was_run_from_top_to_bottom_before_it_was_committed(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_no_output_holds_a_path_of_a_machine_a_traceback_or_a_widget_without_its_kernel(path):
    outputs = json.dumps([cell.outputs for cell in code_cells(path)])
    assert not re.search(r"/home/|/root/|/tmp/|/usr/|/work/|C:\\\\|site-packages", outputs)
    assert "Traceback (most recent call last)" not in outputs
    assert "widget-view" not in outputs
    assert "%|" not in outputs  # half a progress bar
    assert "widgets" not in read(path).metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_cell_that_is_not_compared_says_why_and_a_cell_after_it_checks_what_matters(path):
    cells = code_cells(path)
    for index, cell in enumerate(cells):
        assert "NBVAL" not in cell.source, "use tags: a learner should not see test instructions"
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            assert len(cell.metadata.get("why_not_compared", "")) > 20, cell.source
            later = [
                after
                for after in cells[index + 1 :]
                if "nbval-ignore-output" not in after.metadata.get("tags", [])
            ]
            assert any("assert " in after.source or after.outputs for after in later), cell.source


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_a_lesson_says_what_one_can_do_after_it_and_how_long_it_takes(path):
    text = text_of(path)
    assert re.search(r"\*[^\n]*\b\d+ minutes", text)
    assert "you can**" in text and "**Key points**" in text
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    assert len(re.findall(r"^# ", prose, re.M)) == 1, "one title a lesson"


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_each_exercise_has_a_stub_a_check_a_hint_and_a_solution_that_passes(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    numbers = re.findall(r"^## Exercise (\w+):", text, re.M)
    assert len(numbers) >= 2
    assert text.count("<summary>Hint") >= len(numbers)
    solved = json.dumps(read(path.parent / "solutions" / path.name), ensure_ascii=False)
    for number in numbers:
        assert f"check_{number}(" in text
        assert f"✔ {number}: right!" in solved


@pytest.mark.parametrize("path", [*GUIDES, *NOTEBOOKS], ids=name)
def test_links_to_files_of_the_kit_and_to_headings_lead_somewhere(path):
    links = re.findall(r"\]\((?!http)([^)]+)\)", text_of(path))
    assert links or path not in GUIDES
    for link in links:
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(text_of(target)), link


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_agents_never_execute_code(path):
    for cell in code_cells(path):
        for call in re.findall(r"UserProxyAgent\(.*?\n\)", cell.source, re.S):
            assert "code_execution_config=False" in call


@pytest.mark.parametrize("place", ["README.md", "notebooks/00_start_here.ipynb"])
def test_the_maps_list_every_lesson_with_the_minutes_of_its_header(place):
    text = (ROOT / place).read_text(encoding="utf-8")
    listed = dict(re.findall(r"(\d\d_\w+)\.ipynb\)\s*\|[^|\n]*\|\s*(\d+)\b", text))
    headers = {path.stem: re.search(r"(\d+) minutes", read(path).cells[0].source)[1] for path in LESSONS}
    if "README" not in place:
        headers.pop("00_start_here")
    assert listed == headers
