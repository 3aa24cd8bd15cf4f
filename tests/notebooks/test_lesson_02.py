"""Lesson 02: its checks accept every right answer, and name each misconception."""

import json

import pytest

from kit import ConfigListBuilder, DummyModelClient, save_config_list


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
VALID = f"[{STUB}]".replace("'", '"')
LLAMA = {
    "model": "my-llama",
    "model_client_cls": "MyModelClient",
    "device": "cpu",
    "params": {"max_length": 50},
}
SPARROW = {"model": "sparrow", "model_client_cls": "DummyModelClient", "tags": ["small"]}

ANSWERS = [
    ("2a", OWL, "right"),
    ("2a", {**OWL, "model_client_cls": OwlClient.__name__}, "right"),
    ("2a", {**OWL, "model_client_cls": OwlClient}, "the class itself, which no file can hold"),
    ("2a", {**OWL, "model_client_cls": "owlclient"}, "letter by letter"),
    ("2a", {**OWL, "model_client_cls": "OwlClient()"}, "letter by letter"),
    ("2a", {**OWL, "model_client_cls": "owl"}, "the name of the model"),
    ("2a", {**OWL, "model_client_cls": "DummyModelClient"}, 'is called "OwlClient"'),
    ("2a", {**OWL, "model_client_cls": None}, 'is called "OwlClient"'),
    ("2a", {**OWL, "model": "parrot"}, 'still be "owl"'),
    ("2a", {"model": "owl", "model_client": "OwlClient"}, 'the field is called "model_client_cls"'),
    ("2a", "OwlClient", "an entry is a dict"),
    ("2a", {"model": "owl", "model_client_cls": ...}, "not started"),
    ("2b", VALID.replace("1.5", "1"), "right"),
    ("2b", VALID.replace("1.5", "0"), "right"),
    ("2b", BOTH, "should still have a temperature"),
    ("2b", f"[{STUB}]", "JSON"),
    ("2b", STUB.replace("'", '"'), "[ ]"),
    ("2b", VALID, "'temperature': 1.5 is not allowed"),
    ("2b", "[{'model': 'parrot'}]", "Python, not JSON"),
    ("2b", BOTH.replace("owl", "crow"), "parrot, then owl"),
    ("2b", BOTH.replace("DummyModelClient", "gpt", 1), "DummyModelClient"),
    ("2b", "{{}}, {{}}", "an object right inside another"),
    ("2b", '[{"model": "parrot"}], [{"model": "owl"}]', "one [ ] around all entries"),
    ("2b", json.loads(BOTH), "keep it a text"),
    ("2b", STUB, "not started"),
    ("2c", [LLAMA, SPARROW], "right"),
    ("2c", (LLAMA, SPARROW), "makes a tuple"),
    ("2c", [{**LLAMA, "n": 1}, {**SPARROW, "model": "my-llama", "tags": ["quick", "small"]}], "right"),
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
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


def test_2d_follows_what_is_in_the_form(check_says, folder):
    builder = ConfigListBuilder()
    check_says("2d", builder, "not started")
    builder.editor.add("Dummy (no model)")
    check_says("2d", builder, "still called dummy")
    builder.editor.set(model="canary", temperature=1.5)
    check_says("2d", builder, "`Choices (n)` should be 2, it is None")
    builder.editor.set(n=2)
    check_says("2d", builder, "'temperature': 1.5 is not allowed")
    builder.editor.set(temperature=0.5)
    check_says("2d", builder, "right")


def test_2d_tells_an_entry_that_was_renamed_from_one_that_was_added(check_says, folder):
    parrot = {"model": "parrot", "model_client_cls": "DummyModelClient", "tags": ["small"]}
    save_config_list([parrot], "OAI_CONFIG_LIST")
    builder = ConfigListBuilder()
    builder.editor.set(model="canary", n=2)
    check_says("2d", builder, "canary is parrot, renamed. Name it parrot again")
    builder.editor.add("Dummy (no model)")
    check_says("2d", builder, "canary is parrot, renamed")
    builder.editor.select(0)
    builder.editor.set(model="parrot")
    builder.editor.select(1)
    builder.editor.set(model="canary", n="2")
    check_says("2d", builder, "should be 2, it is '2'")
    builder.editor.set(n=2)
    check_says("2d", builder, "right")


def test_2d_takes_the_added_entry_though_the_first_one_was_renamed(check_says, folder):
    parrot = {"model": "parrot", "model_client_cls": "DummyModelClient", "tags": ["small"]}
    save_config_list([parrot], "OAI_CONFIG_LIST")
    builder = ConfigListBuilder()
    builder.editor.set(model="polly")
    builder.editor.add("Dummy (no model)")
    builder.editor.set(model="canary", n=2)
    check_says("2d", builder, "right")
