"""Step 2: files and lists that can't be used, and local models that could not be loaded."""

import json
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from autogen import GroupChat
from set_ups import DUMMY, codes, model_folder, write

from kit import diagnose

pytestmark = pytest.mark.usefixtures("folder")
HF = {"model": "m", "model_client_cls": "HuggingFaceModelClient"}
OPENAI = {"model": "gpt-4o", "api_key": "sk-" + 48 * "a"}


def endless():
    entry = dict(DUMMY)
    entry["params"] = entry
    return [entry]


LISTS = {
    "a file that is not there": (lambda: "a_list_that_is_nowhere", "no-config-list"),
    "Python instead of JSON": (lambda: write("[{'model': 'a'}]"), "config-list"),
    "a text that is cut off": (lambda: '[{"model": "a"', "config-list"),
    "texts instead of entries": (lambda: ["a"], "config-list"),
    "an empty list": (lambda: [], "config-list"),
    "no model": (lambda: [{"model_client_cls": "C"}], "config-list"),
    "too hot, and a warning": (lambda: [{**DUMMY, "modle": 1, "temperature": 3}], "config-list"),
    "no key": (lambda: [{"model": "gpt-4o"}], "lacking-here"),
    "a variable that is not set": (lambda: [{**DUMMY, "api_key": "${NOT_SET}"}], "lacking-here"),
    "an llm_config": (lambda: {"config_list": [{**DUMMY, "temperature": 3}]}, "config-list"),
    "one entry in Python": (lambda: dict(DUMMY), "single-entry"),
    "model_client_class": (lambda: [{"model": "a", "model_client_class": "C"}], "misnamed-class"),
    "a class for its name": (lambda: [{"model": "a", "model_client_cls": SimpleNamespace}], "class-itself"),
    "a list that holds itself": (endless, "unreadable"),
}


@pytest.mark.parametrize(("make", "code"), LISTS.values(), ids=LISTS)
def test_a_list_that_can_not_be_used(make, code):
    report = diagnose(make())
    assert not report.ok
    assert codes(report)[0] == code
    assert {finding.step for finding in report.findings} == {2}


def test_the_problem_of_an_entry_is_found_with_its_place_and_a_fix():
    [finding] = diagnose([DUMMY, {**DUMMY, "temperature": 9}]).findings
    assert finding.message.startswith("entry 1, 'temperature': 9 ")
    assert "less than or equal to 1" in finding.fix


def test_a_variable_that_hides_a_file(monkeypatch):
    write(json.dumps([DUMMY]))
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps([{**DUMMY, "model": "other"}]))
    [finding] = diagnose("OAI_CONFIG_LIST").findings
    assert (finding.code, finding.warning) == ("variable-hides-file", True)


class Odd:
    def __getattr__(self, name):
        raise RuntimeError(name)


NO_SET_UPS = [3, print, b"[]", {1}, Odd(), MagicMock(), GroupChat([], [])]


@pytest.mark.parametrize("subject", NO_SET_UPS, ids=lambda subject: type(subject).__name__)
def test_something_that_is_not_a_set_up(subject):
    code = "group-without-manager" if isinstance(subject, GroupChat) else "unknown-subject"
    assert codes(diagnose(subject)) == [code]


NO_TOKENIZER = {"tokenizer.json": None, "tokenizer_config.json": None}
MODELS = {
    "a folder that is not there": (lambda: {"model": "./models/none"}, "no-model-folder"),
    "a file": (lambda: {"model": write("", "model.gguf")}, "no-config"),
    "no config.json": (lambda: {"model": model_folder(**{"config.json": None})}, "no-config"),
    "pickled weights": (lambda: {"model": model_folder(**{"model.safetensors": None})}, "no-weights"),
    "no tokenizer": (lambda: {"model": model_folder(**NO_TOKENIZER)}, "tokenizer-files"),
    "no template": (
        lambda: {"model": model_folder(**{"tokenizer_config.json": "{}"})},
        "no-chat-template",
    ),
}


@pytest.mark.parametrize(("make", "code"), MODELS.values(), ids=MODELS)
def test_a_local_model_that_could_not_be_loaded(make, code):
    assert codes(diagnose([{**HF, **make()}]))[0] == code
