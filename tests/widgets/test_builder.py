"""The builder without a browser: values are set as the front end sets them, buttons are clicked."""

import json
import re
import sys

import pytest
from autogen import AssistantAgent
from ipywidgets import HTML, Button, HTMLMath
from ipywidgets.embed import dependency_state
from ipywidgets.widgets.widget import _instances

from kit import ConfigListBuilder, ConfigListError, DummyModelClient, register_model_clients
from kit.config_list.fields import FIELDS

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
    """Return the text under an input."""
    parts = [*everything_in(builder)]
    return parts[parts.index(widget) + 1].value


def status(builder):
    return builder._status.text


def extra(builder):
    return named(builder, "Other fields (JSON)")


def open_tab(builder, title):
    builder._tabs.selected_index = builder._tabs.titles.index(title)


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
    assert "The list is empty" in status(builder)
    assert all(named(builder, field.label).disabled for field in FIELDS)
    assert extra(builder).disabled
    for text in ("Duplicate", "Remove", "Move up", "Move down"):
        click(builder, text)
    assert builder.editor.entries == []


def test_add_fills_the_form_from_the_preset(builder):
    assert named(builder, "Model").value == "dummy"
    assert named(builder, "Client class").value == "DummyModelClient"
    assert json.loads(extra(builder).value) == {"params": {"replies": "Hello from the dummy!"}}
    assert named(builder, "Entries").options == (("0: dummy (DummyModelClient)", 0),)
    assert status(builder).startswith("✔") and "Not saved" in status(builder)
    assert not named(builder, "Model").disabled
    assert not extra(builder).disabled


def test_a_field_that_is_typed_shows_up_in_list_json_and_python(builder):
    named(builder, "Model").value = "my dummy"
    named(builder, "Max tokens").value = "20"
    assert builder.editor.entry["max_tokens"] == 20
    assert named(builder, "Entries").options == (("0: my dummy (DummyModelClient)", 0),)
    assert '"model": "my dummy"' in builder._json.text
    open_tab(builder, "Python")
    assert "'max_tokens': 20" in builder._code.text


def test_a_message_takes_the_place_of_the_explanation_until_it_is_fixed(builder):
    temperature = named(builder, "Temperature")
    explanation = below(builder, temperature)
    assert explanation.endswith("; 0 to 1")
    temperature.value = "1.5"
    assert below(builder, temperature).startswith("✖ 1.5 is not allowed.")
    assert "✖ 1 to fix. First, entry 0, 'temperature'" in status(builder)
    assert named(builder, "Entries").options == (("0: dummy (DummyModelClient) ✖", 0),)
    temperature.value = "warm"
    assert below(builder, temperature).startswith("✖ 'warm' is not used.")
    assert temperature.value == "warm"  # the typist's text stays
    others = [named(builder, field.label) for field in FIELDS if field.name != "temperature"]
    assert not any(below(builder, widget).startswith(("✖", "▲")) for widget in [*others, extra(builder)])
    temperature.value = "0.5"
    assert below(builder, temperature) == explanation
    assert status(builder).startswith("✔")


def test_the_form_shows_the_fields_of_this_kind_of_entry(builder):
    def shown():
        inputs = [named(builder, field.label) for field in FIELDS]
        return [widget.description for widget in inputs if widget.layout.display != "none"]

    assert shown() == ["Model", "Client class", "Choices (n)", "Max tokens", "Temperature"]
    named(builder, "More fields").value = True
    assert {"Top p", "Stop", "Seed", "Stream", "Price", "Tags"} < set(shown())
    assert "Timeout" not in shown()
    builder.editor.add("Azure OpenAI")
    assert {"Server address", "API version", "Deployment", "Timeout", "Retries"} < set(shown())
    named(builder, "More fields").value = False
    assert "Timeout" not in shown()
    builder.editor.set(timeout=30)
    assert "Timeout" in shown()  # what an entry has is never hidden


def test_the_parts_of_the_form_come_in_this_order(builder):
    named(builder, "More fields").value = True
    labels = [getattr(widget, "description", "") for widget in everything_in(builder)]
    parts = ["File", "Load", "Preset", "Add", "Entries", "Undo", "Model", "Client class", "Find my classes"]
    parts += ["Temperature", "Key's variable", "Key", "More fields", "Tags", "Other fields (JSON)", "replies"]
    parts += ["Message"]  # in a tab
    assert [label for label in labels if label in parts] == parts


