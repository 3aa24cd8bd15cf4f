"""The glossary and the instructor's guide say what the lessons say."""

import contextlib
import importlib
import io
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
GLOSSARY, GUIDE = NOTEBOOKS / "GLOSSARY.md", NOTEBOOKS / "INSTRUCTOR.md"
LESSONS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))


@cache
def text_of(path):
    """Return the text of all cells of a notebook, or of a file."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)


def anchors(text):
    """Return the anchors of the headings, as GitHub and JupyterLab make them."""
    headings = re.findall(r"^#+ (.+)", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("guide", [GLOSSARY, GUIDE], ids=lambda path: path.name)
def test_links_lead_somewhere(guide):
    links = re.findall(r"\]\((?!http)([^)]+)\)", text_of(guide))
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = guide.parent / path if path else guide
        assert target.exists(), link
        assert not anchor or anchor in anchors(text_of(target)), link


# --- Glossary


def entries():
    return re.findall(r"^- \*\*(.+?)\*\*: (.+) \[(\w+)\]\((\S+\.ipynb)\)$", text_of(GLOSSARY), re.M)


def test_each_line_of_the_glossary_is_an_entry_and_they_are_in_order():
    terms = [term.strip("`").lower() for term, *_ in entries()]
    assert len(terms) == len(re.findall(r"^- ", text_of(GLOSSARY), re.M)) > 40
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("term, meaning, number, file", entries(), ids=lambda text: text[:20])
def test_a_term_is_used_in_the_lesson_that_it_names(term, meaning, number, file):
    assert file.removesuffix(".ipynb").startswith(number)
    assert term.strip("`").lower() in text_of(NOTEBOOKS / file).lower()
    assert meaning.endswith(".") and len(meaning) < 300


# --- Instructor's guide


def minutes_of(lesson):
    found = re.search(
        r"\*[^\n]*\b(\d+) minutes: (\d+) to read and run, (\d+) for the exercises", text_of(lesson)
    )
    return tuple(map(int, found.groups()))


def test_the_minutes_are_those_of_the_lessons():
    row = r"^\| \[\d\d [^]]+\]\((\S+)\) \| (\d+) \| (\d+) \| (\d+) \|"
    rows = {name: tuple(map(int, numbers)) for name, *numbers in re.findall(row, text_of(GUIDE), re.M)}
    assert rows == {lesson.name: minutes_of(lesson) for lesson in LESSONS}
    assert all(total == read + practise for total, read, practise in rows.values())
    assert f"are {sum(total for total, *_ in rows.values())} minutes" in text_of(GUIDE)


@pytest.mark.parametrize("length", [45, 90, 180])
def test_the_minutes_of_a_plan_add_up(length):
    plan = text_of(GUIDE).split(f"### Plan for {length} minutes")[1].split("\n#")[0]
    rows = re.findall(r"^\| (\d):(\d\d) \| (\d+) \|", plan, re.M)
    clock = 0
    for hours, minutes, takes in rows:
        assert int(hours) * 60 + int(minutes) == clock
        clock += int(takes)
    assert clock == length


def test_files_and_cells_that_the_guide_names_are_there():
    text = text_of(GUIDE)
    for name in re.findall(r"`((?:kit|notebooks|tests)/[\w./-]+)`", text):
        assert name.startswith("notebooks/models/") or (ROOT / name).exists(), name
    for file in re.findall(r"notebooks/slides/[\w.]+|-r (\S+\.txt)", text):
        assert (ROOT / file).exists(), file
    lessons = "\n".join(map(text_of, LESSONS))
    exercises = set(re.findall(r"^## Exercise (\d\w):", lessons, re.M))
    named = set(re.findall(r"\b(\d[a-f])\b", text))
    assert len(named) > 15 and named <= exercises


def test_sections_that_the_plans_name_are_in_their_lessons():
    plans = text_of(GUIDE).split("## Plans")[1].split("\n## ")[0]
    for row in re.findall(r"^\| \d:\d\d \|.*", plans, re.M):
        number = re.search(r"Lesson (\d\d)", row)
        if number is None:
            continue
        lesson = next(NOTEBOOKS.glob(f"{number[1]}_*.ipynb"))
        headings = re.findall(r"^## (.+)", text_of(lesson), re.M)
        for name in re.findall(r"\*([^*]+)\*", row.split("|")[3] + row.split("|")[4]):
            assert any(heading.startswith(name) for heading in headings), (lesson.name, name)


def test_every_prediction_is_there_with_the_right_choice(monkeypatch):
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    rows = dict(re.findall(r"^\| `(predicted_\w+)` \| (\w) \|", text_of(GUIDE), re.M))
    for lesson in LESSONS:
        names = re.findall(r"import (predicted_\w+)", text_of(lesson))
        checks = importlib.import_module(f"checks.lesson_{lesson.name[:2]}")
        for name in names:
            with contextlib.redirect_stdout(io.StringIO()) as said:
                getattr(checks, name)(rows.get(name))
            assert said.getvalue().startswith("✔"), f"{name}: {said.getvalue() or 'missing'}"
            del rows[name]
    assert not rows
