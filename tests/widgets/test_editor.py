"""The state behind the builder: what each button and each field does, without a widget."""

import json
import re
import subprocess

import pytest

from kit.config_list.fields import FIELDS, presets
from kit.config_list.lists import ConfigListError
from kit.widgets.editor import EXTRA, ConfigListEditor

pytestmark = pytest.mark.usefixtures("folder")
FIELD = {field.name: field for field in FIELDS}
DUMMY = "Dummy (no model)"
SERVER = "OpenAI-compatible server"


@pytest.fixture
def editor():
    """An editor of the entries a, b, c, with b selected."""
    editor = ConfigListEditor()
    for name in "abc":
        editor.add(DUMMY)
        editor.set_text(FIELD["model"], name)
    editor.select(1)
    return editor


def models(editor):
    return "".join(entry["model"] for entry in editor.entries)


# The list


@pytest.mark.parametrize("preset", presets())
def test_every_preset_is_an_entry_that_autogen_accepts(preset):
    editor = ConfigListEditor()
    editor.add(preset)
    assert editor.errors() == []
    assert not any(problem.warning for problem in editor.problems())


def test_add_appends_and_selects(editor):
    editor.add(SERVER)
    assert (len(editor.entries), editor.selected) == (4, 3)
    assert editor.entry["base_url"] == "http://localhost:8000/v1"


def test_duplicate_puts_a_copy_below_that_shares_nothing(editor):
    editor.duplicate()
    assert (models(editor), editor.selected) == ("abbc", 2)
    editor.entry["params"]["replies"] = "changed"
    assert editor.entries[1]["params"]["replies"] == "Hello from the dummy!"


def test_remove_selects_the_next_entry_and_at_the_end_the_one_before(editor):
    editor.remove()
    assert (models(editor), editor.entry["model"]) == ("ac", "c")
    editor.remove()
    assert (models(editor), editor.entry["model"]) == ("a", "a")
    editor.remove()
    assert (models(editor), editor.entry) == ("", None)


def test_move_takes_the_selection_along_and_stops_at_both_ends(editor):
    editor.move(-1)
    assert (models(editor), editor.selected) == ("bac", 0)
    editor.move(-1)
    assert (models(editor), editor.selected) == ("bac", 0)
    editor.select(2)
    editor.move(1)
    assert (models(editor), editor.selected) == ("bac", 2)


@pytest.mark.parametrize(("asked", "selected"), [(0, 0), (2, 2), (3, 2), (99, 2), (-1, 0)])
def test_select_stays_within_the_list(editor, asked, selected):
    editor.select(asked)
    assert editor.selected == selected


def test_an_empty_list_takes_every_action_and_stays_empty():
    editor = ConfigListEditor()
    for action in (editor.duplicate, editor.remove, lambda: editor.move(1), lambda: editor.select(5)):
        action()
    editor.set_text(FIELD["model"], "nobody's")
    editor.set_extra_text('{"a": 1}')
    assert (editor.entries, editor.entry, editor.selected) == ([], None, 0)
    assert editor.text(FIELD["model"]) == ""
    assert "the list is empty" in str(editor.problems()[0])


def test_whoever_watches_is_told_of_every_change(editor):
    seen = []
    editor.on_change.append(lambda: seen.append(models(editor)))
    editor.remove()
    editor.set_text(FIELD["model"], "x")
    editor.set_extra_text("{}")
    editor.undo()
    assert seen == ["ac", "ax", "ax", "ax"]


# The fields: texts become values


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("n", "3", 3),
        ("seed", " 42 ", 42),
        ("temperature", "0.5", 0.5),
        ("top_p", "1", 1.0),
        ("temperature", "0", 0.0),
        ("model", "  my model ", "my model"),
        ("model", "7", "7"),
    ],
)
def test_a_text_becomes_the_value_that_its_field_needs(editor, name, typed, value):
    editor.set_text(FIELD[name], typed)
    assert editor.entry[name] == value
    assert isinstance(editor.entry[name], type(value)) or isinstance(value, float)
    assert editor.told(name) == ""


