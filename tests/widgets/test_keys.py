"""A key that is typed goes into the environment, and is nowhere else: every input, action and place."""

import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import ConfigListBuilder
from kit.config_list.fields import FIELDS
from kit.config_list.lists import ConfigListError, parse_config_list
from kit.config_list.secrets import MASK, masked, referring, resolved
from kit.widgets.chat import ChatPanel
from kit.widgets.editor import EXTRA, ConfigListEditor
from kit.widgets.form import form

pytestmark = pytest.mark.usefixtures("folder")
SECRET = "hunter2-recognisable"  # looks like no key: only its place tells
KEY = "sk-recognisable"
KEYS = [
    KEY,
    "hf_recognisable",
    f"Bearer {SECRET}",
    f"https://me:{SECRET}@host/v1",
    f"https://host/?token={SECRET}",
]
FIELD = {field.name: field for field in FIELDS}


@pytest.fixture(autouse=True)
def environment(folder):
    """The environment, which tests change; what they set is gone afterwards."""
    with mock.patch.dict(os.environ):
        yield os.environ


class Mine:
    """A model client that repeats its entry, its arguments and the question; for "fail" in an error."""

    def __init__(self, config, greeting="", api_key="", headers=None, **more):
        self.config, self.arguments = config, (greeting, api_key, headers)

    def create(self, params):
        text = f"{self.config} {self.arguments} {params}"
        if params["messages"][-1]["content"] == "fail":
            raise RuntimeError(f"wrong: {text}")
        message = SimpleNamespace(content=text, function_call=None, tool_calls=None)
        return SimpleNamespace(id="1", model="a", choices=[SimpleNamespace(message=message)])

    def message_retrieval(self, response):
        return [choice.message.content for choice in response.choices]

    def cost(self, response):
        return 0

    @staticmethod
    def get_usage(response):
        return {}


@pytest.fixture
def builder(monkeypatch):
    """A builder with an entry for that client, beside a file with another list; `sent` is all it showed."""
    monkeypatch.setattr("kit.widgets.editor.notebook", lambda: {"Mine": Mine})

    def at_once(target, **how):  # and not in a thread
        return SimpleNamespace(start=target)

    monkeypatch.setattr("kit.widgets.builder.threading.Thread", at_once)
    builder = ConfigListBuilder()
    builder.sent = []
    builder.observe(lambda change: builder.sent.append(change.new), "view")
    Path("OAI_CONFIG_LIST").write_text('[{"model": "before"}]')  # a save asks first, and leaves a .bak
    builder.do({"do": "add", "text": "A class of your own"})
    builder.do({"do": "set", "field": "model_client_cls", "text": "Mine"})
    return builder


def do(name, *texts, field=""):
    return [
        {"do": name, "text": text if isinstance(text, str) else json.dumps(text), "field": field}
        for text in texts
    ]


MINE = {"model": "a", "model_client_cls": "Mine"}
COOKIE = json.dumps({"default_headers": {"Cookie": SECRET}})
INPUTS = [
    *(message for field in FIELDS for message in do("set", KEY, field=field.name)),
    *do("set", *KEYS[2:], field="model"),
    *do("set", *KEYS, field="base_url"),
    *do("key", KEY, SECRET, f" {SECRET}\n", f"a\n{KEY}"),
    *do("variable", KEY, SECRET, f"${{{SECRET}}}"),
    *(message for name in ("path", "ask", "filter", "paste", "extra") for message in do(name, *KEYS[::4])),
    *do("extra", *({name: SECRET} for name in ("their_key", "passwd", "auth", "KEY_2", "connection_string"))),
    *do("extra", {"params": [{"colour": key} for key in KEYS]}, {KEY: 1}),
    *do("extra", COOKIE, COOKIE[:-1], COOKIE[:-4], COOKIE.replace('"', "'")),
    *do("extra", {"api_key": SECRET, "base_url": f"https://{SECRET}@host"}),
    *do("argument", repr(KEYS), *map(repr, KEYS[::4]), KEY, field="greeting"),
    *do("argument", SECRET, repr(SECRET), f"'{SECRET}", field="api_key"),
    *do(
        "argument",
        *map(repr, ({"Authorization": SECRET, "a": (KEY,)}, {KEY}, [KEY.encode()])),
        field="headers",
    ),
    *do("paste", [{**MINE, "their_key": SECRET, "b": key} for key in KEYS]),
    *do(
        "paste",
        repr([{**MINE, "headers": {"x-api-key": SECRET}}]),
        repr([{**MINE, "auth": [SECRET, KEY]}])[:-2],
    ),
    *do("filter", {"their_key": [SECRET]}),
]
ACTIONS = [
    *do("tab", "JSON", "Filter", "Agent", "Python"),
    {"do": "answer", "yes": True},
    *do("ask", "What do you have?", "fail"),
    {"do": "duplicate", "index": 0},
    {"do": "move", "index": 1, "to": 0},
    {"do": "undo"},
    {"do": "redo"},
    {"do": "fix", "field": "base_url"},
    {"do": "select", "index": 1},
    {"do": "save"},
    {"do": "answer", "yes": True},
    {"do": "open"},
    {"do": "remove", "index": 1},
    {"do": "save"},
]


