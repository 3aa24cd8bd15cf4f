"""A key shows up nowhere: not in a repr, a message, a warning, a preview, a program or a widget's state."""

import json
import pprint
import warnings

import pytest
from IPython.lib.pretty import pretty
from ipywidgets.embed import dependency_state

from kit import ConfigListBuilder, register_model_clients
from kit.config_list import ConfigListError, load_config_list, masked, parse_config_list, save_config_list
from kit.editor import ConfigListEditor

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


def test_neither_state_nor_repr_of_the_builder_holds_a_secret(entries):
    """The state of every widget is what a notebook saves."""
    builder = ConfigListBuilder()
    assert builder.editor.entry["api_key"] == KEY
    state = dependency_state(builder, drop_defaults=False)
    assert len(state) > 40  # the form, its layouts and its buttons
    assert not shown(json.dumps(state))
    assert not shown(repr(builder) + repr(builder.config_list))


def test_a_key_that_is_typed_into_the_builder_leaves_its_widgets_at_once():
    builder = ConfigListBuilder()
    builder.editor.add("OpenAI-compatible server")
    builder._tabs.selected_index = builder._tabs.titles.index("Other fields")
    builder._extra.value = json.dumps({"my_key": KEY})
    assert builder.editor.entry["my_key"] == KEY
    assert not shown(json.dumps(dependency_state(builder, drop_defaults=False)))


def test_registrations_show_no_secret(entries):
    from autogen import ConversableAgent, LLMConfig

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent = ConversableAgent("agent", llm_config=LLMConfig(*entries))
    assert not shown(repr(register_model_clients(agent)) + repr(register_model_clients(agent).left))


def test_nested_objects_that_were_parsed_mask_themselves():
    headers = parse_config_list(json.dumps([ENTRY]))[0]["default_headers"]
    assert repr(headers) == "{'Authorization': '**********', 'X-Api-Key': '**********', 'X-Room': '12'}"
