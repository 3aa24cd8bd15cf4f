"""The form's fields as data: AutoGen takes each of them, and the ranges that the form shows are AutoGen's."""

import pytest

from kit.config_list.fields import (
    AZURE,
    CUSTOM,
    FIELDS,
    IN_FORM,
    KEY,
    OPENAI,
    VALUES,
    kind_of_entry,
    limits,
    presets,
    text_of,
    value_of,
)
from kit.config_list.lists import check_config_list
from kit.models import local_folders

pytestmark = pytest.mark.usefixtures("folder")
FIELD = {field.name: field for field in FIELDS}
ENTRIES = {
    CUSTOM: {"model": "a", "model_client_cls": "C"},
    OPENAI: {"model": "a", "api_key": "k", "base_url": "http://localhost:8000/v1"},
    AZURE: {"model": "a", "api_key": "k", "api_type": "azure", "base_url": "https://x.openai.azure.com",
            "api_version": "2024-10-21"},
}  # fmt: skip
TYPED = {
    "model": "a",
    "model_client_cls": "C",
    "base_url": "https://x.openai.azure.com/v1",
    "api_version": "2024-10-21",
    "n": "2",
    "max_tokens": "20",
    "temperature": "0.5",
    "top_p": "0.9",
    "stop": '["END"]',
    "seed": "7",
    "frequency_penalty": "-1.5",
    "presence_penalty": "2",
    "timeout": "30",
    "max_retries": "0",
    "organization": "org-1",
    "azure_deployment": "mine",
    "stream": "yes",
    "price": "[0.1, 0.2]",
    "tags": '["small", "fast"]',
}


@pytest.mark.parametrize(
    ("field", "kind"),
    [(field, kind) for field in FIELDS if field.name in TYPED for kind in field.kinds_of_entry],
    ids=lambda value: getattr(value, "name", value),
)
def test_autogen_takes_every_field_of_every_kind_of_entry(field, kind):
    entry = {**ENTRIES[kind], field.name: value_of(field.kind, TYPED[field.name])}
    assert [problem for problem in check_config_list([entry]) if problem.field == field.name] == []
    assert not any(problem.field is None for problem in check_config_list([entry]))


@pytest.mark.parametrize("kind", [OPENAI, AZURE])
def test_the_api_type_is_one_of_autogens(kind):
    assert check_config_list([{**ENTRIES[kind], "api_type": kind}]) == []
    assert check_config_list([{**ENTRIES[kind], "api_type": "mine"}]) != []


def test_every_field_is_tried_above_has_a_known_kind_and_a_place_of_its_own():
    assert set(FIELD) - {"api_type"} == set(TYPED)
    assert {field.kind for field in FIELDS} <= set(VALUES)
    assert len(FIELD) == len(FIELDS)
    assert set(FIELD) | {KEY} == IN_FORM


@pytest.mark.parametrize(
    ("name", "limit", "good", "bad"),
    [
        ("temperature", "0 to 1", [0, 1, 0.5], [-0.001, 1.001]),
        ("top_p", "0 to 1", [0, 1, 0.5], [-0.001, 1.001]),
        ("max_tokens", "at least 0", [0, 1, 10**9], [-1]),
    ],
)
def test_a_limit_is_what_autogen_takes_and_refuses(name, limit, good, bad):
    assert limits(name) == limit
    for value in good:
        assert check_config_list([{**ENTRIES[CUSTOM], name: value}]) == []
    for value in bad:
        problems = check_config_list([{**ENTRIES[CUSTOM], name: value}])
        assert [problem.field for problem in problems] == [name]


@pytest.mark.parametrize("field", [f for f in FIELDS if "number" in f.kind], ids=lambda field: field.name)
def test_a_field_has_a_limit_in_words_exactly_where_autogen_has_one(field):
    problems = [
        problem
        for value in (-(10**6), 10**6)
        for problem in check_config_list([{**ENTRIES[CUSTOM], field.name: value}])
    ]
    assert bool(limits(field.name)) == (field.name in {problem.field for problem in problems})