def everything(builder):
    """Return all that a builder showed so far, what Jupyter saves of it, and all files."""
    state = [builder.sent, builder.get_state(), builder._repr_mimebundle_(), builder.editor.unparsed]
    texts = [json.dumps(part, default=repr) for part in state]
    texts += [repr(builder), repr(builder.editor.entries), builder.python()]
    return "\n".join(texts + [path.read_text() for path in Path().rglob("*") if path.is_file()])


@pytest.mark.parametrize("message", INPUTS, ids=lambda m: f"{m['do']} {m['field']} {m['text'][:30]}")
def test_a_key_is_nowhere_wherever_it_is_typed_and_whatever_is_done_then(builder, message):
    before = builder.python()
    builder.do(message)
    assert "recognisable" not in everything(builder)
    for action in ACTIONS:
        if action["do"] != "ask" or builder.python() != before:  # else it got nothing new, and takes its time
            builder.do(action)
        assert "recognisable" not in json.dumps(builder.view), action
    assert "recognisable" not in everything(builder)
    assert not [name for name in os.environ if "recognisable" in name.lower()]


def test_the_sweep_sees_what_is_done(builder):
    """A reply, an error, a saved list and its .bak are among what the sweep above looks through."""
    for message in do("extra", {"their_key": SECRET}) + ACTIONS:
        builder.do(message)
    assert "before" in Path("OAI_CONFIG_LIST.bak").read_text()
    assert "${MODEL_THEIR_KEY}" in Path("OAI_CONFIG_LIST").read_text()
    assert os.environ["MODEL_THEIR_KEY"] == SECRET
    replies = {view["trial"]["reply"] for view in builder.sent}
    assert any("'their_key': '**********'" in reply and "wrong: " not in reply for reply in replies)
    assert any("wrong: " in reply for reply in replies)  # the client had the key


# Where it goes


@pytest.fixture
def editor():
    editor = ConfigListEditor(namespace={"Mine": lambda config, api_key="", headers=None, times=1: None})
    editor.add("OpenAI-compatible server")
    return editor


def test_a_key_is_named_after_the_server_that_it_is_typed_for(editor):
    os.environ["OPENAI_API_KEY"] = "sk-the-real-one"
    for url, variable in [
        ("https://api.example.com/v1", "API_EXAMPLE_COM_API_KEY"),
        ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    ]:
        editor.add("OpenAI")  # refers to OPENAI_API_KEY
        editor.set_text(FIELD["base_url"], url)
        assert "OPENAI_API_KEY" in str(editor.problems())
        editor.set_key(SECRET)
        assert editor.key_variable() == variable
        assert os.environ[variable] == SECRET
        assert os.environ["OPENAI_API_KEY"] == "sk-the-real-one"
        assert not [problem for problem in editor.problems() if problem.entry == editor.selected]


def test_two_entries_with_two_keys_have_two_variables_and_a_key_can_be_typed_anew(editor):
    editor.set_key("first")
    editor.duplicate()
    editor.set_key("second")
    assert [resolved(entry)["api_key"] for entry in editor.entries] == ["first", "second"]
    editor.set_key("third")
    assert [resolved(entry)["api_key"] for entry in editor.entries] == ["first", "third"]
    assert "LOCALHOST_8000_API_KEY_3" not in os.environ
    editor.add("OpenAI-compatible server")
    editor.set_key("fourth")
    assert [resolved(entry)["api_key"] for entry in editor.entries] == ["first", "third", "fourth"]


def test_a_key_in_an_address_is_lifted_out_and_said_so(editor):
    editor.set_text(FIELD["base_url"], f"https://host:8000/v1?token={SECRET}")
    assert editor.entry["base_url"] == "https://host:8000/v1?token=${HOST_8000_TOKEN}"
    assert os.environ["HOST_8000_TOKEN"] == SECRET
    assert "HOST_8000_TOKEN" in editor.message
    editor.set_text(FIELD["base_url"], editor.text(FIELD["base_url"]))  # as it is shown
    assert resolved(editor.entry)["base_url"] == f"https://host:8000/v1?token={SECRET}"


