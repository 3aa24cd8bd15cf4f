"""Reading an OAI_CONFIG_LIST: what people really write, and what they are told about it."""

import json
import os
import warnings

import pytest
from autogen import LLMConfig

from kit.config_list.lists import ConfigListError, check_config_list, load_config_list, parse_config_list

pytestmark = pytest.mark.usefixtures("folder")
DUMMY = {"model": "dummy", "model_client_cls": "DummyModelClient"}


def write(entries, path="OAI_CONFIG_LIST"):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(entries, file)


def refusal(call, *arguments, **options):
    """Return the text of the ConfigListError that a call must raise."""
    with pytest.raises(ConfigListError) as caught:
        call(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[{'model': 'a', 'seed': None}]",
            "line 1, column 3: this is Python, not JSON.",
        ),
        ("[{'model': 'a'},]", "this is Python, not JSON"),
        ('[{"model": "a", "n": .5}]', "line 1, column 22: a number begins with a digit"),
        ('[{"model": "a", "n": 0,5}]', "line 1, column 24: a decimal comma. JSON writes a point: 0.5."),
        ('[{"model": \'a\', "stream": true}]', "line 1, column 12: a single quote."),
        ('[{"model": "a"}', "the text ends too early"),
        ('[\n  {"model": "a",}\n]', "a comma before the closing bracket"),
        ('[\n  {"model": "a"},\n]', "a comma before the closing bracket. JSON allows none there: delete it."),
        ('[{"model": "a" "n": 1}]', "line 1, column 16: a comma is missing. Write one before this."),
        ('[{"model": "a"}', "Every bracket needs its partner"),
        ('{"model": "a"}', "one object instead of a list: put [ before it, ] after it."),
        ('{"config_list": [{"model": "a"}]}', 'drop the outer {"config_list": ...}'),
        ("\ufeff[]", "starts with a byte order mark. Save it as UTF-8 without BOM."),
        ("", "empty. Write a list: [{...}]."),
        (" \n", "empty. Write a list"),
        ('"a"', "a str instead of a list of objects"),
        ("true", "a bool instead of a list of objects"),
        ('[{"model": "a"}, "b", null]', 'entry 1: a str instead of an object: write {"model": ...}.'),
        ('[{"model": "a"}, "b", null]', "entry 2: a NoneType instead of an object"),
        ('[{"model": "a"}, {"model": "a", "model": "b"}]', "'model' appears twice in one object: keep one."),
        ('[{"a": {"n": 1, "n": 2}}, {"a": 1}]', "'n' appears twice in one object: keep one."),
    ],
)
def test_a_text_that_is_no_list_of_objects_says_what_it_looks_like_and_how_to_fix_it(text, told):
    message = refusal(parse_config_list, text, "my_list.json")
    assert message.startswith("my_list.json: ")
    assert told in message


def test_a_file_in_utf_16_asks_for_utf_8(folder):
    (folder / "OAI_CONFIG_LIST").write_text(json.dumps([DUMMY]), encoding="utf-16")
    assert "not UTF-8 text. Save it again with the encoding UTF-8." in refusal(load_config_list)


