"""A key shows up nowhere: not in a repr, a message, a warning, a preview, a program or a widget's state."""

import copy
import json
import os
import pprint
import traceback
import warnings
from unittest import mock

import pytest
from IPython.lib.pretty import pretty

from kit import register_model_clients
from kit.checks.diagnose import diagnose
from kit.checks.explain import explain
from kit.config_list.fields import FIELDS
from kit.config_list.lists import ConfigListError, load_config_list, parse_config_list, save_config_list
from kit.config_list.secrets import hide_secrets, masked
from kit.widgets.editor import ConfigListEditor

pytestmark = pytest.mark.usefixtures("folder")
KEY = "sk-recognisable"
SECRET = "hunter2-recognisable"  # looks like no key: only the name of its field tells
ENTRY = {
    "model": "a",
    "model_client_cls": "C",
    "api_key": KEY,
    "azure_ad_token": SECRET,
    "default_headers": {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "X-Room": "12"},
    "params": {"password": SECRET, "servers": [{"apikey": SECRET}], "keys": [SECRET, SECRET]},
    "api_kye": KEY,
}


def shown(text):
    """Return whether a text gives a secret away."""
    return "recognisable" in text


@pytest.fixture
def entries(folder):
    (folder / "OAI_CONFIG_LIST").write_text(json.dumps([ENTRY]))
    with pytest.warns(UserWarning, match="api_kye") as warned:
        loaded = load_config_list()
    assert not any(shown(str(warning.message)) for warning in warned)
    return loaded


def test_no_repr_shows_a_secret(entries):
    entry = entries[0]
    assert entry["api_key"] == KEY  # it is there
    params = entry["params"]
    for thing in (entries, entries[:1], entry, entry["default_headers"], params, params["servers"]):
        for text in (repr(thing), str(thing), f"{thing}", pprint.pformat(thing), pretty(thing)):
            assert not shown(text)
            assert "**********" in text


def test_what_is_no_secret_stays_readable():
    for entry in (
        {"max_tokens": "12", "max_new_tokens": 9, "keyboard": "qwerty", "model": "sk", "X-Room": "12"},
        {"api_key": "not-needed", "token": "", "secret": None, "use_key": True},
    ):
        assert masked(entry) == entry


BROKEN = [
    "[{'api_key': '%s', 'model': 'a'}]",
    '[{"api_key": "%s", "model": "a",}]',
    '[{"api_key": "%s" "model": "a"}]',
    '{"api_key": "%s", "model": "a"}',
    '{"config_list": [{"api_key": "%s"}]}',
    '"%s"',
    '["%s"]',
    '[["api_key", "%s"]]',
    '[{"model": "a", "api_key": "%s", "api_key": "%s"}]',
    '[{"api_key": "%s"}]',
    '[{"model": "", "api_key": "%s"}]',
    '[{"model": ["a"], "api_key": "%s", "temperature": 7, "tags": "b"}]',
    '[{"model": "a", "model_client_cls": "C", "api_key": ["%s"]}]',
    '[{"model": "a", "model_client_cls": "C", "api_key": {"value": "%s"}}]',
    '[{"model": "a", "model_client_cls": "C", "default_headers": [{"Authorization": "%s"}]}]',
    '[{"model": "a", "model_client_cls": "C", "extra_headers": {"x-api-key": ["%s"]}}]',
    '[{"model": "a", "model_client_cls": "C", "api_kye": "%s", "temperature": 9}]',
    '[{"model": "a", "api_type": "azure", "api_key": "%s"}]',
    '[{"model": "a", "api_type": "google", "api_key": "%s"}]',
]
MISPLACED = ['[{"model": "a", "api_type": "%s"}]', '[{"model": "a", "model_client_cls": "%s"}]',
             '[{"model": "a", "model_client_cls": "C", "tags": "%s"}]']  # fmt: skip


@pytest.mark.parametrize(
    ("text", "secret"),
    [(text, SECRET) for text in BROKEN] + [(text, KEY) for text in BROKEN + MISPLACED],
)
def test_no_error_about_a_broken_list_shows_a_secret(text, secret, folder):
    (folder / "broken.json").write_text(text.replace("%s", secret))
    with pytest.raises(ConfigListError) as caught:
        load_config_list("broken.json")
    assert not shown(f"{caught.value} {caught.value!r} {caught.value.problems}")


def test_no_error_of_filtering_or_saving_shows_a_secret(entries):
    with pytest.raises(ConfigListError) as filtered:
        load_config_list(filter_dict={"api_key": ["sk-another-recognisable"]})
    with pytest.raises(ConfigListError, match="has no JSON form") as not_json:
        save_config_list([{**ENTRY, "params": {"password": SECRET, "now": print}}], "new.json")
    assert not shown(f"{filtered.value} {not_json.value}")


def test_previews_and_programs_show_no_secret(entries):
    editor = ConfigListEditor()
    editor.load()
    assert not shown(editor.preview() + editor.python() + editor.extra_text())
    assert '"X-Room": "12"' in editor.preview()
    assert "os.environ[" in editor.python()


