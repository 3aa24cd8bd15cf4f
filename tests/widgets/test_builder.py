"""The builder without a browser: `do` takes what the page sends, and `view` is all that the page shows."""

import gc
import html
import json
import re
import sys
import threading
import weakref
from types import SimpleNamespace

import pytest
from autogen import AssistantAgent
from ipywidgets.widgets.widget import _instances

from kit import ConfigListBuilder, ConfigListError, DummyModelClient, register_model_clients

pytestmark = pytest.mark.usefixtures("folder")
DUMMY = {"model": "dummy", "model_client_cls": "DummyModelClient"}
PRESET = "Dummy (no model)"
HOSTILE = '<img src=x onerror="alert(1)">&lt;'


def do(builder, what, text="", **more):
    """Do something as the page does it."""
    builder.do({"do": what, "text": text, **more})


def type_in(builder, name, text):
    do(builder, "set", text, field=name)


def shown(builder):
    """Return the fields that the page shows, by name."""
    return {field["name"]: field for group in builder.view["groups"] for field in group["fields"]}


def texts(builder):
    return {name: field["text"] for name, field in shown(builder).items() if field["text"]}


def status(builder):
    return " ".join(filter(None, [builder.view["status"]["said"], builder.view["status"]["text"]]))


def code(pieces):
    return "".join(piece for _, piece in pieces)


def cards(builder):
    return [(card["title"], card["state"]) for card in builder.view["entries"]]


def wait_for(builder, part):
    """Wait until the work in another thread is done and shown."""
    for thread in threading.enumerate():
        if thread.name.startswith("ConfigListBuilder"):
            thread.join(30)
    assert not builder.view[part]["running"]


def write(entries, path="OAI_CONFIG_LIST"):
    with open(path, "w") as file:
        json.dump(entries, file)


@pytest.fixture
def builder():
    """A builder with one dummy entry, made as a person makes it."""
    builder = ConfigListBuilder()
    do(builder, "add", PRESET)
    return builder


# What a person sees


def test_an_empty_form_says_what_to_do_and_takes_every_action():
    builder = ConfigListBuilder()
    assert "The list is empty" in status(builder)
    for what in (
        "duplicate",
        "remove",
        "undo",
        "redo",
        "models",
        "ask",
        "cancel",
        "variable",
        "key",
        "extra",
    ):
        do(builder, what)
    do(builder, "move", index=0, to=1)
    type_in(builder, "model", "nobody's")
    assert (builder.editor.entries, builder.view["entries"], builder.view["groups"]) == ([], [], [])


def test_add_fills_the_form_from_the_preset(builder):
    assert texts(builder) == DUMMY
    assert json.loads(builder.view["extra"]["text"]) == {"params": {"replies": "Hello from the dummy!"}}
    assert cards(builder) == [("dummy", "ok")]
    assert builder.view["entries"][0]["where"] == "DummyModelClient"
    assert status(builder).startswith("✔ AutoGen accepts this list (1)")
    assert builder.view["changed"] and builder.view["canUndo"] and not builder.view["canRedo"]


def test_a_field_that_is_typed_shows_up_in_card_python_and_json(builder):
    type_in(builder, "model", "my dummy")
    type_in(builder, "max_tokens", "20")
    assert builder.editor.entry["max_tokens"] == 20
    assert cards(builder) == [("my dummy", "ok")]
    assert "'max_tokens': 20" in code(builder.view["shown"])
    do(builder, "tab", "JSON")
    assert json.loads(code(builder.view["shown"])) == builder.editor.entries
    assert ["number", "20"] in builder.view["shown"]


