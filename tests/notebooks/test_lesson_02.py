"""Lesson 02: its checks accept every right answer, and name each misconception."""

import json
from collections import OrderedDict

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
    ("2a", {"n": 1, "model_client_cls": f"{'owl'.title()}Client", "model": "owl"}, "right"),
    ("2a", OrderedDict(OWL), "right"),
    ("2a", {**OWL, "n": 2, "tags": ["wise"]}, "right"),
    ("2a", json.loads(json.dumps(OWL)), "right"),
    ("2a", [OWL], "an entry is a dict"),
    ("2a", json.dumps(OWL), "an entry is a dict"),
    ("2a", {**OWL, "model_client_cls": OwlClient(OWL)}, "an object of the class"),
    ("2a", {**OWL, "model_client_cls": ["OwlClient"]}, 'is called "OwlClient"'),
    ("2a", {**OWL, "model_client_cls": " OwlClient"}, "letter by letter"),
    ("2a", {**OWL, "model_client_cls": "class OwlClient"}, 'is called "OwlClient"'),
    ("2a", {**OWL, "model_client_cls": "..."}, 'is called "OwlClient"'),
    ("2a", {"model": "OwlClient", "model_client_cls": "owl"}, 'still be "owl"'),
    ("2a", None, "not started"),
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
    ("2b", json.dumps(json.loads(VALID.replace("1.5", "0.5"))), "right"),
    ("2b", VALID.replace("1.5", '0.5, "tags": []'), "right"),
    ("2b", BOTH.replace('"owl"', '"owl", "temperature": 1.0'), "right"),
    ("2b", VALID.replace("1.5", "0.5,"), "a comma before the closing bracket"),
    ("2b", VALID.replace("1.5", "0.5").replace("},", "}"), "a comma is missing"),
    ("2b", VALID.replace("1.5", ".5"), "0.5, not .5"),
    ("2b", VALID.replace("1.5", "0,5"), "a decimal comma"),
    ("2b", VALID.replace("1.5", '"0.5"'), "as a number without quotes"),
    ("2b", VALID.replace("1.5", "true"), "as a number without quotes"),
    ("2b", VALID.replace("1.5", "-1"), "greater than or equal to 0"),
    ("2b", VALID.replace("1.5", "0.5").replace("temperature", "Temperature"), 'still have a "temperature"'),
    ("2b", VALID.replace("1.5", "0.5  # was 1.5"), "a comment. JSON has none"),
    ("2b", VALID.replace("[", "{").replace("]", "}"), "an object right inside another"),
    ("2b", f"config_list = {VALID}", "this is Python, not JSON"),
    ("2b", VALID.replace('"owl"', "“owl”"), "a curly quote"),
    ("2b", VALID[:-1], "ends too early"),
    ("2b", "", "empty"),
    ("2b", BOTH, "should still have a"),
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
    ("2c", [dict(**LLAMA, temperature=0.5), dict(**SPARROW)], "right"),
    ("2c", [LLAMA, {**SPARROW, "tags": ("small",)}], "right"),
    ("2c", [{**LLAMA, "params": {"max_length": 50, "top_k": 1}}, SPARROW], "right"),
    ("2c", json.loads(json.dumps([LLAMA, SPARROW])), "right"),
    ("2c", json.dumps([LLAMA, SPARROW]), "write the list itself"),
    ("2c", [[LLAMA, SPARROW]], "a list of dicts"),
    ("2c", {"first": LLAMA, "second": SPARROW}, "put them in a list"),
    ("2c", [LLAMA, SPARROW, SPARROW], "it has 3"),
    ("2c", [{**LLAMA, "device": "CPU"}, SPARROW], "`device` should be 'cpu', it is 'CPU'"),
    ("2c", [{**LLAMA, "params": 50}, SPARROW], "entry 0: `params` should be {'max_length': 50}, it is 50"),
    ("2c", [LLAMA, {**SPARROW, "tags": ["Small"]}], "that holds 'small', it is ['Small']"),
    ("2c", [LLAMA, {**SPARROW, "tags": {"small"}}], "`tags` should be a list"),
    ("2c", [LLAMA, {**SPARROW, "model": ""}], "entry 1, 'model': empty"),
    ("2c", ..., "not started"),
    ("2c", LLAMA, "that is one entry"),
    ("2c", [LLAMA], "it has 1"),
    ("2c", "my-llama", "that is a text"),
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
    ("2d", "a builder", "hand over the form itself"),
    ("2d", [LLAMA, SPARROW], "hand over the form itself"),
    ("2d", ConfigListBuilder, "hand over the form itself"),
    ("2d", None, "not started"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


PARROT = {"model": "parrot", "model_client_cls": "DummyModelClient", "tags": ["small"]}
DUMMY, LOCAL = "Dummy (no model)", "Local Hugging Face model"


def added(preset=DUMMY, **fields):
    """What a learner does: add an entry and change fields of it."""

    def steps(editor):
        editor.add(preset)
        editor.set(**fields)

    return steps


def changed(index, **fields):
    """What a learner does: select an entry and change fields of it."""

    def steps(editor):
        editor.select(index)
        editor.set(**fields)

    return steps


def removed(index):
    def steps(editor):
        editor.select(index)
        editor.remove()

    return steps


RENAMED = changed(0, model="canary", n=2)
FORMS = [
    ([], "not started"),
    ([changed(0, n=2)], "not started"),
    ([added()], "still called dummy"),
    ([added(n=2)], "still called dummy"),
    ([added(model="canary")], "`Choices (n)` should be 2, it is None"),
    ([added(model="canary", n=3)], "should be 2, it is 3"),
    ([added(model="canary", n="2")], "should be 2, it is '2'"),
    ([added(model="Canary", n=2)], "There are ['parrot', 'Canary']"),
    ([added(model="canari", n=2)], "letter by letter"),
    ([added(model="canary", n=2, temperature=1.5)], "'temperature': 1.5 is not allowed"),
    ([added(model="canary", n=2), changed(0, temperature=1.5)], "entry 0, 'temperature'"),
    ([added(LOCAL, model="canary", n=2)], "answered by the class DummyModelClient"),
    ([added("OpenAI", model="canary", n=2)], "answered by the class DummyModelClient"),
    ([RENAMED], "canary is parrot, renamed. Name it parrot again"),
    ([RENAMED, added()], "canary is parrot, renamed: rename the new entry"),
    ([added(model="canary"), changed(0, n=2)], "`Choices (n)` should be 2, it is None"),
    ([added(model="canary", n=2)], "right"),
    ([added(model="canary", n=2, temperature=0.5)], "right"),
    ([added(), changed(1, n=2), changed(1, model="canary")], "right"),
    ([RENAMED, added(), changed(0, model="parrot"), changed(1, model="canary", n=2)], "right"),
    ([changed(0, model="polly"), added(model="canary", n=2)], "right"),
    ([added(model="canary"), added(model="canary", n=2)], "right"),
    ([added(model="canary", n=2), removed(0)], "right"),
]


@pytest.mark.parametrize(("steps", "expected"), FORMS)
def test_2d_follows_what_is_in_the_form(check_says, folder, steps, expected):
    save_config_list([PARROT], "OAI_CONFIG_LIST")
    builder = ConfigListBuilder()
    for step in steps:
        step(builder.editor)
    check_says("2d", builder, expected)