def test_an_empty_text_removes_the_field(editor):
    editor.set_text(FIELD["n"], "3")
    editor.set_text(FIELD["n"], " ")
    assert "n" not in editor.entry


@pytest.mark.parametrize(
    ("name", "typed", "message"),
    [
        ("n", "two", "'two' is not used. This must be a whole number."),
        ("n", "2.5", "'2.5' is not used. This must be a whole number."),
        ("temperature", "0,5", "'0,5' is not used. This must be a number."),
        ("temperature", "nan", "'nan' is not used. This must be a number."),
        ("stream", "perhaps", "'perhaps' is not used. This must be yes or no."),
        ("stop", "[1, 2]", """'[1, 2]' is not used. This must be a text, or a list: ["one", "two"]."""),
        ("price", "[1, 2", "'[1, 2' is not used. This must be JSON."),
    ],
)
def test_a_text_that_is_no_number_stays_out_and_is_told_beside_its_field(editor, name, typed, message):
    editor.set(**{name: 1})
    editor.set_text(FIELD[name], typed)
    assert editor.entry[name] == 1
    assert editor.told(name) == message
    assert f"entry 1, '{name}': {message}" in map(str, editor.problems())
    with pytest.raises(ConfigListError, match=re.escape(message)):
        editor.save()
    editor.set_text(FIELD[name], "")
    assert editor.problems() == []


@pytest.mark.parametrize("typed", ["1.5", "-1"])
def test_a_number_that_autogen_refuses_is_told_beside_its_field(editor, typed):
    editor.set_text(FIELD["temperature"], typed)
    assert "is not allowed. Input should be" in editor.told("temperature")
    assert editor.told("n") == editor.told(EXTRA) == ""


def test_messages_are_those_of_the_selected_entry(editor):
    editor.set_text(FIELD["model"], "")
    assert "missing" in editor.told("model")
    editor.select(0)
    assert editor.told("model") == ""


# The extra fields, as JSON


def test_extra_fields_are_those_without_a_place_in_the_form(editor):
    assert json.loads(editor.extra_text()) == {"params": {"replies": "Hello from the dummy!"}}
    editor.set_extra_text('{"colours": [1, 2], "x": null}')
    assert editor.entry == {
        "model": "b",
        "model_client_cls": "DummyModelClient",
        "colours": [1, 2],
        "x": None,
    }
    editor.set_extra_text("  ")
    assert editor.entry == {"model": "b", "model_client_cls": "DummyModelClient"}


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ('{"price": [1, 2}', "Not used: line 1, column 17: not JSON"),
        ("[1]", "Not used: a list instead of an object"),
        ("price", "Not used: line 1, column 2: not JSON"),
        ('{"price": 1}, {"price": 2}', "Not used: one object is needed"),
        ('{"a": NaN}', "Not used: it can't be read as JSON"),
    ],
)
def test_json_that_is_none_stays_out_of_the_entry_and_is_told_beside_it(editor, typed, told):
    before = dict(editor.entry)
    editor.set_extra_text(typed)
    assert editor.entry == before
    assert told in editor.told(EXTRA)
    with pytest.raises(ConfigListError, match="Not used"):
        editor.save()


def test_a_masked_secret_keeps_its_value_when_its_neighbours_change(editor):
    secrets = {"their_key": "k1", "headers": [{"token": "k2"}, {"token": "k3"}], "keys": ["k4", "k5"]}
    editor.entry.update(secrets)
    extra = json.loads(editor.extra_text())
    assert extra["their_key"] == extra["headers"][1]["token"] == extra["keys"][0] == "**********"
    editor.set_extra_text(json.dumps({**extra, "price": [1, 2]}))
    assert {name: editor.entry[name] for name in secrets} == secrets
    editor.set_extra_text(json.dumps({**extra, "their_key": "new"}))
    assert editor.entry["their_key"] == "new"


def test_stars_that_hide_nothing_are_refused_since_they_would_be_saved_as_the_key(editor):
    editor.set_extra_text('{"api_key": "**********"}')
    assert editor.told(EXTRA) == ("Not used: these stars hide no value of this entry: write the value itself")
    assert "api_key" not in editor.entry


# Files