def test_registrations_show_no_secret(entries):
    from autogen import ConversableAgent, LLMConfig

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent = ConversableAgent("agent", llm_config=LLMConfig(*entries))
    assert not shown(repr(register_model_clients(agent)) + repr(register_model_clients(agent).left))


def test_nested_objects_that_were_parsed_mask_themselves():
    headers = parse_config_list(json.dumps([ENTRY]))[0]["default_headers"]
    assert repr(headers) == "{'Authorization': '**********', 'X-Api-Key': '**********', 'X-Room': '12'}"


# A key that is typed


FIELD = {field.name: field for field in FIELDS}
TYPED = [KEY, SECRET, f"  {SECRET} ", "hunter2=/+recognisable"]


@pytest.fixture
def environment():
    """An environment that a test may change; what it sets is gone afterwards."""
    with mock.patch.dict(os.environ):
        for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_2", "AZURE_OPENAI_API_KEY"):
            os.environ.pop(name, None)
        yield os.environ


@pytest.fixture
def editor(environment):
    editor = ConfigListEditor(namespace={})
    editor.add("OpenAI")
    return editor


def everything(editor):
    """Return all texts that an editor has to show."""
    texts = [editor.preview(), editor.python(), editor.extra_text(), editor.message, editor.key_state()]
    texts += [repr(editor.entries), *map(str, editor.problems()), editor.kept("{}")]
    texts += [*editor.unparsed.values(), *(editor.text(field) for field in FIELDS), repr(editor.question)]
    return "\n".join(texts)


@pytest.mark.parametrize("key", TYPED)
@pytest.mark.parametrize("way", ["set_key", "set_key_variable"])
def test_a_key_that_is_typed_is_kept_in_the_environment_alone(editor, environment, folder, key, way):
    getattr(editor, way)(key)
    assert environment["OPENAI_API_KEY"] == key.strip()
    assert editor.entry["api_key"] == "${OPENAI_API_KEY}"
    assert "✔ OPENAI_API_KEY is set" in editor.key_state()
    assert not shown(everything(editor))
    editor.save()
    assert not shown((folder / "OAI_CONFIG_LIST").read_text())
    assert not shown(everything(editor))


def test_a_second_key_gets_a_variable_of_its_own_and_the_first_one_stays(environment):
    environment["OPENAI_API_KEY"] = "sk-set-before"
    editor = ConfigListEditor(namespace={})
    editor.add("OpenAI")
    editor.set_key(KEY)
    assert environment["OPENAI_API_KEY"] == "sk-set-before"
    assert environment["OPENAI_API_KEY_2"] == KEY
    assert editor.entry["api_key"] == "${OPENAI_API_KEY_2}"


@pytest.mark.parametrize(
    "key", ["hunter2\0recognisable", "hunter2\nrecognisable", "hunter2\ud800recognisable"]
)
def test_what_no_environment_can_hold_is_refused_without_being_shown(editor, key):
    with pytest.raises(ValueError, match="can't be a key") as caught:
        editor.set_key(key)
    assert not shown(str(caught.value) + everything(editor))


def test_undo_and_redo_show_no_key_and_keep_none_that_was_typed(editor):
    editor.set_key(SECRET)
    assert not shown("".join(step.stored + json.dumps(step.entries) for step in editor._past))
    editor.set(api_key=KEY)
    editor.undo()
    assert not shown(everything(editor) + repr(editor._past) + repr(editor._future))
    editor.redo()
    assert editor.entry["api_key"] == KEY
    assert not shown(everything(editor))


@pytest.mark.parametrize(
    "fields",
    [
        {"their_key": SECRET},
        {"params": {"password": SECRET}},
        {"default_headers": {"Authorization": SECRET}},
        {"colour": KEY},
        {"token": {"value": SECRET}},
        {"password": SECRET, "api_kye": KEY},
    ],
)
@pytest.mark.parametrize("break_it", [lambda text: text[:-1], lambda text: text.replace('"', "'", 1), repr])
def test_a_key_in_a_text_that_is_not_used_is_not_shown(editor, fields, break_it):
    editor.set_extra_text(break_it(json.dumps(fields)))
    editor.set_text(FIELD["n"], KEY)
    editor.set_text(FIELD["temperature"], KEY)
    assert len(editor.unparsed) == 3
    with pytest.raises(ConfigListError) as caught:
        editor.save()
    assert not shown(everything(editor) + str(caught.value))


# A key in a text that is pasted, or in a file that is broken


NEARLY = [
    text for text in BROKEN if text.startswith(("[{", "{")) and '"%s"' in text and "api_kye" not in text
]


@pytest.mark.parametrize("secret", [KEY, SECRET])
@pytest.mark.parametrize("text", NEARLY)
def test_pasting_and_fixing_show_no_secret(editor, environment, text, secret):
    text = text.replace("%s", secret).replace("}]", ",}]", 1)
    editor.paste(text)
    assert editor.question is not None
    assert not shown(editor.question.text + editor.question.diff + everything(editor))
    editor.answer(True)
    assert secret in environment.values()  # it is there
    assert not shown(json.dumps(editor.entries))
    assert not shown(everything(editor))