def test_an_error_stands_at_its_field_on_its_card_and_in_the_status_until_it_is_fixed(builder):
    for text, said in [("1.5", "1.5 is not allowed."), ("warm", "'warm' is not used.")]:
        type_in(builder, "temperature", text)
        field = shown(builder)["temperature"]
        assert field["text"] == text  # the typist's text stays
        assert (field["verdict"]["mark"], field["help"][-8:]) == ("error", "; 0 to 1")
        assert field["verdict"]["text"].startswith(said)
        assert status(builder).startswith("✖ 1 to fix. First, entry 0, 'temperature'")
        assert builder.view["status"]["place"] == {"entry": 0, "field": "temperature"}
        assert (cards(builder), builder.view["errors"]) == ([("dummy", "error")], 1)
        assert [name for name, field in shown(builder).items() if field["verdict"]] == ["temperature"]
        assert builder.view["extra"]["verdict"] is None
    type_in(builder, "temperature", "0.5")
    assert shown(builder)["temperature"]["verdict"] is builder.view["status"]["place"] is None
    assert status(builder).startswith("✔")


@pytest.mark.parametrize(
    ("preset", "there", "not_there"),
    [
        (PRESET, {"model", "model_client_cls", "n", "top_p", "stop", "tags"}, {"timeout", "base_url"}),
        ("Ollama", {"base_url", "timeout", "max_retries", "organization"}, {"n", "azure_deployment"}),
        ("Azure OpenAI", {"base_url", "api_version", "azure_deployment", "timeout"}, {"n", "organization"}),
    ],
)
def test_the_form_shows_the_fields_of_this_kind_of_entry(preset, there, not_there):
    builder = ConfigListBuilder()
    do(builder, "add", preset)
    assert there <= set(shown(builder))
    assert not not_there & set(shown(builder))
    builder.editor.set(**dict.fromkeys(not_there, "1"))
    assert not_there <= set(shown(builder))  # what an entry has is never hidden


def test_other_fields_are_typed_as_json(builder):
    do(builder, "extra", '{"x": [1, 2}')
    assert builder.view["extra"]["verdict"]["text"].startswith("Not used: line 1, column 13")
    assert builder.view["extra"]["text"] == '{"x": [1, 2}'  # the typist's text stays
    assert builder.editor.entry["params"]
    do(builder, "extra", '{"x": [1, 2]}')
    assert builder.view["extra"]["verdict"] is None
    assert builder.config_list == [{**DUMMY, "x": [1, 2]}]
    do(builder, "extra", "")
    assert builder.config_list == [DUMMY]


def test_what_a_class_takes_at_registration_is_asked_for(builder):
    do(builder, "argument", "'typed'", field="replies")
    assert "agent.register_model_client(DummyModelClient, replies='typed')" in code(builder.view["shown"])
    do(builder, "argument", "typed", field="replies")  # neither a literal nor a variable
    (replies,) = [one for one in builder.view["arguments"] if one["name"] == "replies"]
    assert (replies["text"], replies["verdict"]["mark"]) == ("typed", "error")
    assert "Not used" in status(builder)
    type_in(builder, "model_client_cls", "HuggingFaceModelClient")
    defaults = {one["name"]: one["default"] for one in builder.view["arguments"]}
    assert defaults["tokenizer"] == "None"
    type_in(builder, "model_client_cls", "Nobody")
    assert builder.view["arguments"] == []


def test_a_misspelt_field_is_a_remark_that_one_press_fixes(builder):
    do(builder, "extra", '{"temprature": 1}')
    extra = builder.view["extra"]
    assert (extra["verdict"]["mark"], extra["fix"]) == ("warning", "Rename it to temperature")
    assert status(builder).startswith("▲") and "But entry 0, 'temprature'" in status(builder)
    assert builder.config_list and cards(builder) == [("dummy", "warning")]
    do(builder, "fix", field="other fields")
    assert texts(builder)["temperature"] == "1"
    assert cards(builder) == [("dummy", "ok")]


def test_entries_are_selected_duplicated_moved_and_removed_and_it_can_be_undone(builder):
    def models():
        return [card["title"] for card in builder.view["entries"]]

    do(builder, "duplicate", index=0)
    type_in(builder, "model", "second")
    do(builder, "select", index=0)
    assert texts(builder)["model"] == "dummy"
    do(builder, "move", index=1, to=0)
    assert (models(), builder.view["selected"]) == (["second", "dummy"], 0)
    do(builder, "remove", index=1)
    assert (models(), texts(builder)["model"]) == (["second"], "second")
    do(builder, "undo")
    assert models() == ["second", "dummy"]
    do(builder, "redo")
    assert models() == ["second"]
    do(builder, "redo")
    assert status(builder).startswith("Nothing to redo.")


