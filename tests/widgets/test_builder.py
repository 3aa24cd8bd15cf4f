"""The builder without a browser: values are set as the front end sets them, buttons are clicked."""

import json
import re
import sys

import pytest
from autogen import AssistantAgent
from ipywidgets import HTML, Button
from ipywidgets.embed import dependency_state

from kit import ConfigListBuilder, ConfigListError, DummyModelClient, register_model_clients
from kit.editor import EXTRA, FIELDS

pytestmark = pytest.mark.usefixtures("folder")
DUMMY = {"model": "dummy", "model_client_cls": "DummyModelClient"}
HOSTILE = '<img src=x onerror="alert(1)">&lt;'


def everything_in(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything_in(child)


def click(builder, text):
    next(w for w in everything_in(builder) if isinstance(w, Button) and w.description == text).click()


def named(builder, description):
    """Return the input with this label, as a person finds it."""
    return next(
        widget
        for widget in everything_in(builder)
        if getattr(widget, "description", None) == description and hasattr(widget, "value")
    )


def below(builder, widget):
    """Return the text of the message under an input, None while it is hidden."""
    label = builder.children[builder.children.index(widget) + 1]
    return label.value if label.layout.display != "none" else None


def status(builder):
    return builder._status.value


def extra(builder):
    return named(builder, "Extra (JSON)")


def write(entries, path="OAI_CONFIG_LIST"):
    with open(path, "w") as file:
        json.dump(entries, file)


@pytest.fixture
def builder():
    """A builder with one dummy entry, made as a person makes it."""
    builder = ConfigListBuilder()
    named(builder, "Preset").value = "Dummy (no model)"
    click(builder, "Add")
    return builder


# What a person sees


def test_an_empty_form_says_what_to_do_and_takes_no_text():
    builder = ConfigListBuilder()
    assert status(builder) == "The list is empty: choose a preset and press Add."
    assert all(named(builder, field.label).disabled for field in FIELDS)
    for text in ("Duplicate", "Remove", "Move up", "Move down"):
        click(builder, text)
    assert builder.editor.entries == []


def test_add_fills_the_form_from_the_preset(builder):
    assert named(builder, "Model").value == "dummy"
    assert named(builder, "Client class").value == "DummyModelClient"
    assert json.loads(extra(builder).value) == {"params": {"replies": "Hello from the dummy!"}}
    assert named(builder, "Entries").options == (("0: dummy (DummyModelClient)", 0),)
    assert status(builder) == "✔ AutoGen accepts this list (1)."
    assert not named(builder, "Model").disabled


def test_a_field_that_is_typed_shows_up_in_list_json_and_python(builder):
    named(builder, "Model").value = "my dummy"
    named(builder, "Max tokens").value = "20"
    assert builder.editor.entry["max_tokens"] == 20
    assert named(builder, "Entries").options == (("0: my dummy (DummyModelClient)", 0),)
    assert "&quot;model&quot;: &quot;my dummy&quot;" in builder._json.value
    assert "&#x27;max_tokens&#x27;: 20" in builder._code.value


def test_a_message_appears_next_to_its_field_and_goes_when_it_is_mended(builder):
    temperature = named(builder, "Temperature")
    temperature.value = "1.5"
    assert below(builder, temperature).startswith(
        "▲ 1.5 is not allowed. Input should be less than or equal to 1"
    )
    assert "✖ 1 to mend. First, entry 0, 'temperature'" in status(builder)
    temperature.value = "warm"
    assert below(builder, temperature) == "▲ 'warm' is not a number."
    assert temperature.value == "warm"  # the typist's text stays
    assert all(below(builder, named(builder, f.label)) is None for f in FIELDS if f.name != "temperature")
    temperature.value = "0.5"
    assert below(builder, temperature) is None
    assert status(builder).startswith("✔")


def test_extra_json_that_is_none_keeps_its_text_and_says_why(builder):
    extra(builder).value = '{"price": [1, 2}'
    assert below(builder, extra(builder)).startswith("▲ Not used: Expecting")
    assert extra(builder).value == '{"price": [1, 2}'
    extra(builder).value = '{"price": [1, 2]}'
    assert below(builder, extra(builder)) is None
    assert builder.config_list[0]["price"] == [1, 2]


def test_a_misspelt_field_is_a_remark_not_a_refusal(builder):
    extra(builder).value = '{"temprature": 1}'
    assert below(builder, extra(builder)) == (
        "▲ unknown field. Did you mean 'temperature'? It is passed on as it is."
    )
    assert status(builder).startswith("✔ AutoGen accepts this list (1). But entry 0, 'temprature'")
    assert builder.config_list


def test_selecting_an_entry_shows_its_fields_and_the_buttons_work_on_it(builder):
    click(builder, "Duplicate")
    named(builder, "Model").value = "second"
    named(builder, "Entries").value = 0
    assert named(builder, "Model").value == "dummy"
    click(builder, "Move down")
    assert [label for label, _ in named(builder, "Entries").options] == [
        "0: second (DummyModelClient)",
        "1: dummy (DummyModelClient)",
    ]
    assert named(builder, "Entries").value == 1
    click(builder, "Move up")
    click(builder, "Remove")
    assert [entry["model"] for entry in builder.config_list] == ["second"]
    assert named(builder, "Model").value == "second"


@pytest.mark.parametrize("field", [*(field.name for field in FIELDS), EXTRA])
def test_hostile_text_arrives_escaped_wherever_html_is_drawn(builder, field):
    text = json.dumps({HOSTILE: HOSTILE}) if field == EXTRA else HOSTILE
    builder._inputs[field].value = text
    named(builder, "File").value = HOSTILE
    drawn = [widget.value for widget in everything_in(builder) if isinstance(widget, HTML)]
    assert len(drawn) == 2
    assert ("&lt;img" in drawn[0]) == (field not in ("n", "max_tokens", "temperature", "top_p", "seed"))
    for markup in drawn:
        assert re.findall("<[^>]*", markup)[1:] == ["</pre"]
    states = dependency_state(builder, drop_defaults=False).values()
    assert not any(state["state"].get("description_allow_html") for state in states)


# Files


def test_an_existing_file_is_loaded_at_once():
    write([{**DUMMY, "n": 2}, {**DUMMY, "model": "second"}])
    builder = ConfigListBuilder()
    assert named(builder, "Choices (n)").value == "2"
    assert status(builder) == "Loaded 2 entries from OAI_CONFIG_LIST."
    assert builder.config_list[1]["model"] == "second"


def test_a_broken_file_is_told_at_once_and_left_alone(folder):
    (folder / "OAI_CONFIG_LIST").write_text("[{'model': 'a'}]")
    builder = ConfigListBuilder()
    assert "✖ OAI_CONFIG_LIST: line 1, column 3: this is Python, not JSON" in status(builder)
    named(builder, "Preset").value = "Dummy (no model)"
    click(builder, "Add")
    click(builder, "Save")
    assert "✖ OAI_CONFIG_LIST: exists already." in status(builder)
    assert (folder / "OAI_CONFIG_LIST").read_text() == "[{'model': 'a'}]"


def test_save_and_load_use_the_file_that_the_form_names(builder, folder):
    named(builder, "File").value = "other.json"
    click(builder, "Save")
    assert status(builder) == "Saved 1 entries to other.json."
    assert json.loads((folder / "other.json").read_text())[0]["model"] == "dummy"
    named(builder, "Model").value = "changed"
    click(builder, "Load")
    assert named(builder, "Model").value == "dummy"


@pytest.mark.parametrize(
    ("button", "file", "told"),
    [
        ("Load", "missing.json", "neither an environment variable nor a file of this name"),
        ("Load", ".", "can't be read: "),
        ("Load", "", "can't be read: "),
        ("Load", "x" * 300, "can't be read: "),
        ("Save", "missing/list.json", "can't be written: No such file or directory."),
        ("Save", ".", "can't be written: "),
        ("Save", "", "can't be written: "),
        ("Save", "x" * 300, "can't be written: "),
    ],
)
def test_what_a_button_can_not_do_becomes_a_message(builder, button, file, told):
    named(builder, "File").value = file
    click(builder, button)
    assert status(builder).startswith("✖ ")
    assert told in status(builder)


def test_a_missing_autogen_becomes_a_message_too(monkeypatch):
    write([DUMMY])
    monkeypatch.setitem(sys.modules, "autogen", None)
    assert "Checking a config list needs AutoGen classic: pip install" in status(ConfigListBuilder())


# What code gets


def test_what_is_in_the_form_feeds_an_agent(builder):
    agent = AssistantAgent("agent", llm_config=builder.llm_config)
    assert register_model_clients(agent, DummyModelClient).left == []
    assert agent.generate_reply(messages=[{"role": "user", "content": "Hi"}]) == "Hello from the dummy!"


def test_the_list_given_out_is_a_copy(builder):
    builder.config_list[0]["params"]["replies"] = "changed"
    assert builder.config_list[0]["params"]["replies"] == "Hello from the dummy!"


def test_a_faulty_form_gives_out_no_list(builder):
    named(builder, "Choices (n)").value = "two"
    for name in ("config_list", "llm_config"):
        with pytest.raises(ConfigListError, match="the list in the form: entry 0, 'n': 'two' is not a whole"):
            getattr(builder, name)


def test_the_repr_is_one_short_line_the_same_in_every_run(builder):
    assert repr(builder) == "ConfigListBuilder: OAI_CONFIG_LIST, dummy (DummyModelClient)"
    assert repr(ConfigListBuilder("new.json")) == "ConfigListBuilder: new.json, no entries"