def test_a_field_that_autogen_does_not_know_has_no_limit():
    assert limits("colour") == limits("model") == ""


# Texts and values


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "  a ", "  a "),
        ("text", "", ""),
        ("whole number", " 3 ", 3),
        ("whole number", "-3", -3),
        ("number", "0.5", 0.5),
        ("number", "3", 3),
        ("number", "1e-3", 0.001),
        ("yes or no", "Yes", True),
        ("yes or no", " no", False),
        ("yes or no", "TRUE", True),
        ("texts", "END", "END"),
        ("texts", '["a", "b"]', ["a", "b"]),
        ("texts", "[]", []),
        ("JSON", '{"a": [1, null]}', {"a": [1, None]}),
        ("JSON", ' "a" ', "a"),
    ],
)
def test_a_text_stands_for_a_value(kind, text, value):
    assert value_of(kind, text) == value
    assert type(value_of(kind, text)) is type(value)


@pytest.mark.parametrize(
    ("kind", "texts", "needed"),
    [
        ("whole number", ["", "two", "2.5", "1e3", "0x10", "9" * 5000, "true"], "a whole number"),
        ("number", ["", "two", "0,5", "nan", "Infinity", "-Infinity", "1e999", "true", '"1"', "[1]"],
         "a number"),
        ("yes or no", ["", "perhaps", "1", "y"], "yes or no"),
        ("texts", ["[1]", "[a]", '["a", null]', "[" * 100_000], "a text, or a list"),
        ("JSON", ["", "{", "NaN", "-Infinity", "1e999", "{'a': 1}", "[" * 100_000, "9" * 5000], "JSON"),
    ],
)  # fmt: skip
def test_a_text_that_does_not_fit_says_what_is_needed(kind, texts, needed):
    for text in texts:
        with pytest.raises(ValueError, match=f"must be {needed}"):
            value_of(kind, text)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("a", "text", "a"),
        (" ", "text", " "),
        ("5", "text", "5"),
        (5, "whole number", "5"),
        (-(10**30), "whole number", "-1" + "0" * 30),
        (1.0, "number", "1.0"),
        (1e100, "number", "1e+100"),
        (True, "yes or no", "yes"),
        (False, "yes or no", "no"),
        (None, "JSON", "null"),
        (["größer"], "JSON", '["größer"]'),
        ({}, "JSON", "{}"),
    ],
)
def test_a_value_has_a_text_that_gives_it_back(value, kind, text):
    assert text_of(value) == text
    assert repr(value_of(kind, text)) == repr(value)


# Presets


def test_each_preset_is_new_at_each_call():
    presets()["Dummy (no model)"]["params"]["replies"] = "changed"
    assert presets()["Dummy (no model)"]["params"]["replies"] == "Hello from the dummy!"


def test_no_preset_holds_a_key():
    keys = {name: entry.get("api_key") for name, entry in presets().items()}
    assert set(keys.values()) == {
        None,
        "${OPENAI_API_KEY}",
        "${AZURE_OPENAI_API_KEY}",
        "${CLASS_KEY}",
        "not-needed",
    }


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"model_client_cls": "C", "api_type": "azure"}, CUSTOM),
        ({"api_type": "azure"}, AZURE),
        ({"api_type": "ollama"}, OPENAI),
        ({}, OPENAI),
        ({"api_type": ["azure"]}, OPENAI),
    ],
)
def test_the_kind_of_an_entry_follows_from_its_class_and_api_type(entry, kind):
    assert kind_of_entry(entry) == kind


def test_the_models_of_this_machine_are_the_folders_with_a_config(folder, monkeypatch):
    monkeypatch.setenv("KIT_MODELS", str(folder / "models"))
    assert local_folders() == []
    for name in ("b", "a"):
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "config.json").write_text("{}")
    (folder / "models" / "half").mkdir()
    assert local_folders() == ["models/a", "models/b"]