@pytest.mark.parametrize("name", ["model", "organization", "api_type", "stop", "model_client_cls"])
def test_a_field_that_no_key_belongs_in_refuses_it(editor, name):
    before = editor.entry.get(name)
    editor.set_text(FIELD[name], KEY)
    assert name in editor.unparsed
    assert editor.unparsed_text(name) == MASK
    assert editor.entry.get(name) == before
    with pytest.raises(ConfigListError):
        editor.save()


HEADERS = {"Authorization": f"Bearer {SECRET}", "a": (1,)}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("api_key", repr(SECRET), SECRET),
        ("headers", repr(HEADERS), HEADERS),
        ("times", "3", 3),
    ],
)
def test_a_key_among_the_arguments_reaches_the_class_and_the_program(editor, name, text, value, monkeypatch):
    from kit.widgets.trial import argument

    editor.set(model_client_cls="Mine")
    editor.set_argument(name, text)
    assert "recognisable" not in str(editor.arguments) + editor.python()
    assert argument(editor.typed_arguments()[name], editor.namespace, name) == value
    call = next(line for line in editor.python().splitlines() if line.startswith("agent.register"))
    got = {}
    agent = SimpleNamespace(register_model_client=lambda cls, **arguments: got.update(arguments))
    exec(call, {"agent": agent, "Mine": None, "os": os})
    assert got == {name: value}


def test_a_number_for_a_password_is_refused_since_a_variable_holds_text(editor):
    editor.set_extra_text('{"password": 12345678}')
    assert "quotes" in editor.unparsed[EXTRA]
    assert "12345678" not in json.dumps(form(editor))
    with pytest.raises(ConfigListError, match="quotes") as caught:
        editor.paste('[{"model": "a", "password": 12345678}]')
    assert "12345678" not in str(caught.value)


def test_the_path_of_a_list_is_never_a_key(editor):
    editor.set_path(KEY)
    assert editor.path == "OAI_CONFIG_LIST"
    assert "file" in editor.message


# Stars


@pytest.mark.parametrize("text", [MASK, f"Bearer {MASK}", f"https://host/?key={MASK}", f'["{MASK}"]'])
def test_stars_are_never_typed_into_the_list(editor, text):
    editor.set(model_client_cls="Mine")
    before = json.dumps(editor.entries)
    for name in ("model", "base_url", "stop"):
        editor.set_text(FIELD[name], text)
    for fields in ({"api_key": text}, {"a": [text]}, {"a": {"b": text}}, {text: 1}):
        editor.set_extra_text(json.dumps(fields))
        assert EXTRA in editor.unparsed
        with pytest.raises(ConfigListError):
            editor.paste(json.dumps([{"model": "a", **fields}]))
    for act in (editor.set_key, editor.set_key_variable):
        with pytest.raises(ValueError, match="stars"):
            act(text)
    editor.set_argument("api_key", repr(text))
    assert "api_key=" in editor.unparsed
    assert json.dumps(editor.entries) == before
    assert not editor.arguments


def test_a_preview_that_is_pasted_keeps_each_key_with_its_entry(editor):
    entries = [
        {"model": "a", "base_url": "https://one.example/v1", "api_key": f"{SECRET}-1"},
        {"model": "b", "base_url": "https://two.example/v1", "api_key": f"{SECRET}-2"},
    ]
    editor.entries[:] = parse_config_list(json.dumps(entries))
    shown = json.loads(editor.preview())
    editor.paste(json.dumps(shown[::-1]))
    assert editor.entries == entries[::-1]
    shown[0]["base_url"] = "https://three.example/v1"  # its key would go there
    with pytest.raises(ConfigListError, match="stars"):
        editor.paste(json.dumps(shown))
    assert editor.entries == entries[::-1]


def test_a_secret_with_text_around_it_stays_exactly_when_something_else_is_edited(editor):
    plain = {"headers": {"X-Some": f"Bearer {SECRET}", "a": "b"}, "link": f"https://me:{SECRET}@host/?a=1"}
    editor.entries[:] = parse_config_list(json.dumps([{"model": "a", "model_client_cls": "Mine", **plain}]))
    shown = json.loads(editor.extra_text())
    assert "recognisable" not in str(shown)
    shown["headers"]["a"] = "c"
    editor.set_extra_text(json.dumps(shown))
    assert editor.entry["headers"] == {"X-Some": f"Bearer {SECRET}", "a": "c"}
    assert editor.entry["link"] == plain["link"]
    shown["link"] = shown["link"].replace("host", "elsewhere")
    editor.set_extra_text(json.dumps(shown))
    assert "stars" in editor.unparsed[EXTRA]
    assert editor.entry["link"] == plain["link"]


# Whatever is in a list, and whatever is done with it

