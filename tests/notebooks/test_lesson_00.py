"""Lesson 00: its prediction and checks accept every right answer, and name each misconception."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "order",
    [
        ["class", "config", "register"],
        ("class", "config", "register"),
        ["Class", " config ", "REGISTER"],
        "class, config, register",
    ],
)
def test_0a_takes_the_three_words_in_any_spelling(capsys, order):
    assert verdict(capsys, "0a", order) == "✔ 0a: right!\n"


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (["config", "class", "register"], "the class is step 1, the entry that names it step 2"),
        (["register", "class", "config"], "both must be there before"),
        (["class", "register", "config"], "both must be there before"),
        (["class", "config"], "once"),
        (["class", "config", ...], "once"),
        (["class", "class", "register"], "once"),
        (["class", 1, None], "once"),
        ([], "once"),
        ({"class", "config", "register"}, "write a list of the three words"),
        (5, "write a list of the three words"),
    ],
)
def test_0a_says_what_is_wrong(capsys, order, why):
    out = verdict(capsys, "0a", order)
    assert out.startswith("✘ 0a: ") and why in out


@pytest.mark.parametrize("choice", ["b", "B", " b "])
def test_0b_takes_the_letter(capsys, choice):
    assert verdict(capsys, "0b", choice) == "✔ 0b: right!\n"


@pytest.mark.parametrize(
    ("choice", "why"),
    [("a", "no base class"), ("c", "no custom client is needed"), ("d", "answer with"), (2, "answer with")],
)
def test_0b_explains_each_wrong_choice(capsys, choice, why):
    out = verdict(capsys, "0b", choice)
    assert out.startswith("✘ 0b: ") and why in out


@pytest.mark.parametrize(
    ("number", "answer"),
    [("0a", ...), ("0a", None), ("0a", ["...", "...", "..."]), ("0b", ...), ("0b", None)],
)
def test_an_answer_not_started_is_no_mistake(capsys, number, answer):
    assert verdict(capsys, number, answer).startswith(f"○ {number}: not solved yet")
