"""Trying an entry: one message and its reply, or a report of what is wrong; and what a server offers."""

import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from kit import DummyModelClient
from kit.config_list.secrets import NO_KEY
from kit.widgets.editor import ConfigListEditor
from kit.widgets.trial import NoModels, Trial, argument, served_models, try_entry

pytestmark = pytest.mark.usefixtures("folder")
DUMMY = {"model": "dummy", "model_client_cls": "DummyModelClient", "params": {"replies": "Ahoy, captain!"}}
KEY = "sk-recognisable-0123456789"
SECRET = "hunter2-recognisable"


class Echo(DummyModelClient):
    """Answers with what it knows of its entry and of its arguments."""

    def __init__(self, config, prefix="key", suffix=""):
        super().__init__(config, f"{prefix}: {config.get('api_key')} {suffix}")


class Failing(DummyModelClient):
    def create(self, params):
        raise RuntimeError(f"the server said: wrong key {self.config.get('api_key')}")


class Fails(DummyModelClient):
    def __init__(self, config):
        raise ImportError("No module named 'torchh'")


OWN = {cls.__name__: cls for cls in (Echo, Failing, Fails)}


def own(cls, **fields):
    return {"model": "a", "model_client_cls": cls.__name__, **fields}


@pytest.fixture
def closed():
    """The address of a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    return f"http://127.0.0.1:{port}/v1"


@pytest.fixture
def web():
    """A web server with a list of models at /v1/models, a page, an error, and one answer that never ends.

    `address` and `host` are where it is; `seen` has path and key of each request.
    """
    seen, over = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            seen.append((self.path, key))
            answers = {
                "/v1/models": (200, "json"),
                "/page/models": (200, "html"),
                "/broken/models": (500, "json"),
            }
            status, kind = answers.get(self.path, (404, "json"))
            self.send_response(401 if "wrong" in key else status)
            self.send_header("Content-Type", {"json": "application/json", "html": "text/html"}[kind])
            self.end_headers()
            content = {"html": "<h1>Hello</h1>"}.get(kind, '{"object": "list", "data": [{"id": "a"}]}')
            while "dribble" in self.path and not over.wait(0.05):
                self.wfile.write(b" ")
            self.wfile.write((content if status == 200 else '{"error": "Internal"}').encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
        host = f"127.0.0.1:{served.server_port}"
        yield SimpleNamespace(host=host, address=f"http://{host}", seen=seen)
        over.set()
        served.shutdown()


def codes(trial):
    return [finding.code for finding in trial.report.findings]


# A reply


def test_a_class_of_the_kit_answers_with_time_and_usage():
    trial = try_entry(DUMMY, {}, {}, "Who are you?")
    assert (trial.reply, trial.report) == ("Ahoy, captain!", None)
    assert (trial.prompt_tokens, trial.completion_tokens) == (8, 2)  # words; five are the system message's
    assert 0 <= trial.seconds < 5
    assert re.fullmatch(r"Ahoy, captain!\n\(\d\.\d s, 8 \+ 2 tokens\)", str(trial))


def test_a_price_becomes_a_cost():
    trial = try_entry({**DUMMY, "price": [1, 10]}, {}, {}, "Who are you?")
    assert trial.cost == pytest.approx(0.028)
    assert str(trial).endswith("8 + 2 tokens, cost 0.028)")


def test_a_class_in_the_namespace_comes_before_the_kits():
    other = type("DummyModelClient", (DummyModelClient,), {"_answers": lambda *_: ["mine"]})
    assert try_entry(DUMMY, {}, {"DummyModelClient": other}).reply == "mine"


def test_arguments_are_literals_or_variables_of_the_notebook():
    arguments = {"prefix": "'code'", "suffix": "words"}
    trial = try_entry(own(Echo, api_key="x"), arguments, {**OWN, "words": ["a", 1]})
    assert trial.reply.startswith("code: ")
    assert trial.reply.endswith(" ['a', 1]")


def test_the_editor_passes_on_what_was_typed_as_arguments():
    editor = ConfigListEditor(namespace=OWN)
    editor.add("A class of your own")
    editor.set(model_client_cls="Echo")
    editor.set_argument("prefix", "'typed'")
    assert editor.try_it().reply.startswith("typed: ")


def test_the_entry_is_left_as_it_is():
    entry = json.loads(json.dumps({**DUMMY, "n": 2}))
    try_entry(entry, {}, {})
    assert entry == {**DUMMY, "n": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("'a'", "a"), ("[1, {'a': None}]", [1, {"a": None}]), ("known", KEY), ("None", None)],
)
def test_a_typed_argument_stands_for_a_value(text, value):
    assert argument(text, {"known": KEY}) == value


@pytest.mark.parametrize("text", ["unknown", "f()", "known.upper()", "1 +", "", "\0", "(" * 100_000])
def test_an_argument_that_is_neither_is_refused_and_nothing_of_it_runs(text):
    with pytest.raises(ValueError, match="name of a variable, or a literal"):
        argument(text, {"known": KEY})


# What is wrong


@pytest.mark.parametrize(
    ("entry", "arguments", "code", "part"),
    [
        ({}, {}, "config-list", "an empty entry"),
        ({"model": "a", "model_client_cls": "Nobody"}, {}, "class-not-here", "client class 'Nobody'"),
        ({"model": "a", "model_client_cls": ["C"]}, {}, "config-list", "['C'] is not allowed"),
        ({"model": "a", "model_client_cls": "my class"}, {}, "config-list", "'my class'"),
        ({**DUMMY, "temperature": 9}, {}, "config-list", "'temperature': 9 is not allowed"),
        ({"model": "gpt"}, {}, "lacking-here", "Missing credentials"),
        (own(Fails), {}, "missing-package", "No module named 'torchh'"),
        (own(Failing), {}, "error", "RuntimeError: the server said"),
        ({**DUMMY, "n": 0}, {}, "says-itself", "ValueError: n must"),
        (DUMMY, {"colour": "'blue'"}, "says-itself", "TypeError: DummyModelClient takes"),
        (DUMMY, {"replies": "gone"}, "says-itself", "ValueError: this must be"),
        ({"model": "a", "model_client_cls": "Report"}, {}, "class-not-here", "client class 'Report'"),
        ({"model": "a", "model_client_cls": "diagnose"}, {}, "class-not-here", "client class 'diagnose'"),
    ],
)  # fmt: skip
def test_what_is_wrong_becomes_a_report_instead_of_an_exception(entry, arguments, code, part):
    trial = try_entry(entry, arguments, OWN)
    assert trial.reply == ""
    assert not trial.report.ok
    assert codes(trial)[0] == code
    assert part in str(trial)


def test_a_server_that_is_not_there_is_reported(closed):
    trial = try_entry({"model": "a", "base_url": closed, "api_key": "k", "max_retries": 0}, {}, {})
    assert codes(trial) == ["unreachable"]
    assert "fix base_url" in str(trial)


def test_a_server_answers(server):
    trial = try_entry({"model": "a", "base_url": server.address, "api_key": "right"}, {}, {})
    assert trial.reply == "The capital of France is Paris."
    assert (trial.prompt_tokens, trial.completion_tokens) == (3, 2)


def test_a_key_that_the_server_refuses_is_reported_and_never_shown(server):
    key = "wrong-recognisable"
    trial = try_entry({"model": "a", "base_url": server.address, "api_key": key}, {}, {})
    assert [(request.path, request.key) for request in server.seen] == [("/v1/chat/completions", key)]
    assert codes(trial) == ["key-refused"]
    assert "recognisable" not in str(trial)


# Keys


@pytest.mark.parametrize("key", [KEY, SECRET, "${MY_OWN_KEY}"])
@pytest.mark.parametrize("cls", [Echo, Failing])
def test_no_key_is_in_a_result_whatever_a_class_does_with_it(cls, key, monkeypatch):
    monkeypatch.setenv("MY_OWN_KEY", SECRET)
    trial = try_entry(own(cls, api_key=key), {}, OWN)
    assert "key" in str(trial)
    assert "**********" in str(trial)
    assert "recognisable" not in f"{trial} {trial!r} {trial.report!r}"


def test_a_reference_is_filled_in_for_the_class_alone(monkeypatch):
    monkeypatch.setenv("MY_OWN_KEY", SECRET)
    keys = []
    kept = type(
        "Kept", (DummyModelClient,), {"cost": lambda self, _: keys.append(self.config["api_key"]) or 0}
    )
    entry = own(kept, api_key="${MY_OWN_KEY}")
    try_entry(entry, {}, {"Kept": kept})
    assert set(keys) == {SECRET}
    assert entry["api_key"] == "${MY_OWN_KEY}"


def test_a_reference_to_a_variable_that_is_not_set_is_reported():
    trial = try_entry(own(Echo, api_key="${NOT_SET_KEY}"), {}, OWN)
    assert codes(trial) == ["lacking-here"]
    assert "NOT_SET_KEY is not set" in str(trial)


def test_a_trial_without_usage_shows_the_time_alone():
    assert str(Trial("Hi", 1.24)) == "Hi\n(1.2 s)"


# Which models a server offers


def test_a_servers_models_are_listed_in_order(server):
    assert served_models({"base_url": server.address, "api_key": "not-needed"}) == ["a", "b"]
    assert [(request.path, request.key) for request in server.seen] == [("/v1/models", "not-needed")]


def test_a_key_is_read_from_its_variable_to_ask_a_server(server, monkeypatch):
    monkeypatch.setenv("MY_OWN_KEY", KEY)
    assert served_models({"base_url": server.address, "api_key": "${MY_OWN_KEY}"}) == ["a", "b"]
    assert server.seen[0].key == KEY


@pytest.mark.parametrize(
    ("end", "better"), [("", "/v1"), ("/", "/v1"), ("/v2", "/v2/v1"), ("/v1/models", None), ("/v1", None)]
)
def test_an_address_without_v1_is_told_from_one_with_it(web, end, better):
    entry = {"base_url": web.address + end, "api_key": KEY}
    if end == "/v1":
        assert served_models(entry) == ["a"]
        return
    with pytest.raises(NoModels, match=r"/v1") as caught:
        served_models(entry)
    assert caught.value.address == (web.address + better if end in ("", "/") else "")
    assert [key for path, key in web.seen if path != f"{end.rstrip('/')}/models"] == [NO_KEY] * (
        len(web.seen) - 1
    )


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ({"base_url": "https://{host}/v1"}, "but at http://{host}/v1"),  # which speaks no TLS
        ({"base_url": "{host}"}, "but at http://{host}/v1"),
        ({"base_url": "http://{host}/page"}, "{host} answers, but not as OpenAI's API does"),
        ({"base_url": "http://{host}/broken"}, "{host}: .*Internal"),
        ({"base_url": "http://{host}/v1", "api_key": "wrong-recognisable"}, "refuses the key"),
        ({"base_url": "http://{host}/v1", "api_key": "${WRONG_KEY}"}, "refuses WRONG_KEY"),
        ({"base_url": "http://user:recognisable@127.0.0.1:9/v1"}, r"No server answers at 127.0.0.1:9\."),
        ({"base_url": "http://no-such-host.invalid/v1"}, "There is no server named no-such-host.invalid"),
        ({"base_url": "nonsense://"}, "unsupported protocol"),
        ({"api_key": None}, "needs a key"),
    ],
)
def test_why_a_server_names_no_models_and_what_to_do(web, monkeypatch, entry, part):
    monkeypatch.setenv("WRONG_KEY", "wrong-recognisable")
    entry = {"api_key": "k", **entry}
    entry = {name: value and value.replace("{host}", web.host) for name, value in entry.items()}
    with pytest.raises(NoModels, match=part.replace("{host}", web.host)) as caught:
        served_models(entry)
    assert "recognisable" not in str(caught.value)


def test_a_server_that_is_silent_is_given_up(web, monkeypatch):
    monkeypatch.setattr("kit.widgets.trial.SECONDS", 0.3)
    start = time.perf_counter()
    with pytest.raises(NoModels, match="did not answer in"):
        served_models({"base_url": f"{web.address}/dribble", "api_key": "k"})
    assert time.perf_counter() - start < 2