def test_what_was_saved_loads_again(editor, folder):
    editor.save()
    other = ConfigListEditor(folder / "OAI_CONFIG_LIST")
    other.load()
    assert other.entries == editor.entries
    other.set_text(FIELD["n"], "2")
    other.save()
    editor.save()
    assert "has changed since it was loaded" in editor.question.text
    assert '-    "n": 2' in editor.question.diff
    editor.answer(False)
    assert "n" in json.loads((folder / "OAI_CONFIG_LIST").read_text())[0]
    editor.save()
    editor.answer(True)
    assert "n" not in json.loads((folder / "OAI_CONFIG_LIST").read_text())[0]


def test_a_list_with_faulty_fields_loads_so_that_they_can_be_fixed_here(folder):
    (folder / "OAI_CONFIG_LIST").write_text('[{"model": "a", "model_client_cls": ["C"], "n": null}]')
    editor = ConfigListEditor()
    editor.load()
    assert "['C'] is not allowed" in editor.told("model_client_cls")
    assert "llm_config=LLMConfig" in editor.python()
    editor.set_text(FIELD["model_client_cls"], "C")
    editor.save()
    assert json.loads((folder / "OAI_CONFIG_LIST").read_text()) == [
        {"model": "a", "model_client_cls": "C", "n": None}
    ]


def test_what_can_not_be_loaded_leaves_the_entries_as_they_are(editor):
    with pytest.raises(ConfigListError, match="neither an environment variable nor a file"):
        editor.load()
    assert models(editor) == "abc"


def test_what_is_replaced_is_kept_beside_it(editor, folder):
    (folder / "OAI_CONFIG_LIST").write_text("something else")
    editor.save()
    editor.answer(True)
    assert (folder / "OAI_CONFIG_LIST.bak").read_text() == "something else"


def test_a_key_in_the_list_is_told_when_it_is_saved_and_that_git_would_take_it(editor, folder):
    editor.set(api_key="sk-plain")
    editor.save()
    assert editor.message.endswith("It holds a key in plain text.")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    editor.save()
    assert editor.message.endswith("It holds a key in plain text, and git does not ignore it.")
    (folder / ".gitignore").write_text("OAI_CONFIG_LIST")
    editor.save()
    assert editor.message.endswith("It holds a key in plain text.")
    editor.set(api_key="${MY_OWN_KEY}")
    editor.save()
    assert editor.message == "Saved 3 entries to OAI_CONFIG_LIST."


# Fixing with one press


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"temprature": 0.5}, {"temperature": 0.5}),
        ({"engine": "a"}, {"engine": "a"}),  # there is a model already
        ({"request_timeout": 5}, {"timeout": 5}),
        ({"api_type": "open_ai"}, {"api_type": "openai"}),
    ],
)
def test_a_field_with_a_known_remedy_is_fixed_in_its_place(editor, wrong, right):
    editor.set(**wrong, n=2)
    editor.fix()
    assert editor.entry == {**editor.entries[0], "model": "b", **right, "n": 2}
    assert list(editor.entry)[-1] == "n"
    assert editor.fixable() is None


def test_an_address_without_a_path_gets_its_v1(editor):
    editor.add(SERVER)
    editor.set(base_url="http://localhost:8000/")
    editor.fix()
    assert editor.entry["base_url"] == "http://localhost:8000/v1"


@pytest.mark.parametrize("stop", ["\n", "[DONE]", ["a", "b"], "plain"])
def test_any_stop_text_comes_back_from_its_input(editor, stop):
    editor.set(stop=stop)
    editor.set_text(FIELD["stop"], editor.text(FIELD["stop"]))
    assert editor.entry["stop"] in (stop, [stop])


def test_none_removes_a_field_and_an_unknown_preset_is_named(folder):
    editor = ConfigListEditor()
    editor.add("Dummy (no model)")
    editor.set(temperature=0.5, n=None)
    editor.set(temperature=None)
    assert "temperature" not in editor.entry and "n" not in editor.entry
    editor.undo()
    assert editor.entry["temperature"] == 0.5
    with pytest.raises(KeyError, match="There is no preset 'Dummy'; there are Dummy \\(no model\\), Local"):
        editor.add("Dummy")
