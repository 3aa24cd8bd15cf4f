"""Lesson 02: its checks accept every right answer, and name each misconception."""

import json
import sys
from pathlib import Path

import pytest

from kit import DummyModelClient

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


class OwlClient(DummyModelClient):
    pass


OWL = {"model": "owl", "model_client_cls": "OwlClient"}
BOTH = json.dumps([{"model": name, "model_client_cls": "DummyModelClient"} for name in ("parrot", "owl")])
STUB = """
{
    "model": "parrot",
    "model_client_cls": 'DummyModelClient',
    "temperature": 1.5
},
{
    "model": "owl",
    "model_client_cls": "DummyModelClient"
}
"""
LLAMA = {
    "model": "my-llama",
    "model_client_cls": "MyModelClient",
    "device": "cpu",
    "params": {"max_length": 50},
}
SPARROW = {"model": "sparrow", "model_client_cls": "DummyModelClient", "tags": ["small"]}


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("2a", OWL),
        ("2a", {**OWL, "model_client_cls": OwlClient.__name__}),
        ("2b", f"[{STUB}]".replace("'", '"').replace("1.5", "1")),
        ("2b", f"[{STUB}]".replace("'", '"').replace("1.5", "0")),
        ("2c", [LLAMA, SPARROW]),
        ("2c", (LLAMA, SPARROW)),
        ("2c", [{**LLAMA, "n": 1}, {**SPARROW, "model": "my-llama", "tags": ["quick", "small"]}]),
    ],
)
def test_a_right_answer_passes_however_it_is_written(capsys, number, right):
    assert verdict(capsys, number, right) == f"✔ {number}: right!\n"


@pytest.mark.parametrize(
    ("number", "wrong", "why"),
    [
        ("2a", {**OWL, "model_client_cls": OwlClient}, "the class itself, which no file can hold"),
        ("2a", {**OWL, "model_client_cls": "owlclient"}, "letter by letter"),
        ("2a", {**OWL, "model_client_cls": "OwlClient()"}, "letter by letter"),
        ("2a", {**OWL, "model_client_cls": "owl"}, "the name of the model"),
        ("2a", {**OWL, "model_client_cls": "DummyModelClient"}, 'is called "OwlClient"'),
        ("2a", {**OWL, "model_client_cls": None}, 'is called "OwlClient"'),
        ("2a", {**OWL, "model": "parrot"}, 'still be "owl"'),
        ("2a", {"model": "owl", "model_client": "OwlClient"}, 'the field is called "model_client_cls"'),
        ("2a", "OwlClient", "an entry is a dict"),
        ("2b", BOTH, "should still have a temperature"),
        ("2b", f"[{STUB}]", "JSON"),
        ("2b", STUB.replace("'", '"'), "[ ]"),
        ("2b", f"[{STUB}]".replace("'", '"'), "'temperature': 1.5 is not allowed"),
        ("2b", "[{'model': 'parrot'}]", "Python, not JSON"),
        ("2b", BOTH.replace("owl", "crow"), "parrot, then owl"),
        ("2b", BOTH.replace("DummyModelClient", "gpt", 1), "DummyModelClient"),
        ("2b", "{{}}, {{}}", "not JSON"),
        ("2b", '[{"model": "parrot"}], [{"model": "owl"}]', "one [ ] around all entries"),
        ("2b", json.loads(BOTH), "keep it a text"),
        ("2c", LLAMA, "that is one entry"),
        ("2c", [LLAMA], "it has 1"),
        ("2c", "my-llama", "a list of dicts"),
        ("2c", [LLAMA, "sparrow"], "a list of dicts"),
        ("2c", [LLAMA, {**SPARROW, "tags": ...}], "still dots in it"),
        ("2c", [{**LLAMA, "max_length": 50}, SPARROW], "one level deeper"),
        ("2c", [{**LLAMA, "params": {"max_length": "50"}}, SPARROW], "entry 0: `params`"),
        ("2c", [{**LLAMA, "params": ["max_length", 50]}, SPARROW], "entry 0: `params`"),
        ("2c", [SPARROW, LLAMA], "entry 0: `model` should be 'my-llama'"),
        ("2c", [{"model": "my-llama", "model_client_cls": "MyModelClient"}, SPARROW], "it is missing"),
        ("2c", [LLAMA, {**SPARROW, "model_client_cls": DummyModelClient}], "entry 1: `model_client_cls`"),
        ("2c", [LLAMA, {**SPARROW, "tags": "small"}], "tags are a list"),
        ("2c", [LLAMA, {**SPARROW, "tags": ["wise"]}], "that holds 'small'"),
        ("2c", [LLAMA, {**SPARROW, "tags": 5}], "entry 1: `tags`"),
        ("2c", [LLAMA, {"model_client_cls": "DummyModelClient", "tags": ["small"]}], "'model'"),
        ("2d", "a builder", "raised AttributeError"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(capsys, number, wrong, why):
    out = verdict(capsys, number, wrong)
    assert out.startswith(f"✘ {number}: ") and why in out


@pytest.mark.parametrize(
    ("number", "stub"),
    [("2a", {"model": "owl", "model_client_cls": ...}), ("2b", STUB), ("2c", ...), ("2d", ...)],
)
def test_an_answer_not_started_is_no_mistake(capsys, number, stub):
    assert verdict(capsys, number, stub).startswith(f"○ {number}: not solved yet")
