"""The state behind the builder: what each button and each field does, without a widget."""

import json
import subprocess
from pathlib import Path

import pytest

from kit import DummyModelClient
from kit.config_list.fields import FIELDS, presets
from kit.config_list.lists import ConfigListError
from kit.config_list.secrets import resolved
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


def message_of(editor, name):
    """Return what is wrong with a field of the selected entry."""
    return " ".join(problem.message for problem in editor.problems_of(name))


# The list


@pytest.mark.parametrize("preset", presets())
def test_every_preset_is_an_entry_that_autogen_accepts(preset):
    editor = ConfigListEditor()
    editor.add(preset)
    assert all(problem.warning or problem.only_here for problem in editor.problems())


@pytest.mark.parametrize(
    ("preset", "fields"),
    [
        ("OpenAI-compatible server", {"model"}),
        ("Azure OpenAI", {"model", "base_url"}),
        ("A class of your own", {"model_client_cls"}),
        (DUMMY, set()),
    ],
)
def test_a_placeholder_is_no_success(preset, fields):
    class MyModelClient(DummyModelClient):
        pass

    editor = ConfigListEditor(namespace={})
    editor.add(preset)
    assert {problem.field for problem in editor.problems() if problem.warning} == fields
    editor.set(**dict.fromkeys(fields - {"model_client_cls"}, "https://real.example/v1"))
    known = ConfigListEditor(namespace={"MyModelClient": MyModelClient})
    known.paste(json.dumps(editor.entries))
    assert not any(problem.warning for problem in known.problems())


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


def test_whoever_watches_hears_of_every_change(editor):
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
    assert editor.problems_of(name) == []


def test_an_empty_text_removes_the_field(editor):
    editor.set_text(FIELD["n"], "3")
    editor.set_text(FIELD["n"], " ")
    assert "n" not in editor.entry


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("n", "two"),
        ("n", "2.5"),
        ("temperature", "0,5"),
        ("temperature", "nan"),
        ("stream", "perhaps"),
        ("stop", "[1, 2]"),
        ("price", "[1, 2"),
    ],
)
def test_a_text_that_does_not_fit_stays_out_and_is_shown_with_its_field(editor, name, typed):
    editor.set(**{name: 1})
    editor.set_text(FIELD[name], typed)
    assert editor.entry[name] == 1
    (problem,) = editor.problems_of(name)
    assert (problem.entry, problem.field, problem.warning) == (1, name, False)
    assert f"'{typed}' is not used. This must be" in problem.message
    assert problem in editor.problems()
    with pytest.raises(ConfigListError) as caught:
        editor.save()
    assert caught.value.problems == [problem]
    editor.set_text(FIELD[name], "")
    assert editor.problems() == []


@pytest.mark.parametrize("typed", ["1.5", "-1"])
def test_a_number_that_autogen_refuses_is_shown_with_its_field(editor, typed):
    editor.set_text(FIELD["temperature"], typed)
    assert "is not allowed" in message_of(editor, "temperature")
    assert editor.problems_of("n") == editor.problems_of(EXTRA) == []


def test_messages_are_those_of_the_selected_entry(editor):
    editor.set_text(FIELD["model"], "")
    assert "missing" in message_of(editor, "model")
    editor.select(0)
    assert editor.problems_of("model") == []


# The other fields, as JSON


def test_the_other_fields_are_those_without_an_input_of_their_own(editor):
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
    assert editor.extra_text() == ""


def test_a_field_with_an_input_moves_there_and_others_keep_their_values(editor):
    editor.set_text(FIELD["n"], "2")
    editor.set_extra_text('{"temperature": 0.5, "x": 1}')
    assert editor.text(FIELD["temperature"]) == "0.5"
    assert json.loads(editor.extra_text()) == {"x": 1}
    assert editor.entry["n"] == 2


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ('{"price": [1, 2}', "line 1, column 17"),
        ("[1]", "a list instead of an object"),
        ("price", "line 1, column 2"),
        ('{"price": 1}, {"price": 2}', "one object is needed"),
        ('{"a": NaN}', "can't be read as JSON"),
        ('{"a": 1, "a": 2}', "twice"),
    ],
)
def test_other_fields_that_are_not_json_stay_out_and_are_shown_with_their_input(editor, typed, reason):
    before = dict(editor.entry)
    editor.set_extra_text(typed)
    assert editor.entry == before
    (problem,) = editor.problems_of(EXTRA)
    assert "Not used" in problem.message and reason in problem.message
    with pytest.raises(ConfigListError) as caught:
        editor.save()
    assert caught.value.problems == [problem]


def test_a_masked_secret_keeps_its_value_when_its_neighbours_change(editor, monkeypatch):
    monkeypatch.setenv("MODEL_THEIR_KEY", "")  # gone at the end
    secrets = {"their_key": "k1", "headers": [{"token": "k2"}, {"token": "k3"}], "keys": ["k4", "k5"]}
    editor.entry.update(secrets)
    extra = json.loads(editor.extra_text())
    assert extra["their_key"] == extra["headers"][1]["token"] == extra["keys"][0] == "**********"
    editor.set_extra_text(json.dumps({**extra, "price": [1, 2]}))
    assert {name: editor.entry[name] for name in secrets} == secrets
    editor.set_extra_text(json.dumps({**extra, "their_key": "new"}))
    assert resolved(editor.entry)["their_key"] == "new"


