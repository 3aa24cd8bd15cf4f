"""A text that is no config list is named for what it is, with the place and what to do."""

import json

import pytest

from kit.config_list.lists import ConfigListError, parse_config_list
from kit.config_list.repair import repair

A, B = '{"model": "a", "model_client_cls": "C"}', '{"model": "b", "model_client_cls": "C"}'
CALLS = "this is Python, and JSON can't call anything. Write the values themselves, a key as"
YAML = "this is YAML, not JSON. Write one object for each model"
TOML = "this is TOML, not JSON"
LINES = "these are lines of NAME=value, as in a .env file, not JSON"
LITELLM = "LiteLLM's settings"

# A text, what its message says, and how many entries `repair` finds in it.
TEXTS = [
    # Python
    (f"config_list = [{A}]", "line 1, column 1: this is Python, not JSON.", 1),
    (f"import os\n\nconfig_list = [{A}]", "this is Python", 1),
    ('[{"model": "a", "api_key": os.getenv("X_KEY")}]', f'line 1, column 28: {CALLS} "${{X_KEY}}"', 1),
    ('config_list = [\n {"model": "a", "api_key": os.environ["X_KEY"]}]', f"line 2, column 28: {CALLS}", 1),
    ('[{"model": "a", "stream": true, "api_key": os.environ.get("X_KEY", "")}]', CALLS, 1),
    ('[{"model": "a", "api_key": os.getenv("X_KEY")', CALLS, 1),
    ("[{'model': str(Path('models') / 'tiny')}]", f'{CALLS} "${{MY_API_KEY}}"', 1),
    ('KEY = os.environ["X_KEY"]\nconfig_list = [dict(model="a", api_key=KEY)]', CALLS, 1),
    ('[{"model": "a", "base_url": f"http://{HOST}/v1"}]', CALLS, None),
    ("config_list = load()", CALLS, None),
    ("[{'model': 'a', 'stream': True}]", "this is Python, not JSON", 1),
    ('[{"model": "a", "stream": True, "stop": null}]', "line 1, column 27: a word of Python's", 1),
    # Backslashes
    (r'[{"model": "C:\Users\me"}]', "line 1, column 15: a single backslash in a text. Write two, or a /", 1),
    (r'[{"model": "C:\models\me"}]', "a single backslash", 1),
    (r'[{"model": "C:\unsorted\me"}]', "a single backslash", 1),
    (r'[{"model": "\\server\models"}]', "a single backslash", 1),
    # Other formats
    ("OPENAI_API_KEY=abc\n# mine\nexport X='a b'", LINES, 1),
    (f"OAI_CONFIG_LIST='[{A}]'", LINES, 1),
    (f"export OAI_CONFIG_LIST='[{A}, {B}]'", LINES, 2),
    (f"$env:OAI_CONFIG_LIST = '[{A}]'", LINES, 1),
    ('model = "a"\nbase_url = "b"', LINES, None),
    ("- model: a\n  model_client_cls: C\n- model: b", YAML, 2),
    ("# mine\n---\nmodels:\n  - a", YAML, None),
    ("model: a\napi_key: b", YAML, 1),
    ("model_list:\n  - model_name: a\n    litellm_params:\n      model: x/a", f"{LITELLM}, in YAML", None),
    ('[[config_list]]\nmodel = "a"', TOML, None),
    ('title = "x"\n[openai]\napi_key = "a"', TOML, None),
    ("<!DOCTYPE html>\n<html></html>", "this is a web page or XML", None),
    ("\n <?xml version='1.0'?><a/>", "line 2, column 2: this is a web page or XML", None),
    (f"```json\n[{A}]\n```", "a Markdown fence", 1),
    ("hello", 'this is not JSON. A list begins with [ and holds objects: [{"model": ...}].', None),
    ("Note: this\nis no list", "this is not JSON", None),
    ("models/OAI_CONFIG_LIST.json", "this is not JSON", None),
    # JSON that is nearly right
    (f"{A}\n{B}", "line 2, column 1: the text goes on after its end. Put one [ ] around all", 2),
    (f"[{A}]\n[{B}]", "line 2, column 1: another list begins here", 2),
    (f"[{A}]]", "one closing bracket too many. Delete it.", 1),
    (f"[{A}}}]", "a bracket of the wrong kind, or one too many", 1),
    (f"[{A}", "the text ends too early", 1),
    ('[{"model": "a"\n{"model": "b"}]', "line 2, column 1: a } is missing before this {", 2),
    (f"[{A}, // one\n{B}]", "a comment. JSON has none: delete it.", 2),
    (f"# mine\n[{A}]", "line 1, column 1: a comment", 1),
    (f"[{A}]  # mine", "a comment", 1),
    (f"[{A}, /* one */ {B}]", "a comment", 2),
    (f"[{A},]", "a comma before the closing bracket", 1),
    (f"[{A},, {B}]", "a comma too many", 2),
    (f"[{A}];", "a semicolon", 1),
    (f"[{A} {B}]", "a comma is missing", 2),
    ("[{“model”: “a”}]", "line 1, column 3: a curly quote", 1),
    ("[{'model': 'a', \"stop\": null}]", "line 1, column 3: a single quote", 1),
    ('[{"model":\u00a0"a"}]', "NO-BREAK SPACE is not a part of JSON", 1),
    ("[{model: a, model_client_cls: C}]", "there are no quotes in it. JSON writes names and texts in", 1),
    ('[{model: "a"}]', 'a name without quotes. Write them: "model".', 1),
    ('[{"model": a}]', "a text without quotes", 1),
    ('[{"model": "a}]', 'a text without an end. Write its closing ".', 1),
    ('[{"model": "a\nb"}]', "a line break or a tab in a text", 1),
    ('[{"model": "the "best" one"}]', 'a " inside of a text', 1),
    ('[{"model" "a"}]', "no colon between a name and its value", 1),
    ('[{"model" = "a"}]', "Write : in its place", None),
    ('[{"model": }]', "a value is missing after the colon", 1),
    ('{{"model": "a"}}', "an object right inside another", 1),
    ('"model": "a", "n": 1', "fields without an object. Write [{ before, }] after.", 1),
    ('[{"model": "a", "max_tokens": 1,000}]', "a comma in a number. Write it without one: 1000.", 1),
    ('[{"model": "a", "max_tokens": 1_000}]', "a number that JSON can't read", 1),
    (f"[{A}, ...]", "dots that stand for something", 1),
    # JSON that is no list
    (json.dumps(f"[{A}]"), "a text that holds JSON: it was made JSON twice", 1),
    ('{"models": [' + A + "]}", "only the list belongs here: keep what stands after 'models'.", 1),
    ('{"small": ' + A + ', "big": ' + B + "}", "entries with names ('small', 'big') instead of a list", 2),
    ('{"model_list": [{"model_name": "a", "litellm_params": {"model": "b"}}]}', LITELLM, 1),
    ('{"nbformat": 4, "cells": []}', "this is a notebook, not a config list", None),
    ('{"architectures": ["L"], "model_type": "llama"}', "these are the settings of a model", None),
    (f"[[{A}]]", "entry 0: a list instead of an object: delete its [ ].", None),
    ("[5]", "entry 0: an int instead of an object", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told", "entries"), TEXTS)
def test_a_text_that_is_no_list_is_named_for_what_it_is(text, told, entries):
    with pytest.raises(ConfigListError) as caught:
        parse_config_list(text, "mine")
    assert str(caught.value).startswith("mine: ")
    assert told in str(caught.value)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(("text", "told", "entries"), TEXTS)
def test_what_can_be_fixed_becomes_a_list_that_loads_and_the_rest_is_left(text, told, entries):
    fixed = repair(text)
    assert (fixed and len(fixed)) == entries
    assert fixed is None or parse_config_list(json.dumps(fixed)) == fixed


@pytest.mark.parametrize(
    "text",
    [
        f"[{A}]",
        f"\n[{A},\n{B}]\n",
        r'[{"model": "C:\\Users\\me"}]',
        '[{"model": "a", "note": "os.getenv(\\"X\\") // # - x: y = 1, None, <html>"}]',
        "[]",
    ],
)
def test_a_list_is_a_list_whatever_its_texts_look_like(text):
    parse_config_list(text)


@pytest.mark.parametrize("text", ["[{'api_key': 'recognisable', x: f()}]", "api_key: recognisable\nb: c",
    "MY_API_KEY=recognisable", '[{"api_key": recognisable}]', "recognisable", '[{"api_key": "recognisable}]',
    '{"recognisable-sk": 1', "x = os.getenv('recognisable')"])  # fmt: skip
def test_no_message_shows_what_a_text_holds(text):
    with pytest.raises(ConfigListError) as caught:
        parse_config_list(text)
    assert "recognisable" not in str(caught.value)