def test_whatever_is_sent_is_answered_in_words(builder):
    for message in ({}, {"do": "dance"}, {"do": "set", "field": "colour"}, {"do": "move", "to": "up"}):
        builder.do(message)
        assert status(builder).startswith("✖ ")
    assert cards(builder) == [("dummy", "ok")]


# Files


def test_an_existing_file_is_loaded_at_once():
    write([{**DUMMY, "n": 2}, {**DUMMY, "model": "second"}])
    builder = ConfigListBuilder()
    assert texts(builder)["n"] == "2"
    assert status(builder).startswith("Loaded 2 entries from OAI_CONFIG_LIST. ✔")
    assert builder.config_list[1]["model"] == "second"


def test_a_broken_file_is_offered_fixed_and_left_alone_until_it_is_saved(folder):
    (folder / "OAI_CONFIG_LIST").write_text("[{'model': 'a', 'model_client_cls': 'A'},]")
    builder = ConfigListBuilder()
    question = builder.view["question"]
    assert "this is Python, not JSON" in question["text"]
    assert {kind for kind, _ in question["diff"]} >= {"deleted", "inserted"}
    assert "-[{'model': 'a'" in code(question["diff"]) and '+    "model": "a"' in code(question["diff"])
    assert question["yes"] in repr(builder) and code(question["diff"]) in repr(builder)
    assert builder.editor.entries == []
    do(builder, "answer", yes=True)
    assert builder.view["question"] is None
    assert texts(builder)["model"] == "a"
    assert builder.view["changed"]
    assert (folder / "OAI_CONFIG_LIST").read_text().startswith("[{'model'")
    do(builder, "save")
    assert json.loads((folder / "OAI_CONFIG_LIST").read_text()) == builder.config_list


def test_a_file_that_can_not_be_fixed_is_reported_and_left_alone(folder):
    (folder / "OAI_CONFIG_LIST").write_text("my models: a, b")
    builder = ConfigListBuilder()
    assert "✖ OAI_CONFIG_LIST: line 1, column 1: this is not JSON" in status(builder)
    do(builder, "add", PRESET)
    for yes, text in [(False, "my models: a, b"), (True, '[\n  {\n    "model": "dummy"')]:
        do(builder, "save")
        assert "exists already." in builder.view["question"]["text"]
        do(builder, "answer", yes=yes)
        assert (folder / "OAI_CONFIG_LIST").read_text().startswith(text)


def test_save_and_open_use_the_file_that_the_form_names(builder, folder):
    do(builder, "path", "other.json")
    do(builder, "save")
    assert status(builder).startswith("Saved 1 entry to other.json.")
    assert not builder.view["changed"]
    assert json.loads((folder / "other.json").read_text())[0]["model"] == "dummy"
    type_in(builder, "model", "changed")
    do(builder, "open")
    assert texts(builder)["model"] == "dummy"
    do(builder, "path", "third.json")
    assert builder.view["saveAs"]
    do(builder, "save")
    assert (folder / "third.json").exists() and not builder.view["saveAs"]


def test_pasted_text_replaces_the_list(builder):
    do(builder, "paste", "config_list = [{'model': 'pasted', 'model_client_cls': 'A'}]")
    do(builder, "answer", yes=True)
    assert builder.config_list == [{"model": "pasted", "model_client_cls": "A"}]
    do(builder, "undo")
    assert builder.config_list[0]["model"] == "dummy"


