"""A list that isn't where it was looked for: what is said of it, and where it may be."""

import os

import pytest

from kit.config_list.lists import ConfigListError, load_config_list

JSON = '[{"model": "a", "model_client_cls": "C"}]'
NAME = "OAI_CONFIG_LIST"


@pytest.fixture
def deep(folder, monkeypatch):
    """A current folder with a folder in it, one beside it and one above, all empty."""
    here = folder / "above" / "here"
    (here / "inside").mkdir(parents=True)
    (folder / "above" / "beside").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return here


def refusal(name=NAME):
    with pytest.raises(ConfigListError) as caught:
        load_config_list(name)
    return str(caught.value)


@pytest.mark.parametrize(
    "there",
    ["../OAI_CONFIG_LIST", "../../OAI_CONFIG_LIST", "inside/OAI_CONFIG_LIST", "../beside/OAI_CONFIG_LIST",
     "OAI_CONFIG_LIST.json", "OAI_CONFIG_LIST.txt", "oai_config_list.json", "OAI_CONFIGLIST",
     "OAI_CONFIG_LST.json", "../OAI_CONFIG_LIST.json"],
)  # fmt: skip
def test_a_file_that_lies_elsewhere_or_has_another_ending_is_named_so_that_it_loads(deep, there):
    there = there.replace("/", os.sep)
    (deep / there).write_text(JSON)
    message = refusal()
    assert f"(looked in {str(deep)!r})" in message
    assert message.endswith(f"Is {there!r} meant?")
    assert load_config_list(there)[0]["model"] == "a"


def test_what_is_like_nothing_there_is_not_likened(deep, monkeypatch):
    (deep / "notes.txt").write_text("x")
    (deep / "inside" / "other.json").write_text(JSON)
    monkeypatch.setenv("COLOUR", "x")
    assert "meant" not in refusal()


def test_a_folder_that_is_not_there_is_told(deep):
    assert f"(looked in {str(deep / 'gone')!r}, which is not there)" in refusal(os.path.join("gone", NAME))


def test_a_variable_with_a_close_name_is_told(deep, monkeypatch):
    monkeypatch.setenv("OAI_CONFIGLIST", JSON)
    assert refusal().endswith("Is the variable 'OAI_CONFIGLIST' meant?")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (f"'{JSON}'", "has quotes around it. Set it without."),
        (f'"{JSON}"', "has quotes around it. Set it without."),
        ('"list.json"', "has quotes around it. Set it to 'list.json'."),
        ("list.json \n", "has a space or a line break around it. Set it to 'list.json'."),
        ("~/home.json", "has ~ in it, which is not filled in. Set it to "),
        ("$HOME/home.json", "has a variable in it, which is not filled in. Set it to "),
        ("list.jsn", "nor the path of a file that exists. Is 'list.json' meant?"),
        ("https://example.com/list.json", "holds an address. Save what is there as a file"),
        ("recognisable", "holds neither a JSON list nor the path of a file that exists."),
        ("[{model: a}]", "a shell removes them unless the whole list stands in single ones."),
        ("inside", "is a folder or a device. Name the file itself."),
    ],
)
def test_a_variable_that_is_nearly_right_says_how_to_set_it(deep, folder, monkeypatch, value, told):
    (deep / "list.json").write_text(JSON)
    (folder / "home.json").write_text(JSON)
    monkeypatch.setenv(NAME, value)
    assert told in refusal()
    assert "recognisable" not in refusal()


@pytest.mark.parametrize("value", [JSON, f" {JSON}\n", "list.json", "{folder}/list.json"])
def test_a_variable_that_is_right_is_silent(deep, monkeypatch, value):
    (deep / "list.json").write_text(JSON)
    monkeypatch.setenv(NAME, value.replace("{folder}", str(deep)))
    assert load_config_list()[0]["model"] == "a"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("~/home.json", "the name has ~ in it, which is not filled in. Write "),
        ('"list.json"', "the name has quotes around it. Write 'list.json'."),
        ([{"model": "a"}], "a list instead of the name of a file or variable. To check entries"),
        (None, "a NoneType instead of the name"),
        (JSON, "this is the text of a list, not the name of one. To read a text, call parse_config_list."),
        ("n" * 5000, "can't be read"),
        ("zero\0byte", "can't be read"),
    ],
)
def test_a_name_that_is_none_says_what_it_is(deep, folder, name, told):
    (deep / "list.json").write_text(JSON)
    (folder / "home.json").write_text(JSON)
    assert told in refusal(name)


def test_a_folder_with_a_list_in_it_names_the_list(deep):
    (deep / "inside" / "OAI_CONFIG_LIST.json").write_text(JSON)
    assert refusal("inside").endswith(f"Is {os.path.join('inside', 'OAI_CONFIG_LIST.json')!r} meant?")
