"""Lesson 00: its checks accept every right answer, and name each misconception."""

import importlib.metadata

import checks
import pytest

ANSWERS = [
    ("0a", ["class", "config", "register"], "right"),
    ("0a", ("class", "config", "register"), "right"),
    ("0a", ["Class", " config ", "REGISTER"], "right"),
    ("0a", "class, config, register", "right"),
    ("0a", ["class, config, register"], "right"),
    ("0a", "class -> config -> register", "right"),
    ("0a", ["config", "class", "register"], "the class is step 1, the entry that names it step 2"),
    ("0a", ["register", "class", "config"], "both must be there before"),
    ("0a", ["class", "register", "config"], "both must be there before"),
    ("0a", ["class", "config"], "once"),
    ("0a", ["class", "config", ...], "once"),
    ("0a", ["class", "class", "register"], "once"),
    ("0a", ["class", 1, None], "once"),
    ("0a", [], "once"),
    ("0a", {"class", "config", "register"}, "a set { } has no order"),
    ("0a", {1: "class", 2: "config", 3: "register"}, "write a list of the three words"),
    ("0a", 5, "write a list of the three words"),
    ("0a", lambda: ["class", "config", "register"], "write a list of the three words"),
    ("0a", [1, 2, 3], "once"),
    ("0a", [["class"], ["config"], ["register"]], "once"),
    ("0a", ["MyModelClient", "config", "register"], "once"),
    ("0a", ["class", "config entry", "register"], "once"),
    ("0a", ["class", "config", "register", "chat"], "once"),
    ("0a", "classconfigregister", "once"),
    ("0a", ["class", "...", "..."], "once"),
    ("0a", ["...", "...", "..."], "not started"),
    ("0a", None, "not started"),
    ("0b", "b", "right"),
    ("0b", "B", "right"),
    ("0b", " b ", "right"),
    ("0b", "b)", "right"),
    ("0b", "(b)", "right"),
    ("0b", ["b"], "right"),
    ("0b", "a", "no base class"),
    ("0b", "c", "no custom client is needed"),
    ("0b", "A.", "no base class"),
    ("0b", " C ", "no custom client is needed"),
    ("0b", "d", "answer with"),
    ("0b", 2, "answer with"),
    ("0b", "", "answer with"),
    ("0b", "a or b", "answer with"),
    ("0b", ["a", "b"], "answer with"),
    ("0b", "a class with four methods", "answer with"),
    ("0b", "create", "answer with"),
    ("0b", object, "answer with"),
    ("0b", print, "answer with"),
    ("0b", None, "not started"),
    ("0b", ..., "not started"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


def test_the_machine_is_checked_line_by_line(capsys, monkeypatch):
    checks.check_machine()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and all(line.startswith("✔ ") for line in lines)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.1")
    checks.check_machine()
    fix = "found 0.1: close this and run the README's Start command again"
    assert f"✘ autogen 0.14.1: {fix}" in capsys.readouterr().out