@pytest.mark.parametrize(
    ("what", "file", "reason"),
    [
        ("open", "missing.json", "neither an environment variable nor a file"),
        ("open", ".", "can't be read: "),
        ("open", "", "can't be read: "),
        ("open", "x" * 300, "can't be read: "),
        ("save", "missing/list.json", "can't be written: No such file or directory."),
        ("save", ".", "can't be written: "),
        ("save", "", "can't be written: "),
        ("save", "x" * 300, "can't be written: "),
    ],
)
def test_what_a_button_can_not_do_becomes_a_message(builder, what, file, reason):
    do(builder, "path", file)
    do(builder, what)
    assert status(builder).startswith("✖ ")
    assert reason in status(builder)


def test_a_missing_autogen_becomes_a_message_too(monkeypatch):
    write([DUMMY])
    monkeypatch.setitem(sys.modules, "autogen", None)
    assert 'pip install "autogen' in status(ConfigListBuilder())


# What code gets


def test_what_is_in_the_form_feeds_an_agent(builder):
    agent = AssistantAgent("agent", llm_config=builder.llm_config)
    assert register_model_clients(agent, DummyModelClient).left == []
    assert agent.generate_reply(messages=[{"role": "user", "content": "Hi"}]) == "Hello from the dummy!"


def test_the_list_given_out_is_a_copy(builder):
    builder.config_list[0]["params"]["replies"] = "changed"
    assert builder.config_list[0]["params"]["replies"] == "Hello from the dummy!"


def test_a_faulty_form_gives_out_no_list(builder):
    type_in(builder, "n", "two")
    for name in ("config_list", "llm_config"):
        with pytest.raises(ConfigListError, match="the list in the form") as caught:
            getattr(builder, name)
        assert [(problem.entry, problem.field) for problem in caught.value.problems] == [(0, "n")]


def test_the_text_form_says_what_the_form_shows_the_same_in_every_run_and_is_safe_as_html(builder):
    assert repr(builder) == (
        "ConfigListBuilder: OAI_CONFIG_LIST, not saved\n"
        "  0: dummy (DummyModelClient)\n"
        "  ✔ AutoGen accepts this list (1). ● Not saved yet."
    )
    type_in(builder, "model", HOSTILE)
    data, _ = builder._repr_mimebundle_()
    assert data["text/plain"] == repr(builder)
    assert HOSTILE in html.unescape(data["text/html"]) and "<img" not in data["text/html"]


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"do": "set", "field": "max_tokens", "text": "sk-pasted-by-mistake"}, "sk-"),
        ({"do": "extra", "text": '{"my_key": "hunter2", }'}, "hunter2"),
        ({"do": "extra", "text": "my_key = hunter2"}, "hunter2"),
        ({"do": "filter", "text": '{"my_key": "hunter2"'}, "hunter2"),
        ({"do": "ask", "text": "my_key = hunter2"}, "hunter2"),
    ],
)
def test_a_key_in_the_wrong_input_comes_back_as_stars(builder, message, part):
    do(builder, "tab", "Filter")
    builder.do(message)
    wait_for(builder, "trial")
    shown = json.dumps(builder.view)
    assert "**********" in shown
    assert part not in shown


# Trying, a server's models, and what is registered


def test_asking_shows_reply_time_and_usage(builder):
    do(builder, "ask")
    wait_for(builder, "trial")
    assert re.fullmatch(
        r"Hello from the dummy!\n\(\d+\.\d s, 11 \+ 4 tokens\)", builder.view["trial"]["reply"]
    )


def test_asking_says_what_is_wrong(builder):
    type_in(builder, "model_client_cls", "Nobody")
    do(builder, "ask", "Hi")
    wait_for(builder, "trial")
    assert "no model client class 'Nobody'" in builder.view["trial"]["reply"]


def test_a_question_that_is_cancelled_shows_no_reply_even_if_one_comes(builder, monkeypatch):
    asked, go_on = threading.Event(), threading.Event()

    def slow(self, params):
        asked.set()
        go_on.wait(30)
        return create(self, params)

    create = DummyModelClient.create
    monkeypatch.setattr(DummyModelClient, "create", slow)
    do(builder, "ask")
    assert asked.wait(30) and builder.view["trial"]["running"]
    type_in(builder, "model", "typed meanwhile")  # the form is alive
    do(builder, "cancel")
    assert cards(builder) == [("typed meanwhile", "ok")]
    go_on.set()
    wait_for(builder, "trial")
    assert builder.view["trial"]["reply"] == "Cancelled."