def test_stars_that_hide_nothing_are_refused_since_they_would_be_saved_as_the_key(editor):
    editor.set_extra_text('{"api_key": "**********"}')
    assert "these stars hide no value" in message_of(editor, EXTRA)
    assert "api_key" not in editor.entry


def test_a_name_that_nobody_knows_is_a_warning_with_the_other_fields(editor):
    editor.set_extra_text('{"temprature": 1}')
    (problem,) = editor.problems_of(EXTRA)
    assert (problem.field, problem.warning) == ("temprature", True)


# What the class gets at registration


def test_the_arguments_are_those_of_the_selected_entrys_class(editor):
    assert editor.class_arguments() == {"replies": "None", "delay": "0", "on_text": "None"}
    editor.set_argument("delay", " 0.5 ")
    editor.set_argument("replies", "'Hi'")
    assert editor.typed_arguments() == {"delay": "0.5", "replies": "'Hi'"}
    editor.undo()
    assert editor.typed_arguments() == {"delay": "0.5"}
    editor.set_argument("delay", "")
    assert editor.typed_arguments() == {}
    editor.undo()
    editor.add(SERVER)
    assert editor.class_arguments() == editor.typed_arguments() == {}
    editor.set_argument("delay", "1")  # there is no class to get it
    editor.select(0)
    assert editor.typed_arguments() == {"delay": "0.5"}


def test_an_argument_that_is_not_python_is_a_problem_but_not_one_of_a_field(editor):
    editor.set_argument("delay", "long")
    assert editor.typed_arguments() == {}
    (problem,) = editor.problems()
    assert problem.field == "delay="
    assert editor.problems_of(EXTRA) == []


def test_only_a_model_that_is_loaded_here_has_names_to_choose_from_and_a_size(
    editor, local_model_folder, monkeypatch
):
    monkeypatch.setenv("KIT_MODELS", str(Path(local_model_folder).parent))
    assert (editor.models(), editor.what_loading_takes()) == ([], "")
    editor.set(model_client_cls="HuggingFaceModelClient", model=local_model_folder)
    assert any(name.endswith(Path(local_model_folder).name) for name in editor.models())
    assert "GB" in editor.what_loading_takes()


# Filters


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ('{"model": ["a", "c"]}', "Keeps 2 of 3: 0, 2"),
        ("", "Keeps 3 of 3: 0, 1, 2"),
        ('{"model": ["x"]}', "keeps no entry"),
        ("small", "A filter is an object of lists"),
        ("[1]", "A filter is an object of lists"),
    ],
)
def test_a_filter_is_answered_in_words(editor, typed, kept):
    assert kept in editor.kept(typed)


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
    assert "['C'] is not allowed" in message_of(editor, "model_client_cls")
    assert "llm_config=LLMConfig" in editor.python()
    editor.set_text(FIELD["model_client_cls"], "C")
    editor.save()
    assert json.loads((folder / "OAI_CONFIG_LIST").read_text()) == [
        {"model": "a", "model_client_cls": "C", "n": None}
    ]


def test_pasted_python_that_reads_variables_becomes_references_once_agreed_to(editor, monkeypatch):
    monkeypatch.setenv("X_API_KEY", "recognisable")
    editor.paste('import os\nconfig_list = [{"model": "p", "api_key": os.getenv("X_API_KEY")}]')
    assert "JSON can't call anything" in editor.question.text
    editor.answer(True)
    assert editor.entries == [{"model": "p", "api_key": "${X_API_KEY}"}]


def test_what_can_not_be_loaded_leaves_the_entries_as_they_are(editor):
    with pytest.raises(ConfigListError, match="neither an environment variable nor a file"):
        editor.load()
    assert models(editor) == "abc"


def test_what_is_replaced_is_kept_beside_it(editor, folder):
    (folder / "OAI_CONFIG_LIST").write_text("something else")
    editor.save()
    editor.answer(True)
    assert (folder / "OAI_CONFIG_LIST.bak").read_text() == "something else"


def test_saving_says_that_the_list_holds_a_key_and_that_git_would_take_it(editor, folder):
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
    ("name", "wrong", "right", "words"),
    [
        (EXTRA, {"temprature": 0.5}, {"temperature": 0.5}, "Rename it to temperature"),
        (EXTRA, {"engine": "a"}, {"engine": "a"}, ""),  # there is a model already
        (EXTRA, {"request_timeout": 5}, {"request_timeout": 5}, ""),  # a field of the class's own
        ("api_type", {"api_type": "open_ai"}, {"api_type": "openai"}, "Use openai"),
        ("n", {"temprature": 0.5}, {"temprature": 0.5}, ""),
    ],
)
def test_a_field_with_a_known_remedy_is_fixed_in_its_place(editor, name, wrong, right, words):
    editor.set(**wrong, n=2)
    assert editor.fix_of(name) == words
    editor.fix(name)
    assert editor.entry == {**editor.entries[0], "model": "b", **right, "n": 2}
    assert list(editor.entry)[-1] == "n"
    assert editor.fix_of(name) == ""


def test_an_address_without_a_path_gets_its_v1(editor):
    editor.add(SERVER)
    editor.set(base_url="http://localhost:8000/")
    editor.fix("base_url")
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
    with pytest.raises(KeyError, match="no preset 'Dummy'; there are Dummy"):
        editor.add("Dummy")