FEW = settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
NAMES = [
    "their_key",
    "password",
    "Authorization",
    "cookie",
    "key_2",
    "params",
    "colour",
    "base_url",
    "pad_token",
]
NAMES += ["max_tokens", "model", "api_key", "stop", "tags"]
unlike = st.sampled_from(
    [SECRET, "recognisable 2", 'recog"nisable', "${IT}recognisable", "recognisable${MY_KEY}"]
)
alike = st.sampled_from([*KEYS, f"x{MASK} {KEY}", f"https://h/?a=1&key={SECRET}&b=2", f"{KEY}, {KEY}"])
plain = (
    st.sampled_from(["", "two", "${MY_KEY}", "not-needed", "Bearer ${IT}"]) | st.integers(0, 1) | st.none()
)
secret_names = st.sampled_from(NAMES[:5])
leaves = alike | plain
nested = st.recursive(
    leaves | st.dictionaries(secret_names, unlike | leaves, max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
entries = st.dictionaries(st.sampled_from(NAMES), nested, max_size=3).flatmap(
    lambda fields: st.dictionaries(secret_names, unlike, max_size=2).map(
        lambda secrets: {"model": "a", "model_client_cls": "Mine", **fields, **secrets}
    )
)


def shortened(text):
    return st.integers(1, 9).map(lambda letters: text[:-letters])


def hidden(text):
    return "recognisable" not in text and "recog" not in text


@FEW
@given(st.lists(entries, min_size=1, max_size=2))
def test_secrets_anywhere_in_a_list_are_shown_nowhere(made):
    with mock.patch.dict(os.environ):
        secrets_of_a_list_are_shown_nowhere(made)


def secrets_of_a_list_are_shown_nowhere(made):
    editor = ConfigListEditor(namespace={})
    editor.entries[:] = parse_config_list(json.dumps(made))
    assert hidden(json.dumps(masked(made)) + json.dumps(form(editor)) + editor.preview() + editor.python())
    assert hidden(repr(editor.entries) + str(editor.problems()))
    compile(editor.python(), "program", "exec")
    for index in range(len(made)):
        editor.select(index)
        assert hidden(json.dumps(form(editor)))
        editor.set_extra_text(editor.extra_text())  # what is shown goes back without a change
        for field in FIELDS:
            if made[index].get(field.name) and isinstance(made[index][field.name], str):
                editor.set_text(field, editor.text(field))
    if not editor.unparsed:
        values = [{**entry, "tags": 0, "stop": 0, "max_tokens": 0} for entry in (*editor.entries, *made)]
        assert json.dumps(resolved(values[: len(made)])) == json.dumps(resolved(values[len(made) :]))


@FEW
@given(
    st.lists(
        st.tuples(st.just("extra"), entries.map(json.dumps))
        | st.tuples(st.just("paste"), entries.map(lambda entry: json.dumps([entry])))
        | st.tuples(st.just("broken"), entries.map(json.dumps).flatmap(shortened))
        | st.tuples(st.sampled_from([field.name for field in FIELDS]), alike)
        | st.tuples(st.just("key"), unlike)
        | st.tuples(st.sampled_from(["undo", "redo", "duplicate", "remove", "save", "back"]), st.just("")),
        min_size=2,
        max_size=8,
    )
)
def test_whatever_is_typed_no_secret_gets_into_the_list_or_its_file(steps):
    with mock.patch.dict(os.environ), tempfile.TemporaryDirectory() as folder:
        editor = ConfigListEditor(Path(folder) / "list.json", namespace={})
        editor.add("A class of your own")
        acts = {"extra": editor.set_extra_text, "broken": editor.set_extra_text, "paste": editor.paste}
        acts["key"] = editor.set_key
        others = {name: getattr(editor, name) for name in ("undo", "redo", "duplicate", "remove", "save")}
        others["back"] = lambda: editor.set_extra_text(editor.extra_text())
        for name, text in steps:
            try:
                if name in others:
                    others[name]()
                elif name in acts:
                    acts[name](text)
                else:
                    editor.set_text(FIELD[name], text)
            except ValueError as error:  # refused
                assert hidden(str(error))
            assert hidden(json.dumps(editor.entries) + json.dumps(form(editor)) + repr(editor.entries))
            assert hidden(editor.preview() + editor.python() + editor.message + str(editor.problems()))
            assert MASK not in json.dumps(editor.entries)
            assert referring(list(map(resolved, editor.entries))) == editor.entries
        assert all(hidden(file.read_text()) for file in Path(folder).iterdir())


# The chat


def test_a_chat_shows_no_key_in_questions_replies_and_errors(agent):
    for question in (f"My key is {KEY}.", "fail"):
        panel = ChatPanel(agent(Mine, {"api_key": KEY, "their_key": KEY}))
        panel.conversation.send(question)
        shown = json.dumps(panel.get_state(), default=repr) + repr(panel) + panel.conversation.markdown()
        assert MASK in shown
        assert "recognisable" not in shown
        panel.close()