def test_a_file_with_a_byte_order_mark_is_recognised_on_disk_too(folder):
    (folder / "OAI_CONFIG_LIST").write_text(json.dumps([DUMMY]), encoding="utf-8-sig")
    assert "byte order mark" in refusal(load_config_list)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({}, 'an empty entry: add at least a "model".'),
        ({"model_client_cls": "C"}, "'model': missing. Add 'model'"),
        ({"model": "", "model_client_cls": "C"}, "'model': empty. Name a model"),
        ({"model": 3, "model_client_cls": "C"}, "'model': 3 is not allowed. Input should be a valid string"),
        ({"model": "a", "model_client_cls": ["C"]}, "'model_client_cls': ['C'] is not allowed"),
        ({"model": "a", "model_client_cls": "C()"}, "'model_client_cls': 'C()' isn't a class name."),
        ({"model": "a", "model_client_cls": "my.C"}, "Write the name after `class`: 'MyModelClient'."),
        (
            {**DUMMY, "temperature": 1.7},
            "'temperature': 1.7 is not allowed. Input should be less than",
        ),
        (
            {**DUMMY, "max_tokens": "many"},
            "'max_tokens': 'many' is not allowed. Input should be a valid",
        ),
        (
            {**DUMMY, "base_url": "wss://a.b/v1"},
            "'base_url': 'wss://a.b/v1' is not allowed: AutoGen takes http",
        ),
        ({**DUMMY, "price": [0.1]}, "'price': [0.1] is not allowed. List should have at least 2 items"),
        ({**DUMMY, "tags": "fast"}, "'tags': 'fast' is not allowed. Input should be a valid list"),
        ({**DUMMY, "api_type": "opnai"}, "'api_type': AutoGen knows no 'opnai': did you mean 'openai'?"),
        ({**DUMMY, "api_type": "mine"}, "AutoGen knows no 'mine': for a custom model client, leave it out."),
        ({**DUMMY, "api_type": None}, "'api_type': AutoGen knows no None"),
        ({"model": "gpt"}, "'api_key': AutoGen can't make a client from it: Missing credentials."),
        ({"model": "gpt", "api_type": "azure", "api_key": "k"}, "'api_version': missing. Azure needs it"),
        ({"model": "x", "api_type": "google"}, "Please install `google-genai`"),
    ],
)
def test_what_autogen_would_reject_is_told_with_entry_and_field(entry, told):
    write([DUMMY, entry])
    message = refusal(load_config_list)
    assert "OAI_CONFIG_LIST: entry 1" in message
    assert told in message


def test_every_faulty_entry_is_told_at_once():
    write([{"model": ""}, DUMMY, {**DUMMY, "temperature": "hot", "n": 2, "tags": 1}])
    with pytest.raises(ConfigListError) as caught:
        load_config_list()
    places = {(problem.entry, problem.field) for problem in caught.value.problems}
    assert places == {(0, "model"), (2, "temperature"), (2, "tags")}


def test_an_empty_list_asks_for_an_entry():
    write([])
    assert "the list is empty: add an entry" in refusal(load_config_list)


def test_a_key_may_come_from_the_environment(monkeypatch):
    write([{"model": "gpt"}])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "a" * 40)
    assert load_config_list() == [{"model": "gpt"}]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("model_cleint_cls", "model_client_cls"),
        ("temprature", "temperature"),
        ("api_kye", "api_key"),
        ("base_ulr", "base_url"),
        ("devise", "device"),
        ("modle", "model"),
    ],
)
def test_a_misspelt_field_is_a_warning_only_since_any_field_may_be_forwarded(written, meant):
    write([{**DUMMY, written: "x"}])
    with pytest.warns(UserWarning, match=f"entry 0, '{written}': unknown field. Did you mean '{meant}'"):
        entries = load_config_list()
    assert entries[0][written] == "x"


def test_a_misspelt_model_is_named_beside_the_missing_one():
    write([{"modle": "a", "model_client_cls": "C"}])
    message = refusal(load_config_list)
    assert "'model': missing" in message
    assert "'modle': unknown field. Did you mean 'model'?" in message


def test_a_field_of_ones_own_and_the_fields_of_the_kits_clients_are_silent():
    fields = {"colour": "blue", "room": 3, "device": "cpu", "params": {"max_length": 9}, "seed": 1, "n": 2}
    write([{**DUMMY, **fields, "price": [1, 2], "tags": ["a"], "timeout": 5, "stop": ["."]}])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_config_list()[0]["colour"] == "blue"


def test_a_list_in_python_is_checked_the_same_way():
    assert [str(problem) for problem in check_config_list(["gpt-4"])] == [
        'entry 0: a str instead of an object: write {"model": ...}.'
    ]
    assert check_config_list([DUMMY]) == []


# Where the list comes from: the environment variable, then the file, as in AutoGen


def test_the_variable_may_hold_the_json_itself(monkeypatch):
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps([DUMMY]))
    entries = load_config_list()
    assert entries == [DUMMY]
    assert entries.path is None


def test_the_variable_may_hold_the_path_of_a_file(monkeypatch, folder):
    write([DUMMY], folder / "elsewhere.json")
    monkeypatch.setenv("OAI_CONFIG_LIST", "elsewhere.json")
    assert load_config_list().path.name == "elsewhere.json"