@pytest.mark.parametrize("secret", [KEY, SECRET])
def test_a_text_that_can_not_be_fixed_is_refused_without_being_shown(editor, secret):
    for text in (f"my key is {secret}", f"['{secret}']", f'"{secret}"', f"{secret}"):
        with pytest.raises(ConfigListError) as caught:
            editor.paste(text)
        assert not shown(str(caught.value) + everything(editor))


@pytest.mark.parametrize(
    "there", [f"[{{'model': 'a', 'api_key': '{SECRET}'}},]", json.dumps([ENTRY]), f"x {KEY}"]
)
def test_what_a_save_would_replace_shows_no_secret(editor, folder, there):
    (folder / "OAI_CONFIG_LIST").write_text(there)
    editor.save()
    assert "**********" in editor.question.diff
    assert not shown(editor.question.diff + everything(editor))


@pytest.mark.parametrize("text", [text for text in BROKEN if text.startswith("[")])
def test_no_traceback_of_a_refused_list_shows_a_secret(text, folder):
    (folder / "broken.json").write_text(text.replace("%s", SECRET))
    for call in (
        lambda: load_config_list("broken.json"),
        lambda: parse_config_list(text.replace("%s", SECRET) + "]"),
    ):
        with pytest.raises(ConfigListError) as caught:
            call()
        assert not shown("".join(traceback.format_exception(caught.value)))
    assert not shown(repr(diagnose("broken.json")) + diagnose("broken.json")._repr_html_())


# References


def test_saving_what_was_loaded_writes_the_reference_and_never_the_key(folder, monkeypatch):
    monkeypatch.setenv("MY_OWN_KEY", SECRET)
    headers = {"Authorization": "${MY_OWN_KEY}", "X-Room": "12"}
    written = [{**ENTRY, "api_key": "${MY_OWN_KEY}", "default_headers": headers, "keys": ["${MY_OWN_KEY}"]}]
    for name in ("azure_ad_token", "params", "api_kye"):
        del written[0][name]
    (folder / "list.json").write_text(json.dumps(written))
    loaded = load_config_list("list.json")
    entry = loaded[0]
    assert entry["api_key"] == entry["default_headers"]["Authorization"] == entry["keys"][0] == SECRET
    assert not shown(repr(loaded))
    loaded[0]["n"] = 2
    for entries in (loaded, copy.deepcopy(loaded), [dict(loaded[0])], save_config_list(loaded)):
        save_config_list(entries, "copy.json", overwrite=True)
        assert json.loads((folder / "copy.json").read_text()) == [{**written[0], "n": 2}]


def test_a_form_given_loaded_entries_writes_references_too(editor, folder, monkeypatch):
    monkeypatch.setenv("MY_OWN_KEY", SECRET)
    (folder / "list.json").write_text('[{"model": "a", "model_client_cls": "C", "api_key": "${MY_OWN_KEY}"}]')
    editor.set(**load_config_list("list.json")[0])
    editor.save("other.json")
    assert not shown((folder / "other.json").read_text())


# What others say


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}. Find yours at https://platform.openai.com.",
        f"Error code: 401 - {{'error': {{'message': 'wrong key {KEY}'}}}}",
        f"headers: {{'Authorization': 'Bearer {SECRET}'}}",
        f'{{"api_key": "{SECRET}"}}',
        f"OpenAI(api_key='{SECRET}', timeout=5)",
        f"the environment says {SECRET} today",
        f"({SECRET})",
        f"https://host/v1?key={SECRET}",
    ],
)
def test_messages_of_others_lose_their_keys(text, monkeypatch):
    monkeypatch.setenv("MY_SERVERS_TOKEN", SECRET)
    assert "**********" in hide_secrets(text)
    assert not shown(hide_secrets(text))
    for error in (RuntimeError(text), ImportError(text), ValueError("x" * 290 + text)):
        assert not shown(repr(explain(error)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The capital of France is Paris.",
        "a risk-free, task-based way",
        "max_tokens: '12', keyboard = \"qwerty\"",
        "api_key='not-needed'",
        "api_key: ${MY_OWN_KEY}",
        '"api_key": "${MY_OWN_KEY}"',
        "os.environ['OPENAI_API_KEY']",
    ],
)
def test_messages_without_a_key_stay_as_they_are(text):
    assert hide_secrets(text) == text


@pytest.mark.parametrize("write", [str, repr, json.dumps, lambda key: f"<{key}>", lambda key: f"key={key}."])
@pytest.mark.parametrize(
    "secret", [SECRET, 'rec"ognisable', "rec\\ognisable", "récognisable", "rec\nognisable"]
)
def test_an_entrys_own_keys_are_hidden_however_they_are_written(write, secret):
    for entry in ({"api_key": secret}, {"params": {"their_keys": [secret]}}):
        assert "ognisable" not in hide_secrets(f"I was given {write(secret)} today", entry)


def test_hiding_takes_no_time_worth_telling_even_in_a_long_word():
    """A pattern that starts anew at each letter takes minutes for an image in base64."""
    import time

    start = time.perf_counter()
    hide_secrets("a" * 200_000 + '"')
    assert time.perf_counter() - start < 5