def test_other_fields_are_typed_as_json(builder):
    explanation = below(builder, extra(builder))
    extra(builder).value = '{"x": [1, 2}'
    assert below(builder, extra(builder)).startswith("✖ Not used: line 1, column 13")
    assert extra(builder).value == '{"x": [1, 2}'  # the typist's text stays
    assert builder.editor.entry["params"]
    extra(builder).value = '{"x": [1, 2]}'
    assert below(builder, extra(builder)) == explanation
    assert builder.config_list == [{**DUMMY, "x": [1, 2]}]
    extra(builder).value = ""
    assert builder.config_list == [DUMMY]


def test_what_a_class_takes_at_registration_is_asked_for_below(builder):
    named(builder, "replies").value = "'typed'"
    open_tab(builder, "Python")
    assert "agent.register_model_client(DummyModelClient, replies='typed')" in builder._code.text
    named(builder, "replies").value = "typed"  # neither a literal nor a variable
    assert named(builder, "replies").value == "typed"
    assert "Not used" in status(builder)
    named(builder, "Client class").value = "HuggingFaceModelClient"
    assert named(builder, "tokenizer").placeholder.startswith("None;")
    named(builder, "Client class").value = "Nobody"
    assert list(builder._arguments.children) == []


def test_undo_and_redo(builder):
    named(builder, "Model").value = "second"
    click(builder, "Undo")
    assert named(builder, "Model").value == "dummy"
    click(builder, "Redo")
    assert named(builder, "Model").value == "second"
    click(builder, "Redo")
    assert status(builder).startswith("Nothing to redo.")


def test_a_misspelt_field_is_a_remark_not_a_refusal(builder):
    extra(builder).value = '{"temprature": 1}'
    assert below(builder, extra(builder)).startswith("▲ unknown field. Did you mean 'temperature'?")
    assert status(builder).startswith("✔") and "But entry 0, 'temprature'" in status(builder)
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


def test_nothing_is_drawn_as_html(builder):
    """tests/browser types hostile text into a real page; here no widget could even draw it."""
    assert not any(isinstance(widget, (HTML, HTMLMath)) for widget in everything_in(builder))
    states = dependency_state(builder, drop_defaults=False).values()
    assert not any(state["state"].get("description_allow_html") for state in states)


# Files


def test_an_existing_file_is_loaded_at_once():
    write([{**DUMMY, "n": 2}, {**DUMMY, "model": "second"}])
    builder = ConfigListBuilder()
    assert named(builder, "Choices (n)").value == "2"
    assert status(builder).startswith("Loaded 2 entries from OAI_CONFIG_LIST. ✔")
    assert builder.config_list[1]["model"] == "second"


def test_a_broken_file_is_offered_fixed_and_left_alone_until_it_is_saved(folder):
    (folder / "OAI_CONFIG_LIST").write_text("[{'model': 'a', 'model_client_cls': 'A'},]")
    builder = ConfigListBuilder()
    assert "this is Python, not JSON" in builder._asked.text
    assert "-[{'model': 'a'" in builder._changes.text
    assert '+    "model": "a"' in builder._changes.text
    assert builder._question.layout.display != "none"
    assert builder.editor.entries == []
    click(builder, "Use the fixed list")
    assert builder._question.layout.display == "none"
    assert named(builder, "Model").value == "a"
    assert "● Not saved yet." in status(builder)
    assert (folder / "OAI_CONFIG_LIST").read_text().startswith("[{'model'")
    click(builder, "Save")
    assert json.loads((folder / "OAI_CONFIG_LIST").read_text()) == builder.config_list


def test_a_file_that_can_not_be_fixed_is_reported_and_left_alone(folder):
    (folder / "OAI_CONFIG_LIST").write_text("my models: a, b")
    builder = ConfigListBuilder()
    assert "✖ OAI_CONFIG_LIST: line 1, column 1: not JSON" in status(builder)
    named(builder, "Preset").value = "Dummy (no model)"
    click(builder, "Add")
    click(builder, "Save")
    assert "exists already." in builder._asked.text
    click(builder, "No")
    assert (folder / "OAI_CONFIG_LIST").read_text() == "my models: a, b"
    click(builder, "Save")
    click(builder, "Replace the file")
    assert json.loads((folder / "OAI_CONFIG_LIST").read_text())[0]["model"] == "dummy"


def test_save_and_load_use_the_file_that_the_form_names(builder, folder):
    named(builder, "File").value = "other.json"
    click(builder, "Save")
    assert status(builder).startswith("Saved 1 entry to other.json.")
    assert "Not saved" not in status(builder)
    assert json.loads((folder / "other.json").read_text())[0]["model"] == "dummy"
    named(builder, "Model").value = "changed"
    click(builder, "Load")
    assert named(builder, "Model").value == "dummy"
    named(builder, "File").value = "third.json"
    click(builder, "Save as")
    assert (folder / "third.json").exists()


