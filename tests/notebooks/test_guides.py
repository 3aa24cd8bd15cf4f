"""The glossary and the instructor's guide say what the lessons say."""

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


def test_the_glossary_explains_in_order_what_the_lessons_that_it_names_use():
    text = text_of(GLOSSARY)
    entries = re.findall(r"^- \*\*(.+?)\*\*: (.+) \[(\w+)\]\((\S+\.ipynb)\)$", text, re.M)
    assert len(entries) == len(re.findall(r"^- ", text, re.M)) > 40
    terms = [term.strip("`").lower() for term, *_ in entries]
    assert terms == sorted(set(terms))
    for term, (_, meaning, number, file) in zip(terms, entries, strict=True):
        assert file.startswith(number), term
        assert term in text_of(NOTEBOOKS / file).lower(), term
        assert meaning.endswith(".") and len(meaning) < 300, term


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
