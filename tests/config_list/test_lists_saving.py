"""Saving an OAI_CONFIG_LIST: the file holds the old list or the new one, and nobody's work is lost."""

import json
import os

import pytest

from kit.config_list.lists import ConfigListError, load_config_list, save_config_list
from kit.config_list.secrets import ConfigEntry

pytestmark = pytest.mark.usefixtures("folder")
DUMMY = {"model": "dummy", "model_client_cls": "DummyModelClient"}
POSIX = pytest.mark.skipif(os.name == "nt", reason="file modes and signals of POSIX")


def test_a_saved_list_loads_again_with_every_field_in_its_order(folder):
    text = '[{"z": null, "model": "a", "own": {"b": [1, 2.0], "a": null}, "model_client_cls": "C", "n": 1}]'
    (folder / "OAI_CONFIG_LIST").write_text(text)
    save_config_list(load_config_list(), "copy.json")
    assert json.dumps(json.loads((folder / "copy.json").read_text())) == text
    assert load_config_list("copy.json") == json.loads(text)


def test_a_list_goes_back_to_the_file_that_it_came_from(folder):
    entries = save_config_list([DUMMY], "mine.json")
    entries.append({**DUMMY, "model": "second"})
    assert save_config_list(entries).path.name == "mine.json"
    assert [entry["model"] for entry in load_config_list("mine.json")] == ["dummy", "second"]
    assert not (folder / "OAI_CONFIG_LIST").exists()


def test_without_a_file_of_its_own_a_list_is_saved_as_oai_config_list(folder):
    save_config_list([DUMMY])
    assert json.loads((folder / "OAI_CONFIG_LIST").read_text()) == [DUMMY]


def test_letters_beyond_ascii_are_written_as_they_are(folder):
    save_config_list([{**DUMMY, "note": "größer 日本"}])
    assert "größer 日本" in (folder / "OAI_CONFIG_LIST").read_text(encoding="utf-8")
    assert load_config_list()[0]["note"] == "größer 日本"


@POSIX
def test_the_file_is_for_its_owner_alone_even_where_it_was_open_before(folder):
    file = folder / "OAI_CONFIG_LIST"
    file.write_text(json.dumps([DUMMY]))
    file.chmod(0o644)
    save_config_list([{**DUMMY, "model": "new"}], overwrite=True)
    assert file.stat().st_mode & 0o777 == 0o600


# Conflicts: what is on disk is only replaced by a list that was loaded from there


def refused(folder, entries, name="OAI_CONFIG_LIST", **options):
    """Return the refusal to save, having checked that it left the file as it was."""
    before = (folder / name).read_bytes()
    with pytest.raises(ConfigListError) as caught:
        save_config_list(entries, name, **options)
    assert (folder / name).read_bytes() == before
    assert os.listdir(folder) == [name]
    return str(caught.value)


def test_a_file_that_changed_since_it_was_loaded_is_left_as_it_is(folder):
    entries = save_config_list([DUMMY])
    (folder / "OAI_CONFIG_LIST").write_text(json.dumps([{**DUMMY, "model": "somebody else's"}]))
    entries[0]["n"] = 2
    message = refused(folder, entries)
    assert "OAI_CONFIG_LIST: has changed since it was loaded. Load it again" in message
    assert "overwrite=True" in message
    save_config_list(entries, overwrite=True)
    assert load_config_list() == [{**DUMMY, "n": 2}]


def test_a_file_that_this_list_did_not_come_from_is_left_as_it_is(folder):
    (folder / "OAI_CONFIG_LIST").write_bytes(b"\xff\xfe not even text")
    assert "exists already. Load it again, save under another name" in refused(folder, [DUMMY])


def test_the_same_content_is_no_conflict(folder):
    save_config_list([DUMMY])
    save_config_list([dict(DUMMY)])
    assert load_config_list() == [DUMMY]


def test_saving_twice_in_a_row_is_no_conflict():
    entries = save_config_list([DUMMY])
    for n in (2, 3):
        entries[0]["n"] = n
        entries = save_config_list(entries)
    assert load_config_list()[0]["n"] == 3


def test_a_filtered_list_does_not_replace_the_whole_file(folder):
    save_config_list([DUMMY, {**DUMMY, "model": "precious"}])
    kept = load_config_list(filter_dict={"model": "dummy"})
    assert "exists already" in refused(folder, kept)


# What can't be saved says so, and leaves nothing behind


@pytest.mark.parametrize(
    ("value", "shown"), [(print, "<built-in function print>"), (float("nan"), "nan"), ({"a"}, "{'a'}")]
)
def test_a_value_without_a_json_form_names_entry_and_field(folder, value, shown):
    with pytest.raises(ConfigListError) as caught:
        save_config_list([DUMMY, {**DUMMY, "own": value}])
    assert f"entry 1, 'own': {shown} has no JSON form: pass it at registration instead." in str(caught.value)
    assert os.listdir(folder) == []


def test_a_list_that_autogen_would_reject_is_not_saved(folder):
    with pytest.raises(ConfigListError, match="OAI_CONFIG_LIST: entry 0, 'temperature': 9 is not allowed"):
        save_config_list([{**DUMMY, "temperature": 9}])
    assert os.listdir(folder) == []


def test_one_entry_instead_of_a_list_is_not_saved():
    with pytest.raises(ConfigListError, match="a str instead of an object"):
        save_config_list(DUMMY)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_missing_or_in_the_way_is_told_by_its_name(folder, overwrite):
    with pytest.raises(ConfigListError, match="can't be written: No such file or directory"):
        save_config_list([DUMMY], "missing/list.json", overwrite=overwrite)
    (folder / "in the way").mkdir()
    with pytest.raises(ConfigListError, match="in the way: can't be written: "):
        save_config_list([DUMMY], "in the way", overwrite=overwrite)
    assert os.listdir(folder) == ["in the way"]


def test_saving_gives_back_entries_that_mask_their_secrets():
    assert isinstance(save_config_list([DUMMY])[0], ConfigEntry)