def test_pasted_text_replaces_the_list_and_leaves_its_input(builder):
    open_tab(builder, "Paste")
    named(builder, "Text").value = "config_list = [{'model': 'pasted', 'model_client_cls': 'A'}]"
    assert named(builder, "Text").value == ""
    click(builder, "Use the fixed list")
    assert builder.config_list == [{"model": "pasted", "model_client_cls": "A"}]
    click(builder, "Undo")
    assert builder.config_list[0]["model"] == "dummy"


@pytest.mark.parametrize(
    ("button", "file", "reason"),
    [
        ("Load", "missing.json", "neither an environment variable nor a file"),
        ("Load", ".", "can't be read: "),
        ("Load", "", "can't be read: "),
        ("Load", "x" * 300, "can't be read: "),
        ("Save", "missing/list.json", "can't be written: No such file or directory."),
        ("Save", ".", "can't be written: "),
        ("Save", "", "can't be written: "),
        ("Save", "x" * 300, "can't be written: "),
    ],
)
def test_what_a_button_can_not_do_becomes_a_message(builder, button, file, reason):
    named(builder, "File").value = file
    click(builder, button)
    assert status(builder).startswith("✖ ")
    assert reason in status(builder)


def test_a_missing_autogen_becomes_a_message_too(monkeypatch):
    write([DUMMY])
    monkeypatch.setitem(sys.modules, "autogen", None)
    assert "pip install 'autogen" in status(ConfigListBuilder())


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
        with pytest.raises(ConfigListError, match="the list in the form") as caught:
            getattr(builder, name)
        assert [(problem.entry, problem.field) for problem in caught.value.problems] == [(0, "n")]


def test_the_repr_says_what_the_form_shows_the_same_in_every_run(builder):
    assert repr(builder) == (
        "ConfigListBuilder: OAI_CONFIG_LIST, not saved\n"
        "  0: dummy (DummyModelClient)\n"
        "  ✔ AutoGen accepts this list (1). ● Not saved yet."
    )
    assert builder._repr_mimebundle_()["text/plain"] == repr(builder)


def test_a_key_in_the_wrong_input_is_starred_where_it_was_typed(builder):
    named(builder, "Max tokens").value = "sk-pasted-by-mistake"
    assert named(builder, "Max tokens").value == "**********"
    extra(builder).value = '{"my_key": "hunter2", }'
    assert extra(builder).value == '{"my_key": "**********", }'
    extra(builder).value = "my_key = hunter2"
    assert extra(builder).value == "my_key = **********"


# Trying, and what is registered


def test_try_it_shows_reply_time_and_usage(builder):
    open_tab(builder, "Try it")
    click(builder, "Try it")
    builder._worker.join(30)
    assert re.fullmatch(r"Hello from the dummy!\n\(\d+\.\d s, 11 \+ 4 tokens\)", builder._reply.text)


def test_try_it_says_what_is_wrong(builder):
    named(builder, "Client class").value = "Nobody"
    open_tab(builder, "Try it")
    click(builder, "Try it")
    builder._worker.join(30)
    assert "no model client class 'Nobody'" in builder._reply.text


def test_the_agent_tab_shows_what_is_registered_and_what_is_to_do(builder):
    open_tab(builder, "Agent")
    assert "No agent yet" in builder._registered.text
    agent = AssistantAgent("helper", llm_config=builder.llm_config)
    builder.agent = agent
    assert "helper, entry 0 (dummy): DummyModelClient NOT registered" in builder._registered.text
    assert builder._registered.text.endswith("agent.register_model_client(DummyModelClient)")
    agent.register_model_client(DummyModelClient)
    click(builder, "Look again")
    assert builder._registered.text == "helper, entry 0 (dummy): DummyModelClient ready"


def test_a_filter_shows_what_it_keeps(builder):
    click(builder, "Duplicate")
    builder.editor.set(tags=["small"])
    open_tab(builder, "Filter")
    named(builder, "Filter (JSON)").value = '{"tags": ["small"]}'
    assert builder._kept.text == "Keeps 1 of 2: 1"


# How much it costs


def test_a_further_entry_costs_no_widget_and_close_leaves_none(builder):
    before = set(_instances)
    other = ConfigListBuilder("other.json")
    other.editor.add("Dummy (no model)")
    one = len(_instances)
    other.editor.duplicate()
    assert len(_instances) == one
    other.editor.add("Ollama")  # no class, and so no arguments
    assert len(_instances) < one
    other.editor.add("Local Hugging Face model")  # as many as the dummy takes
    assert len(_instances) == one
    other.close()
    assert set(_instances) == before
