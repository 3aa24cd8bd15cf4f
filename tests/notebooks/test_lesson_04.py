"""Lesson 04: its predictions, and the checks that need no model; tests/test_checks.py asks the real one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402

ENTRY = {"model": "anything", "model_client_cls": "HuggingFaceModelClient"}


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("order", ["BEADC", list("beadc"), ("B", "E", "A", "D", "C")])
def test_4a_takes_the_order_in_any_spelling(capsys, order):
    assert verdict(capsys, "4a", order) == "✔ 4a: right!\n"


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("EBADC", "the messages become one text (B) before"),
        ("ABEDC", "it needs the tokens (E)"),
        ("BEDAC", "D comes too early"),
        ("BECAD", "C comes too early"),
        ("BEACD", "cut it off (D) while it still is tokens"),
        ("BEA", "each of the letters"),
        (4, "each of the letters"),
    ],
)
def test_4a_says_what_comes_too_early(capsys, order, why):
    assert why in verdict(capsys, "4a", order)


@pytest.mark.parametrize("number", ["4b", "4c"])
@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({**ENTRY, "params": 10}, "`params` is a dict inside the entry, not 10"),
        ([ENTRY], "an entry is a dict"),
        ({**ENTRY, "model_client_cls": "MyClient"}, "still name the class HuggingFaceModelClient"),
        ({**ENTRY, "temperature": 1.5}, "1.5 is not allowed"),
    ],
)
def test_an_entry_is_looked_at_before_a_model_is_loaded(capsys, number, entry, why):
    out = verdict(capsys, number, entry)
    assert out.startswith(f"✘ {number}: ") and why in out


def test_4c_says_where_n_belongs(capsys):
    entry = {**ENTRY, "params": {"n": 3, "temperature": 0.9}}
    assert "beside `params`" in verdict(capsys, "4c", entry)


def test_4d_wants_a_function(capsys):
    assert "def with_time(chat, now)" in verdict(capsys, "4d", "12 o'clock")


@pytest.mark.parametrize(
    ("with_time", "why"),
    [
        (lambda chat, now: None, "`with_time` returns nothing"),
        (lambda chat, now: chat, "messages without that text"),
        (lambda chat, now: chat.append({"role": "user", "content": now}) or chat, "make a new list"),
        (lambda chat, now: [{**chat[-1], "content": chat[-1]["content"] + now}], "got lost"),
    ],
)
def test_4d_looks_at_the_messages_before_a_model_is_loaded(capsys, with_time, why):
    assert why in verdict(capsys, "4d", with_time)


@pytest.mark.parametrize(
    ("number", "stub"),
    [
        ("4a", ...),
        ("4b", {**ENTRY, "params": ...}),
        ("4b", ...),
        ("4c", ...),
        ("4d", lambda *_: ...),
        ("4d", ...),
    ],
)
def test_a_stub_is_no_mistake(capsys, number, stub):
    assert verdict(capsys, number, stub).startswith(f"○ {number}: not solved yet")