def test_the_variable_wins_over_a_file_of_its_name(monkeypatch):
    write([DUMMY])
    monkeypatch.setenv("OAI_CONFIG_LIST", json.dumps([{**DUMMY, "model": "from the variable"}]))
    assert load_config_list()[0]["model"] == "from the variable"
    assert LLMConfig.from_json(path="OAI_CONFIG_LIST").config_list[0].model == "from the variable"


def test_errors_name_the_variable(monkeypatch):
    monkeypatch.setenv("OAI_CONFIG_LIST", "gone.json")
    message = refusal(load_config_list)
    assert message.startswith("environment variable OAI_CONFIG_LIST: holds neither a JSON list nor the path")
    monkeypatch.setenv("OAI_CONFIG_LIST", '[{"model": ""}]')
    assert "environment variable OAI_CONFIG_LIST: entry 0, 'model'" in refusal(load_config_list)


def test_no_source_at_all_says_where_it_looked(folder):
    message = refusal(load_config_list)
    assert "neither an environment variable nor a file of this name" in message
    assert folder.name in message


def test_a_folder_is_no_list(folder):
    assert f"can't be read: {str(folder)!r} is a folder or a device" in refusal(load_config_list, folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of this kind are POSIX's")
def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo("OAI_CONFIG_LIST")
    assert "can't be read: 'OAI_CONFIG_LIST' is a folder or a device" in refusal(load_config_list)


def test_a_file_that_is_too_large_is_not_read(folder):
    write([{**DUMMY, "filling": "x" * 2_000_000}])
    assert "'OAI_CONFIG_LIST' is 2 MB: too large. Name the right file." in refusal(load_config_list)


def test_an_empty_name_and_one_that_is_nearly_right_are_told():
    assert "can't be read: the name is empty" in refusal(load_config_list, " ")
    write([DUMMY], "OAI_CONFIG_LIST.json")
    assert refusal(load_config_list).endswith("Is 'OAI_CONFIG_LIST.json' meant?")


def test_a_name_that_is_no_text_is_told():
    problems = check_config_list([{"model": "a", "model_client_cls": "B", 5: "five"}])
    assert str(problems[-1]) == "entry 0: the name 5 isn't a text: write it in quotes."


# filter_dict keeps what AutoGen's keeps


@pytest.mark.parametrize(
    ("filter_dict", "kept"),
    [
        ({"model": ["a", "c"]}, ["a", "c"]),
        ({"model": "b"}, ["b"]),
        ({"model": {"a", "b"}}, ["a", "b"]),
        ({"tags": ["fast"]}, ["a", "b"]),
        ({"tags": "cheap"}, ["b"]),
        ({"tags": {"cheap"}, "model": ["a", "b"]}, ["b"]),
        ({}, ["a", "b", "c"]),
        (None, ["a", "b", "c"]),
    ],
)
def test_filter_dict_takes_lists_single_values_sets_and_tags(filter_dict, kept):
    write([{**DUMMY, "model": "a", "tags": ["fast"]}, {**DUMMY, "model": "b", "tags": ["fast", "cheap"]},
           {**DUMMY, "model": "c"}])  # fmt: skip
    assert [entry["model"] for entry in load_config_list(filter_dict=filter_dict)] == kept


def test_a_filter_that_keeps_nothing_shows_both_sides():
    write([{**DUMMY, "model": "a"}, {**DUMMY, "model": "b"}])
    message = refusal(load_config_list, filter_dict={"model": ["gpt-5"]})
    assert message == "filter_dict: {'model': ['gpt-5']} keeps no entry. The list has {'model': ['a', 'b']}."


def test_only_what_the_filter_keeps_must_be_right_and_errors_count_in_the_file():
    write([{"model": "broken", "temperature": 9}, DUMMY, {**DUMMY, "model": "hot", "temperature": 9}])
    assert load_config_list(filter_dict={"model": "dummy"}) == [DUMMY]
    assert "entry 2, 'temperature'" in refusal(load_config_list, filter_dict={"model": ["dummy", "hot"]})
