"""Fixing a text that is no JSON: what comes out, what is left alone, and what the diff shows."""

import json

import pytest

from kit.config_list.lists import parse_config_list
from kit.config_list.repair import diff, repair
from kit.config_list.secrets import ConfigEntry

A = {"model": "a", "model_client_cls": "C"}
B = {"model": "b", "model_client_cls": "C"}
JSON_A, JSON_B = json.dumps(A), json.dumps(B)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        (f"[{A!r}, {B!r}]", [A, B]),
        (f"[{A!r}, {B!r},]", [A, B]),
        (f"config_list = [{A!r}]", [A]),
        (f"import os\nold = [{B!r}]\nconfig_list = [{A!r}]\n", [A]),
        (f"({A!r}, {B!r})", [A, B]),
        (f"# my models\n[\n  {A!r},  # the first\n]", [A]),
        ("[{'model': 'a', 'stream': True, 'stop': None}]", [{"model": "a", "stream": True, "stop": None}]),
        (f"[{JSON_A}, {JSON_B},]", [A, B]),
        (f"[{JSON_A} {JSON_B}]", [A, B]),
        (f"[{JSON_A}, {JSON_B}", [A, B]),
        ('[{"model": "a" "model_client_cls": "C"}]', [A]),
        ('[{"model": "a", "model_client_cls": "C"', [A]),
        ('[{model: "a", model_client_cls: "C"}]', [A]),
        ("[{“model”: “a”, “model_client_cls”: “C”}]", [A]),
        (f"// mine\n[{JSON_A}]", [A]),
        (f"\ufeff[{JSON_A}]", [A]),
        (JSON_A, [A]),
        (f"{JSON_A}, {JSON_B}", [A, B]),
        (f"{JSON_A}\n{JSON_B}", [A, B]),
        (f'{{"config_list": [{JSON_A}]}}', [A]),
        (f"llm_config = {{'config_list': [{A!r}], 'temperature': 0}}", [A]),
        (f"```json\n[{JSON_A}]\n```", [A]),
        ("[{'engine': 'a', 'api_base': 'http://x/v1', 'request_timeout': 5}]",
         [{"model": "a", "base_url": "http://x/v1", "timeout": 5}]),
        ('[{"model": "a", "api_key": os.getenv("X_KEY")}]', [{"model": "a", "api_key": "${X_KEY}"}]),
        ("[{'model': 'a', 'api_key': os.environ['X_KEY']}]", [{"model": "a", "api_key": "${X_KEY}"}]),
        ('[{"model": "a", "api_key": os.environ.get("X_KEY", ""), "stream": true}]',
         [{"model": "a", "api_key": "${X_KEY}", "stream": True}]),
        ('[{"model": "a", "api_key": getenv("X_KEY")} // mine', [{"model": "a", "api_key": "${X_KEY}"}]),
        ("KEY = os.environ['X_KEY']\nAUTH = f'Bearer {KEY}'\n"
         "config_list = [dict(model='a', api_key=KEY, h=AUTH)]\n"
         "llm_config = {'config_list': config_list}\nagent = AssistantAgent('a', llm_config=llm_config)",
         [{"model": "a", "api_key": "${X_KEY}", "h": "Bearer ${X_KEY}"}]),
        ("[{'model': str(Path('models') / 'tiny'), 'h': 'Bearer ' + os.environ['X_KEY']}]",
         [{"model": "models/tiny", "h": "Bearer ${X_KEY}"}]),
        (r'[{"model": "C:\Users\new", "model_client_cls": "C"}]', [{**A, "model": "C:/Users/new"}]),
        (r"[{'model': 'C:\Users\new', 'model_client_cls': 'C'}]", [{**A, "model": "C:/Users/new"}]),
        (json.dumps(f"[{JSON_A}]"), [A]),
        (f"export OAI_CONFIG_LIST='[{JSON_A}]'", [A]),
        (f"[{JSON_A}]\n[{JSON_B}]", [A, B]),
        (f'{{"small": {JSON_A}, "big": {JSON_B}}}', [A, B]),
        (f'{{"models": [{JSON_A}]}}', [A]),
    ],
)  # fmt: skip
def test_a_text_that_is_nearly_a_list_becomes_the_list_that_was_meant(text, entries):
    assert repair(text) == entries


@pytest.mark.parametrize(
    "text",
    [
        "", " \n", "my models: a, b", "5", "null", '"a"', "[]", "[1, 2]", '["a", "b"]', "{", "\0", "\ud800",
        "[" * 100_000, "f()", "config_list = load()",
        f"old = [{JSON_A}]\nconfig_list = load()", '[{"model": "a", "base_url": f"http://{HOST}/v1"}]',
        "X_KEY=abc", '{"architectures": ["L"]}', '{"nbformat": 4, "cells": [{}]}',
        '[[{"model": "a"}]]', '["a", {"model": "a"}]',
    ],
)  # fmt: skip
def test_where_there_is_no_telling_nothing_is_made_up(text):
    assert repair(text) is None


