"""The glossary and the instructor's guide say what the lessons say."""

import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
GLOSSARY, GUIDE = NOTEBOOKS / "GLOSSARY.md", NOTEBOOKS / "INSTRUCTOR.md"
HANDOUT, FEEDBACK, README = NOTEBOOKS / "HANDOUT.md", NOTEBOOKS / "FEEDBACK.md", ROOT / "README.md"
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
        what, late = row.split("|")[3:5]
        for name in re.findall(r"\*([^*]+)\*", what + late.replace("**", "")):
            assert any(heading.startswith(name) for heading in headings), (lesson.name, name)


def test_the_plan_for_90_minutes_keeps_ten_in_hand_and_says_what_to_cut():
    plan = text_of(GUIDE).split("### Plan for 90 minutes")[1].split("\n#")[0]
    *rows, last = re.findall(r"^\| \d:\d\d \|.*", plan, re.M)
    assert last.startswith("| 1:20 | 10 | In hand")
    assert any("if you are here at 0:40, cut" in row for row in rows)


def test_what_the_machine_says_is_quoted_as_it_says_it():
    sources = [*(ROOT / "kit").rglob("*.py"), *(NOTEBOOKS / "checks").glob("*.py")]
    said = "\n".join(map(text_of, sources))
    for words in ("The kit needs Python 3.11 to 3.15; this is", "Set-up stopped:", "Can't set up from"):
        assert words in text_of(GUIDE) and words in said, words


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the hub runs on Linux, which has openssl")
def test_the_commands_for_a_certificate_make_one(tmp_path):
    commands = re.findall(r"^openssl .*", text_of(GUIDE), re.M)
    shown = [
        subprocess.check_output(shlex.split(command), cwd=tmp_path, stderr=subprocess.DEVNULL, text=True)
        for command in commands
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class.crt", "class.key"]
    assert re.fullmatch(r"sha256 Fingerprint=([\dA-F]{2}:){31}[\dA-F]{2}\n", shown[1], re.I)
    names = ["openssl", "x509", "-in", "class.crt", "-noout", "-ext", "subjectAltName"]
    found = subprocess.check_output(names, cwd=tmp_path, text=True)
    address = re.search(r"https://([\d.]+):8100", text_of(GUIDE))[1]
    assert f"IP Address:{address}" in found and "DNS:NAME" in found


# --- What is printed, and README


def test_the_handout_is_one_page_and_its_program_runs_and_its_class_passes_the_check():
    text = text_of(HANDOUT)
    assert len(text.splitlines()) < 60
    (program,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    program += "\nfrom kit import check_model_client\nprint(check_model_client(MyModelClient))\n"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert "You said: Hello!" in run.stdout
    assert "✔" in run.stdout and "✘" not in run.stdout, run.stdout


@pytest.mark.parametrize("path", [README, HANDOUT, FEEDBACK], ids=lambda path: path.stem)
def test_links_of_what_is_printed_and_of_the_readme_lead_somewhere(path):
    for link in re.findall(r"\]\((?!http)([^)]+)\)", text_of(path)):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        headings = re.findall(r"^#+ (.+)", text_of(target), re.M) if anchor else []
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, link


def test_the_size_of_the_set_up_is_the_same_everywhere():
    for path in (README, GUIDE):
        assert re.search(r"0\.4 GB", text_of(path)) and re.search(r"\b2 GB of disk", text_of(path)), path
    assert "about 2 GB" in text_of(ROOT / "kit" / "environment.py")