def test_the_models_of_a_server_are_offered_for_its_entries_alone(server, builder):
    do(builder, "add", "Ollama")
    type_in(builder, "base_url", server.address)
    do(builder, "models")
    wait_for(builder, "server")
    assert (builder.view["models"], builder.view["server"]["text"][:5]) == (["a", "b"], "2 mod")
    assert (builder.view["server"]["mark"], builder.view["server"]["text"][:8]) == ("warning", "2 models")
    type_in(builder, "model", "b")
    assert builder.view["server"]["mark"] == "ok"
    do(builder, "select", index=0)
    assert builder.view["models"] == [] and not builder.view["server"]["text"]


def test_a_server_that_can_not_be_asked_says_why_and_where_one_answers(server, builder):
    do(builder, "add", "Ollama")
    type_in(builder, "base_url", "http://127.0.0.1:9/v1")
    do(builder, "models")
    wait_for(builder, "server")
    assert builder.view["server"]["mark"] == "error"
    assert "No server answers" in builder.view["server"]["text"]
    type_in(builder, "base_url", server.address.replace("http:", "https:"))
    assert builder.view["server"]["text"] == ""  # that was said of another address
    do(builder, "models")
    wait_for(builder, "server")
    assert builder.view["server"]["address"] == server.address


def test_the_agent_tab_shows_what_is_registered_and_what_is_to_do(builder):
    do(builder, "tab", "Agent")
    assert "No agent yet" in builder.view["shown"]
    agent = AssistantAgent("helper", llm_config=builder.llm_config)
    builder.agent = agent
    assert "helper, entry 0 (dummy): DummyModelClient NOT registered" in builder.view["shown"]
    assert builder.view["shown"].endswith("agent.register_model_client(DummyModelClient)")
    agent.register_model_client(DummyModelClient)
    do(builder, "tab", "Agent")
    assert builder.view["shown"] == "helper, entry 0 (dummy): DummyModelClient ready"


def test_a_filter_shows_what_it_keeps(builder):
    do(builder, "duplicate")
    builder.editor.set(tags=["small"])
    do(builder, "tab", "Filter")
    do(builder, "filter", '{"tags": ["small"]}')
    assert builder.view["shown"]["kept"] == "Keeps 1 of 2: 1"


# How much it costs


def test_a_form_is_at_most_three_widgets_and_close_leaves_nothing_of_it():
    before, threads = set(_instances), threading.active_count()
    builder = ConfigListBuilder()
    for preset in builder.view["presets"]:
        do(builder, "add", preset)
    assert len(set(_instances) - before) <= 3
    gone = weakref.ref(builder), weakref.ref(builder.editor)
    builder.close()
    del builder
    gc.collect()
    assert [one() for one in gone] == [None, None]
    assert (set(_instances), threading.active_count()) == (before, threads)


def test_a_cell_that_runs_again_closes_the_forms_of_its_last_run_and_no_others(monkeypatch):
    def run(cell, number):
        request = {"metadata": {"cellId": cell}, "header": {"msg_id": str(number)}}
        monkeypatch.setattr(
            "kit.widgets.builder.get_ipython", lambda: SimpleNamespace(get_parent=lambda: request)
        )
        return [ConfigListBuilder(), ConfigListBuilder("other.json")]

    def is_open(builder):
        return builder.comm is not None

    other, before = run("b", 1), set(_instances)
    runs = [run("a", number) for number in range(10)]
    assert all(map(is_open, [*other, *runs[-1]]))
    assert not any(is_open(builder) for builders in runs[:-1] for builder in builders)
    assert len(set(_instances) - before) <= 2 * 3
    do(runs[0][0], "add", PRESET)  # what is in a closed form can still be used
    assert runs[0][0].config_list
    assert "dummy" in repr(runs[0][0])