def test_a_number_that_json_lacks_is_not_passed_on_as_one():
    fixed = repair("[{'model': 'a', 'temperature': 1e999}]") or []
    assert not any(entry.get("temperature") == float("inf") for entry in fixed)


def test_nothing_of_a_text_is_run(folder):
    repair("[{'model': open('made', 'w').name}]")
    repair("import os; os.mkdir('made')")
    assert list(folder.iterdir()) == []


def test_fixed_entries_mask_their_secrets_and_keep_their_order():
    fixed = repair("[{'z': 1, 'api_key': 'hunter2', 'a': {'token': 'hunter2'}}]")
    assert list(fixed[0]) == ["z", "api_key", "a"]
    assert isinstance(fixed[0]["a"], ConfigEntry)
    assert "hunter2" not in repr(fixed)


# The diff


def test_the_diff_shows_what_goes_and_what_comes():
    text = '[\n  {\n    "model": "a",\n    "n": 2,\n  }\n]'
    assert diff(text, repair(text)).splitlines() == [
        '     "model": "a",',
        '-    "n": 2,',
        '+    "n": 2',
        "   }",
    ]


def test_no_change_is_an_empty_diff():
    entries = [A, B]
    assert diff(json.dumps(entries, indent=2), entries) == ""


@pytest.mark.parametrize(
    "text",
    [
        "[{'model': 'a', 'api_key': '%s'}]",
        '[{"model": "a", "api_key": "%s",}]',
        '[{"model": "a", "default_headers": {"Authorization": "%s"},}]',
        '[{"model": "a", "api_key": "%s", "api_key": "%s"}]',
        '[{"model": "a", "params": {"keys": ["%s", "other"]},}]',
    ],
)
@pytest.mark.parametrize("secret", ["sk-recognisable", "hunter2-recognisable", "hun ter2 recognisable"])
def test_no_diff_of_a_fixed_text_shows_a_secret(text, secret):
    text = text.replace("%s", secret)
    shown = diff(text, repair(text))
    assert '"model": "a"' in shown
    assert "recognisable" not in shown


@pytest.mark.parametrize("secret", ['"recognisable"', "recognisable\\n", "\nrecognisable", "récognisable"])
def test_no_diff_shows_a_secret_that_json_writes_with_a_backslash(secret):
    text = json.dumps([{"model": "a", "api_key": secret}])[:-2] + ",}]"
    shown = diff(text, repair(text))
    assert "cognisable" not in shown
    assert shown.count("**********") == 2


@pytest.mark.parametrize(
    "there",
    [
        "[{'model': 'b', 'api_key': 'recognisable'}]",
        '[{"model": "b", "api_key": "recognisable"},]',
        'api_key = "recognisable"',
        "OPENAI_API_KEY='recognisable'",
        "notes, and sk-recognisable",
    ],
)
def test_no_diff_shows_a_secret_of_the_file_that_would_be_replaced(there):
    shown = diff(there, parse_config_list(json.dumps([A])))
    assert "**********" in shown
    assert "recognisable" not in shown


LITELLM = """\
model_list:
  - model_name: big
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, temperature: 0.5}
  - model_name: small
    litellm_params: {model: ollama/llama3, api_base: "http://localhost:11434"}
  - model_name: ours
    litellm_params: {model: azure/chat, api_base: "https://a.openai.azure.com", api_version: "1"}
"""


def test_litellms_models_become_entries_for_their_servers():
    big, small, ours = repair(LITELLM)
    assert big == {"model": "gpt-4o", "api_key": "${OPENAI_API_KEY}", "temperature": 0.5}
    assert small == {"model": "llama3", "base_url": "http://localhost:11434/v1"}
    assert ours["api_type"] == "azure"
    assert repair(LITELLM.replace("openai/gpt-4o", "bedrock/claude")) is None  # asked in another way
    assert repair(LITELLM.replace("temperature: 0.5", "temperature: [")) is None  # no YAML


def test_the_lines_of_a_dot_env_become_an_entry_for_each_server():
    text = """\
        # mine
        export OPENAI_API_KEY="abc"
        OPENAI_MODEL=gpt-4o
        GROQ_API_KEY=
        GROQ_MODEL_NAME=llama3
        GROQ_BASE_URL=https://api.groq.com/openai/v1
        DEBUG=1
        """
    openai, groq = repair(text)
    assert dict(openai) == {"model": "gpt-4o", "api_key": "abc"}
    assert groq == {"model": "llama3", "base_url": "https://api.groq.com/openai/v1"}
    assert repair("DEBUG=1\nNAME=x") is None
