"""Set-ups as people have them: what each is put down to, and that doing what the fix says makes it right.

A set-up that was fixed stays silent: nothing is found that would have to be fixed.
"""

import io
import itertools
import json
import os
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import autogen
import httpx
import openai
import pytest
import requests
import torch
import transformers
from autogen import LLMConfig
from autogen.agentchat.contrib.multimodal_conversable_agent import MultimodalConversableAgent
from autogen.cache import AbstractCache
from autogen.coding import LocalCommandLineCodeExecutor
from huggingface_hub import hf_hub_download
from jinja2 import Environment, TemplateError
from openai.types.chat import ChatCompletionMessage
from PIL import Image
from set_ups import (
    ALL_FOUR,
    DUMMY,
    MINE,
    QUESTION,
    agent,
    client,
    codes,
    group,
    raised,
    ready,
    user,
    with_tool,
)
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from kit import DummyModelClient, check_model_client, diagnose, register_model_clients, tool_call
from kit.checks.explain import explain

pytestmark = pytest.mark.usefixtures("folder")


# A server's answers ----------------------------------------------------------------------------------

SAYS = {"id": "1", "object": "chat.completion", "created": 1, "model": "good"}
SAYS["choices"] = [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}]
SAYS["usage"] = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
FIELDS = {  # by the model's name: what servers refuse in a request, and how they say so
    "plain": (lambda asked: asked.get("tools"), 400, "plain does not support tools"),
    "vllm": (
        lambda asked: asked.get("tools"),
        400,
        "tool choice requires --enable-auto-tool-choice to be set",
    ),
    "schema": (
        lambda asked: asked.get("tools"),
        400,
        "Invalid schema for function 'add': 'list' has no items",
    ),
    "azured": (
        lambda asked: asked.get("tools") and asked["path"].endswith("=2023-07-01-preview"),
        404,
        "Unrecognized request argument supplied: tools",
    ),
    "mistral": (
        lambda asked: "functions" in asked,
        422,
        {
            "detail": [
                {
                    "loc": ["body", "functions"],
                    "msg": "Extra inputs are not permitted",
                    "input": [{"name": "add"}],
                }
            ]
        },
    ),
    "studio": (
        lambda asked: "response_format" in asked,
        400,
        "'response_format.type' must be 'json_schema'",
    ),
    "new": (
        lambda asked: "max_tokens" in asked,
        400,
        "Unsupported parameter: 'max_tokens', with this model.",
    ),
    "nameless": (
        lambda asked: any("name" in message for message in asked["messages"]),
        422,
        {
            "detail": [
                {"loc": ["body", "messages", 1, "user", "name"], "msg": "Extra inputs are not permitted"}
            ]
        },
    ),
    "picky": (
        lambda asked: any(" " in message.get("name", "") for message in asked["messages"]),
        400,
        "Invalid 'messages[0].name': string does not match pattern.",
    ),
    "texts": (
        lambda asked: any(message["content"] is None for message in asked["messages"]),
        400,
        "Invalid 'content': 'content' field must be a string or an array of objects.",
    ),
    "texts alone": (
        lambda asked: any(isinstance(message["content"], list) for message in asked["messages"]),
        500,
        "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
    ),
}
REFUSALS = {  # by the model's name: what servers say
    "nobody": (404, {"error": {"message": "The model `nobody` does not exist", "code": "model_not_found"}}),
    "not-pulled": (404, {"error": {"message": 'model "x" not found, try pulling it first'}}),
    "poor": (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}),
    "busy": (429, {"error": {"message": "Rate limit reached for requests"}}),
    "starting": (503, {"error": {"message": "Loading model", "type": "unavailable_error"}}),
    "small": (400, {"error": {"message": "This model's maximum context length is 8 tokens."}}),
    "strict": (400, {"error": {"message": "Conversation roles must alternate user/assistant/..."}}),
    "limited": (200, {"error": {"message": "Provider returned error", "code": 429}}),
    "wants-text": (400, {"error": {"message": "messages.1.content: Field required"}}),
    "closed": (403, {"error": {"message": "Your region is not supported"}}),
    "ill": (500, {"error": {"message": "CUDA kernel went away"}}),
    "odd": (418, {"detail": [{"msg": "I am a teapot"}]}),
    "a text as body": (
        422,
        {"detail": [{"loc": ["body"], "msg": "Input should be a valid dictionary or object"}]},
    ),
    "foreign": (401, {"error": {"message": "OpenAI-Organization header should match organization"}}),
    "large": (500, {"error": {"message": "model requires more system memory (5 GiB) than there is"}}),
    "unread": (400, {"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}),
    "its-own": (400, {"error": {"message": "Expected last role User or Tool but got assistant"}}),
    "asks-back": (400, {"error": {"message": "The `reasoning_content` must be passed back to the API"}}),
    "half": (400, {"error": {"message": "'tool_calls' must be followed by tool messages"}}),
    "no-null": (
        422,
        {"detail": [{"loc": ["messages", 2, "content"], "msg": "none is not an allowed value"}]},
    ),
    "blind": (400, {"error": {"message": "m is not a multimodal model"}}),
    "base": (400, {"error": {"message": "default chat template is no longer allowed"}}),
    "thinking": (400, {"error": {"message": "enable_thinking must be set to false for this call"}}),
    "larger": (413, {"error": {"message": "Request too large for model: Limit 6000, Requested 8318"}}),
    "prim": (400, {"error": {"message": "The response was filtered: content management policy"}}),
    "old": (404, {"error": {"message": "This is not a chat model and thus not supported here."}}),
    "odd-404": (404, {"error": {"message": "No allowed providers are there for the model."}}),
    "azure": (404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment is not there"}}),
}


class Handler(BaseHTTPRequestHandler):
    """A server like many: OpenAI's protocol below /v1, one key, one model; some of its paths are odd."""

    def do_POST(self):
        if self.path.startswith(("/ends", "/greets")):
            self.wfile.write(b"Welcome\r\n\r\n" if self.path == "/greets" else b"")
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        status, said = self.answer({**asked, "path": self.path})
        data = said if isinstance(said, str) else json.dumps(said)
        self.send_response(301 if self.path.startswith("/moved") else status)
        self.send_header("Location", self.path.removeprefix("/moved"))
        self.send_header("Content-Type", "text/html" if isinstance(said, str) else "application/json")
        self.end_headers()
        self.wfile.write(data.encode())

    def do_GET(self):  # which a POST becomes that was sent on, or the model hub
        if not self.path.startswith("/hub"):
            self.send_response(405)
        elif self.headers["Authorization"]:
            self.send_response(200)
            for name, value in {"ETag": '"1"', "X-Repo-Commit": "0" * 40, "Content-Length": "2"}.items():
                self.send_header(name, value)
        else:
            self.send_response(403)
            self.send_header("X-Error-Code", "GatedRepo")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"{}")

    do_HEAD = do_GET

    def answer(self, asked):
        if self.path.startswith("/lines"):
            return 200, '{"text": "a"}\n{"text": "b"}\n'
        if self.path.startswith(("/azure", "/openai/deployments/gone/chat")):
            return 404, {"error": {"code": "404", "message": "Resource not found"}}
        if self.path.startswith("/page"):
            return 200, "<html><title>Welcome</title><script>1</script></html>"
        if self.path.startswith("/studio") and not self.path.startswith("/studio/v1/"):
            return 200, {"error": f"Unexpected endpoint or method. (POST {self.path})"}
        if self.path.removeprefix("/studio") != "/v1/chat/completions" and "/azured/" not in self.path:
            return 404, "404 page not found"
        refuses, status, why = FIELDS.get(asked.get("model"), (None, 0, ""))
        if refuses:
            return (status, {"error": {"message": why}}) if refuses(asked) else (200, SAYS)
        if self.headers["Authorization"] in (None, "right", "Bearer wrong", "Bearer None", "Bearer 'right'"):
            return 401, {"error": {"message": "Incorrect API key provided"}}
        if asked["model"] == "empty":  # has no answer to an empty message
            return 200, {**SAYS, "choices": SAYS["choices"] if asked["messages"][-1]["content"] else []}
        if asked["model"] == "forgetful":  # reads no more than the end of a prompt
            return 200, {
                **SAYS,
                "usage": {"prompt_tokens": 2048, "completion_tokens": 1, "total_tokens": 2049},
            }
        return REFUSALS.get(asked["model"], (200, SAYS))

    def log_message(self, *args): ...


SERVER = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{SERVER.server_port}"
GOOD = {"model": "good", "base_url": f"{URL}/v1", "api_key": "right", "max_retries": 0, "price": [0, 0]}
AZURE = {"api_type": "azure", "api_version": "2024-08-01-preview"}
REQUESTS = {
    "the whole endpoint": ({"base_url": f"{URL}/v1/chat/completions"}, "doubled-path"),
    "the endpoint of old models": ({"base_url": f"{URL}/v1/completions"}, "doubled-path"),
    "no /v1": ({"base_url": URL}, "no-v1"),
    "no /v1, and a slash": ({"base_url": f"{URL}/"}, "no-v1"),
    "/v1 twice": ({"base_url": f"{URL}/v1/v1"}, "doubled-path"),
    "Ollama's own path": ({"base_url": f"{URL}/api/generate"}, "native-path"),
    "another of Ollama's own": ({"base_url": f"{URL}/api"}, "native-path"),
    "some other path": ({"base_url": f"{URL}/models/chat"}, "unknown-address"),
    "a 200 that holds an error": ({"base_url": f"{URL}/studio"}, "answer-without-choices"),
    "a page": ({"base_url": f"{URL}/page"}, "answer-is-text"),
    "https for http": ({"base_url": f"https{URL.removeprefix('http')}/v1"}, "https-for-http"),
    "no such host": ({"base_url": "http://nowhere.invalid/v1"}, "unknown-host"),
    "nothing runs there": ({"base_url": "http://127.0.0.1:9/v1"}, "unreachable"),
    "a wrong key": ({"api_key": "wrong"}, "key-refused"),
    "a key with a line break": ({"api_key": "right\n"}, "key-not-sendable"),
    "a key with letters that can't be sent": ({"api_key": "“right”"}, "key-not-sendable"),
    "a model that is not there": ({"model": "nobody"}, "unknown-model"),
    "a model that was not fetched": ({"model": "not-pulled"}, "unknown-model"),
    "no credit": ({"model": "poor"}, "no-quota"),
    "too often": ({"model": "busy"}, "too-often"),
    "nothing, and the connection ends": ({"base_url": f"{URL}/ends/v1"}, "broken-off"),
    "still loading": ({"model": "starting"}, "model-loading"),
    "too long": ({"model": "small"}, "context-window"),
    "roles": ({"model": "strict"}, "roles-by-server"),
    "a 200 that holds a 429": ({"model": "limited"}, "too-often"),
    "a message without a content": ({"model": "wants-text"}, "message-refused"),
    "not in this region": ({"model": "closed"}, "forbidden"),
    "a server that fails": ({"model": "ill"}, "server-error"),
    "something new": ({"model": "odd"}, "request-refused"),
    "a key of another organization": ({"model": "foreign"}, "organization"),
    "a body that is a text": ({"model": "a text as body"}, "body-no-object"),
    "a model that is too large": ({"model": "large"}, "server-memory"),
    "a tool call that it can't read": ({"model": "unread"}, "call-not-read"),
    "an agent that speaks twice": ({"model": "its-own"}, "last-role"),
    "Azure, asked as OpenAI is": ({"base_url": f"{URL}/azure"}, "azure-asked-as-openai"),
    "thoughts that it wants back": ({"model": "asks-back"}, "thoughts-must-return"),
    "a call without its result": ({"model": "half"}, "call-without-answer"),
    "None for a content": ({"model": "no-null"}, "content-null"),
    "an image": ({"model": "blind"}, "no-images"),
    "a base model": ({"model": "base"}, "server-without-template"),
    "thoughts only in a stream": ({"model": "thinking"}, "thinking-refused"),
    "an address that sends requests on": ({"base_url": f"{URL}/moved/v1"}, "redirected"),
    "one request that is too large": ({"model": "larger"}, "request-too-large"),
    "a filter": ({"model": "prim"}, "filtered"),
    "a model that only completes": ({"model": "old"}, "completions-only"),
    "a 404 that is not about the address": ({"model": "odd-404"}, "request-refused"),
    "a key that was never filled in": ({"api_key": "None"}, "key-unfilled"),
    "a key in quotes": ({"api_key": "'right'"}, "key-in-quotes"),
    "Azure's address down to the deployment": (
        {"base_url": f"{URL}/openai/deployments/good", **AZURE},
        "doubled-path",
    ),
    "another server, asked as Azure is": ({"base_url": URL, **AZURE}, "azure-path-elsewhere"),
    "no such deployment, in other words": ({"model": "gone", "base_url": URL, **AZURE}, "azure-deployment"),
    "no such deployment": ({"model": "azure"}, "azure-deployment"),
}


def ask(made):
    return made.generate_reply(messages=QUESTION)


@pytest.mark.parametrize(("change", "code"), REQUESTS.values(), ids=REQUESTS)
def test_what_a_server_says_is_told_with_its_reason(change, code):
    made = agent({**GOOD, **change})
    error = raised(lambda: ask(made))
    report = diagnose(made, error=error)
    assert codes(report)[0] == code
    [answer] = [said for status, said in [REFUSALS.get(change.get("model"), (200, {}))]]
    if reason := answer.get("error", {}).get("message"):
        assert reason[:30] in str(report)
    assert not {one.code for one in report.findings if not one.warning} - {code}  # nothing leads elsewhere


def test_the_same_requests_in_order_are_answered_and_nothing_is_found():
    made = agent(GOOD)
    assert "Hi" in str(ask(made))
    assert codes(diagnose(made)) == []


def test_a_server_without_choices_for_an_empty_message():
    made = agent({**GOOD, "model": "empty"})
    error = raised(lambda: made.generate_reply(messages=[{"role": "user", "content": ""}]))
    assert codes(diagnose(made, error=error)) == ["empty-message"]
    assert "Hi" in str(made.generate_reply(messages=[{"role": "user", "content": "Go on."}]))


def test_a_field_of_older_versions_is_told_its_name_of_today():
    made = agent({**GOOD, "api_base": f"{URL}/v1"})
    [finding, *_] = diagnose(made, error=raised(lambda: ask(made))).findings
    assert finding.code == "renamed-field"
    fixed = {**GOOD, **json.loads("{" + finding.fix.partition(": ...")[0] + f': "{URL}/v1"' + "}")}
    assert "Hi" in str(ask(agent(fixed)))


@pytest.mark.parametrize(("wanted", "there"), [("last_message", "ConversableAgent"), ("history", "summary")])
def test_what_one_of_autogens_objects_lacks_is_told_with_what_it_has(wanted, there):
    result = user().initiate_chat(ready(), message="Hi", max_turns=1, silent=True)
    finding = explain(raised(lambda: getattr(result, wanted)))
    assert finding.code == "other-object"
    assert there in finding.message and "chat_history" in finding.message
    assert result.chat_history and result.summary  # what it names is there


@pytest.mark.parametrize("name", ["the whole endpoint", "no /v1", "/v1 twice", "Ollama's own path"])
def test_the_address_that_a_fix_names_is_answered(name):
    change, _ = REQUESTS[name]
    fix = explain(raised(lambda: ask(agent({**GOOD, **change})))).fix
    better = json.loads("{" + fix + "}")
    assert "Hi" in str(ask(agent({**GOOD, **better})))


def test_a_proxy_that_takes_requests_for_this_machine_is_named(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://me:secret@127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    finding = explain(raised(lambda: ask(agent(GOOD))))
    assert finding.code == "proxy"
    assert "127.0.0.1:9" in finding.message
    assert "secret" not in finding.message
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")  # what the fix says
    assert "Hi" in str(ask(agent(GOOD)))


def config_of(*entries, **settings):
    return {"config_list": [dict(entry) for entry in entries], **settings}


class Uncopyable:
    def __deepcopy__(self, memo):
        raise TypeError("a lock can't be copied")


CONFIGS = {  # what AutoGen refuses as an llm_config, and the same made right
    "a comma behind the brace": ((config_of(DUMMY),), "nested-list", config_of(DUMMY)),
    "an llm_config in its place of a list": (
        {"config_list": config_of(DUMMY)},
        "nested-list",
        config_of(DUMMY),
    ),
    "named entries": ({"config_list": {"a": dict(DUMMY)}}, "named-entries", config_of(DUMMY)),
    "a name of older versions": (
        config_of(DUMMY, request_timeout=9),
        "llm-config-field",
        config_of(DUMMY, timeout=9),
    ),
    "a field that is nobody's": (config_of(DUMMY, colour="blue"), "llm-config-unknown", config_of(DUMMY)),
    "a temperature in place of a list": (
        {"temperature": 0},
        "llm-config-without-list",
        config_of(DUMMY, temperature=0),
    ),
    "half of Azure": (
        config_of({"model": "a", "api_type": "azure", "api_key": "k", "api_version": "1"}),
        "azure-by-halves",
        config_of(
            {"model": "a", "api_type": "azure", "api_key": "k", "api_version": "1", "base_url": "https://a.b"}
        ),
    ),
    "an entry without a model": (config_of({"model_client_cls": "Mine"}), "config-list", config_of(MINE)),
    "an object that can't be copied": (
        config_of({**GOOD, "http_client": Uncopyable()}),
        "not-copyable",
        config_of(GOOD),
    ),
}


@pytest.mark.parametrize(("config", "code", "right"), CONFIGS.values(), ids=CONFIGS)
def test_an_llm_config_that_is_refused(config, code, right):
    error = raised(lambda: autogen.AssistantAgent("a", llm_config=config))
    assert codes(diagnose(error=error))[0] == code  # AutoGen's own frames hold what it was given
    autogen.AssistantAgent("a", llm_config=right)
    assert not [one for one in diagnose(right).findings if not one.warning]


@pytest.mark.parametrize("wanted", [["no-such-model"], {"dummy"}], ids=["nothing", "a set"])
def test_a_filter_that_keeps_nothing(wanted):
    Path("OAI_CONFIG_LIST").write_text(json.dumps([DUMMY]))

    def load(values):
        return autogen.LLMConfig.from_json(path="OAI_CONFIG_LIST", filter_dict={"model": values})

    assert codes(diagnose("OAI_CONFIG_LIST", error=raised(lambda: load(wanted)))) == ["empty-filter"]
    load(["dummy"])


def azure(version):
    return {"base_url": URL, "api_type": "azure", "api_version": version}


def no_names(messages):
    return [{k: v for k, v in m.items() if k != "name"} for m in messages]


def no_nulls(messages):
    return [{**m, "content": m.get("content") or ""} for m in messages]


CALLED = [
    *QUESTION,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": "3"},
]
NUMBERS = {"a": {"type": "integer"}, "b": {"type": "integer"}}
OLDER = {"functions": [{"name": "add", "parameters": {"type": "object", "properties": NUMBERS}}]}
REFUSED = {  # what a server refuses, by the model's name: asked so, and as the fix says
    "no tools": ("plain", {"tool": True}, {}, "no-tools"),
    "a server without its options": ("vllm", {"tool": True}, {}, "server-options"),
    "Azure by an old version": (
        "azured",
        {"tool": True, **azure("2023-07-01-preview")},
        {"tool": True, **azure("2024-10-21")},
        "old-api-version",
    ),
    "a tool that is described badly": ("schema", {"tool": True}, {}, "tool-described"),
    "the older form of tools": ("mistral", {"settings": OLDER}, {"tool": True}, "no-functions"),
    "a value": (
        "studio",
        {"settings": {"response_format": {"type": "json_object"}}},
        {},
        "parameter-refused",
    ),
    "a parameter that is gone": ("new", {"max_tokens": 5}, {"max_completion_tokens": 5}, "parameter-refused"),
    "a name in a message": (
        "nameless",
        {"name": "user"},
        {"name": "user", "hook": no_names},
        "message-field",
    ),
    "a name with a space": ("picky", {"name": "a user"}, {"name": "a_user"}, "message-name"),
    "None in a call": ("texts", {"messages": CALLED}, {"messages": CALLED, "hook": no_nulls}, "content-null"),
    "a list of parts": (
        "texts alone",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        {},
        "content-in-parts",
    ),
}


def asks(model, tool=False, settings=None, name=None, hook=None, messages=QUESTION, **fields):
    entry = {**GOOD, "model": model, **fields}
    made = autogen.AssistantAgent("helper", llm_config={"config_list": [entry], **(settings or {})})
    if tool:
        made.register_for_llm(description="Add.")(add)
    if hook:
        made.register_hook("process_all_messages_before_reply", hook)
    messages = [{**message, "name": name} for message in messages] if name else messages
    return made, lambda: made.generate_reply(messages=messages)


@pytest.mark.parametrize(("model", "broken", "fixed", "code"), REFUSED.values(), ids=REFUSED)
def test_the_field_that_a_server_refuses_is_found_in_what_it_was_sent(model, broken, fixed, code):
    made, run = asks(model, **broken)
    error = raised(run)
    assert explain(error).code == code
    assert codes(diagnose(made, error=error)) == [code]
    made, run = asks(model, **fixed)
    assert "Hi" in str(run())
    assert codes(diagnose(made)) == []


def test_who_set_a_field_is_told():
    form = {"response_format": {"type": "json_object"}}
    assert "of llm_config" in explain(raised(asks("studio", settings=form)[1])).message
    assert "of the entry" in explain(raised(asks("studio", **form)[1])).message
    assert "of the entry" in explain(raised(asks("studio", extra_body=form)[1])).message
    made = agent(MINE, register=[client(create=sends(form, Authorization="Bearer right"))])
    assert "of the code of the client" in explain(raised(lambda: ask(made))).message


def test_a_class_of_ones_own_is_told_what_to_send():
    def create(self, params):
        for index, message in enumerate(params["messages"]):
            if message.keys() - {"role", "content"}:
                raise RuntimeError(f"Error code: 400 - messages.{index}.name: Extra inputs are not permitted")
        return DummyModelClient(self.config).create(params)

    def as_the_fix_says(self, params):
        messages = [{"role": m["role"], "content": m["content"]} for m in params["messages"]]
        return create(self, {**params, "messages": messages})

    named = [{**QUESTION[0], "name": "user"}]
    made = agent(MINE, register=[client(create=create)])
    finding = explain(raised(lambda: made.generate_reply(messages=named)))
    assert finding.code == "message-field"
    assert "In create, send" in finding.fix
    assert agent(MINE, register=[client(create=as_the_fix_says)]).generate_reply(messages=named)


def test_a_failure_that_names_no_field_tells_what_was_sent():
    assert (
        "which held temperature, tools," in explain(raised(asks("ill", tool=True, temperature=0)[1])).message
    )


def test_a_server_here_wants_no_key_and_openais_client_does(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    entries = [GOOD, {"model": "good", "base_url": f"{URL}/v1", "price": [0, 0]}]
    error = raised(lambda: agent(*entries))
    assert explain(error).code == "key-for-local"
    assert codes(diagnose(entries, error=error))[0] == "key-for-local"
    entries[1]["api_key"] = "not-needed"
    assert "Hi" in str(ask(agent(*entries)))
    assert codes(diagnose(entries)) == []


# Errors out of a client of one's own -----------------------------------------------------------------


def add(a: int, b: int) -> int:
    return a + b


def posts(path):
    """Return a create that asks a server with requests, and trusts its answer."""

    def create(self, params):
        return requests.post(URL + path, json={"model": "good"}, timeout=5).json()["text"]

    return create


def unlooked_at(self, params):
    answer = requests.post(f"{URL}/v1/chat/completions", headers={"Authorization": "Bearer wrong"}, json={})
    return answer.json()["choices"]


def sends(fields=None, **headers):
    """Return a create that asks a server with some headers, and some fields of a request."""
    fields = {"model": "studio" if fields else "good", **(fields or {})}

    def create(self, params):
        answer = requests.post(f"{URL}/v1/chat/completions", headers=headers, json=fields, timeout=5)
        answer.raise_for_status()
        return DummyModelClient.create(self, params)

    return create


def gated(**options):
    """Return a create that fetches a file of a model which only those who logged in get."""

    def create(self, params):
        hf_hub_download("some/model", "config.json", endpoint=f"{URL}/hub", cache_dir="cache", **options)
        return DummyModelClient.create(self, params)

    return create


def no_model(self, params):
    said = "[{'type': 'string_type', 'loc': ('body', 'model'), 'msg': 'Input should be a valid string'}]"
    request = httpx.Request("POST", f"{URL}/v1/chat/completions", json={"model": None, "messages": []})
    httpx.Response(400, request=request, json={"message": said}).raise_for_status()


def only_an_adapter(self, params):
    folder = Path("tuned")
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


def raise_for_status(self, params):
    sent = {"headers": {"Authorization": "Bearer right"}, "json": {"model": "poor"}}
    requests.post(f"{URL}/v1/chat/completions", timeout=5, **sent).raise_for_status()


def raise_(error):
    raise error


def with_httpx(self, params):
    return httpx.post(f"{URL}/page", json={}).json()


def lines(*said):
    """Return a create that reads a stream's lines as JSON."""
    return lambda self, params: [json.loads(line) for line in said]


def from_answer(answer):
    """Return a create that takes the text out of an answer."""

    def create(self, params):
        return answer["choices"][0]["message"]["content"]

    return create


def pieces(self, params):
    for chunk in [SimpleNamespace(choices=[], usage=1)]:
        print(chunk.choices[0].delta.content)


def in_parts(self, params):
    tokenizer = SimpleNamespace(apply_chat_template=Environment().from_string("{{ '[' + m.content }}").render)
    return tokenizer.apply_chat_template(m={"content": [{"type": "text", "text": "Hi"}]})


def overflows(self, params):
    model = tiny_model()
    model.lm_head.weight.data.fill_(float("nan"))
    return model.generate(torch.tensor([[1]]), do_sample=True, max_new_tokens=1)


def without_usage(self, params):
    response = SimpleNamespace(usage=None)
    return response.usage.prompt_tokens


def empty_folder(self, params):
    tiny_model().config.save_pretrained("empty")
    return transformers.AutoModelForCausalLM.from_pretrained("empty")


def encoder(self, params):
    transformers.T5Config().save_pretrained("t5")
    return transformers.AutoModelForCausalLM.from_pretrained("t5")


def template(self, params):
    def refuse(text):
        raise TemplateError(text)

    text = "{{ refuse('System role not supported') if messages[0].role == 'system' }}"
    return Environment().from_string(text).render(refuse=refuse, **params)


def tiny_model():
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.LlamaConfig(vocab_size=20, max_position_embeddings=64, **sizes)
    return transformers.LlamaForCausalLM(config)


def generates(**options):
    return lambda self, params: tiny_model().generate(torch.tensor([[1, 2]]), **options)


def loads(**options):
    def create(self, params):
        tiny_model().save_pretrained("tiny")
        return transformers.AutoModelForCausalLM.from_pretrained("tiny", **options)

    return create


OWN = {
    "a page where JSON belongs": (posts("/page"), "answer-no-json"),
    "a page, with httpx": (with_httpx, "answer-no-json"),
    "lines where one answer belongs": (posts("/lines"), "answer-in-lines"),
    "lines of a stream": (lines('data: {"a": 1}'), "answer-in-lines"),
    "a text that is no JSON": (lines("{}", "Hello"), "error"),
    "an answer to what was no JSON": (from_answer({"detail": [{"type": "json_invalid"}]}), "body-no-object"),
    "a refusal taken for an answer": (from_answer({"detail": [{"msg": "no"}]}), "answer-is-error"),
    "an answer of another form": (from_answer({"message": {"content": "Hi"}}), "text-elsewhere"),
    "a chunk without choices": (pieces, "chunk-without-choices"),
    "openai 0.28": (lambda self, params: openai.ChatCompletion.create(model="m"), "removed-interface"),
    "parts where a text belongs": (in_parts, "content-parts"),
    "a folder without weights": (empty_folder, "no-weights"),
    "an encoder and decoder": (encoder, "encoder-decoder"),
    "flash attention": (loads(attn_implementation="flash_attention_2"), "flash-attention"),
    "lists where tensors belong": (
        lambda self, params: tiny_model().generate([[1, 2]], max_new_tokens=1),
        "lists-for-tensors",
    ),
    "an object taken for a dict": (
        lambda self, params: DummyModelClient(DUMMY).create(params)["choices"],
        "object-not-dict",
    ),
    "no usage": (without_usage, "no-usage"),
    "a model without its head": (
        lambda self, params: transformers.LlamaModel(tiny_model().config).generate(),
        "no-head",
    ),
    "numbers beyond their dtype": (overflows, "not-a-number"),
    "no scheme": (lambda self, params: requests.post("localhost:1/v1", json={}), "no-scheme"),
    "a refusal that nobody looked at": (unlooked_at, "key-refused"),
    "no way to the hub": (
        lambda self, params: raise_(
            OSError("We couldn't connect to 'https://hub.invalid' to load the files")
        ),
        "no-hub",
    ),
    "no key": (sends(), "key-not-sent"),
    "no model": (no_model, "field-missing"),
    "a key without Bearer": (sends(Authorization="right"), "key-not-sent"),
    "a gated model": (gated(token=False), "gated"),
    "an argument that has another name now": (loads(use_auth_token="x"), "unexpected-argument"),
    "an adapter without its model": (only_an_adapter, "only-an-adapter"),
    "the server's reason": (raise_for_status, "no-quota"),
    "a file that is no JSON": (lambda self, params: json.loads(""), "error"),
    "a file that is not there": (lambda self, params: Path("nowhere").read_text(), "error"),
    "a list of one's own": (lambda self, params: [][0], "error"),
    "proxies": (lambda self, params: httpx.Client(proxies=None), "proxies"),
    "another argument of httpx": (lambda self, params: httpx.Client(time_out=3), "unexpected-argument"),
    "no such argument of one's own": (lambda self, params: add(1, c=2), "error"),
    "a template without a system role": (template, "roles"),
    "max_tokens": (generates(max_tokens=8), "generate-argument"),
    "an option that nobody has": (generates(frequency_penalty=1), "generate-argument"),
    "a temperature of 0": (generates(do_sample=True, temperature=0.0), "temperature-zero"),
    "8 bits": (loads(load_in_8bit=True), "quantization-flag"),
    "a token outside the table": (
        lambda self, params: tiny_model().generate(torch.tensor([[99]]), max_new_tokens=1),
        "tokens-outside",
    ),
    "a device that is not there": (lambda self, params: torch.ones(1).to("cuda"), "no-device"),
}


@pytest.mark.parametrize(("create", "code"), OWN.values(), ids=OWN)
def test_what_ones_own_client_runs_into_belongs_to_its_line(create, code):
    made = agent(MINE, register=[client(create=create)])
    error = raised(lambda: ask(made))
    finding = explain(error)
    assert finding.code == code
    assert ", line " in finding.message
    assert codes(diagnose(made, error=error))[0] == code
    assert "config list" not in finding.message


def tokenizer(template="{% for m in messages %}{{ '[' + m.content }}{% endfor %}"):
    made = Tokenizer(WordLevel({"[UNK]": 0, "Hi": 1}, unk_token="[UNK]"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, chat_template=template)


def pipe(task="text-generation", **parts):
    return transformers.pipeline(task, model=tiny_model(), **parts)


MESSAGES = [*QUESTION, {"role": "assistant", "content": None, "tool_calls": []}]
IDS = [[1, 2]]
MENDED = {  # what fails in create, and the same as the fix says
    "messages for a tokenizer": (
        lambda: tokenizer()(QUESTION),
        lambda: tokenizer().apply_chat_template(QUESTION, tokenize=True),
        "tokenizer-wants-text",
    ),
    "None for a tokenizer": (
        lambda: tokenizer()(MESSAGES[-1]["content"]),
        lambda: tokenizer()(MESSAGES[0]["content"]),
        "tokenizer-wants-text",
    ),
    "a message without content in a template": (
        lambda: tokenizer().apply_chat_template(MESSAGES),
        lambda: tokenizer().apply_chat_template([{**m, "content": m.get("content") or ""} for m in MESSAGES]),
        "template-lacks",
    ),
    "a text for generate": (
        lambda: tiny_model().generate("Hi"),
        lambda: tiny_model().generate(**tokenizer()("Hi", return_tensors="pt"), max_new_tokens=1),
        "lists-for-tensors",
    ),
    "a dict read like an object": (
        lambda: QUESTION[0].content,
        lambda: QUESTION[0]["content"],
        "dict-not-object",
    ),
    "a list read like a dict": (
        lambda: QUESTION["content"],
        lambda: QUESTION[-1]["content"],
        "list-not-dict",
    ),
    "a list taken for a text": (
        lambda: tokenizer().batch_decode(IDS).strip(),
        lambda: tokenizer().batch_decode(IDS)[0].strip(),
        "list-not-text",
    ),
    "messages joined": (
        lambda: "\n".join(MESSAGES),
        lambda: "\n".join(message["content"] or "" for message in MESSAGES),
        "messages-joined",
    ),
    "a tensor as JSON": (
        lambda: json.dumps({"ids": torch.tensor(IDS)}),
        lambda: json.dumps({"ids": torch.tensor(IDS).tolist()}),
        "not-json",
    ),
    "a pipeline that is gone": (
        lambda: pipe("conversational", tokenizer=tokenizer()),
        lambda: pipe(tokenizer=tokenizer())(QUESTION, max_new_tokens=1)[0]["generated_text"][-1]["content"],
        "no-such-task",
    ),
    "a pipeline without a tokenizer": (pipe, lambda: pipe(tokenizer=tokenizer()), "no-tokenizer-given"),
    "choices without sampling": (
        lambda: generates(do_sample=False, num_return_sequences=2)(None, {}),
        lambda: generates(do_sample=True, num_return_sequences=2, max_new_tokens=1)(None, {}),
        "greedy-choices",
    ),
    "a temperature in quotes": (
        lambda: generates(do_sample=True, temperature="0.7")(None, {}),
        lambda: generates(do_sample=True, temperature=0.7, max_new_tokens=1)(None, {}),
        "number-as-text",
    ),
    "a number of tokens in quotes": (
        lambda: generates(max_new_tokens="1")(None, {}),
        lambda: generates(max_new_tokens=1)(None, {}),
        "number-as-text",
    ),
    "a method of another model": (
        lambda: tiny_model().chat(tokenizer(), "Hi"),
        lambda: tiny_model().generate(torch.tensor(IDS), max_new_tokens=1),
        "no-chat-method",
    ),
    "a dtype that torch does not have": (
        lambda: loads(dtype="fp16")(None, {}),
        lambda: loads(dtype="float16")(None, {}),
        "dtype-name",
    ),
    "a file in place of the folder": (
        lambda: loads()(None, {}).from_pretrained("tiny/model.safetensors"),
        lambda: loads()(None, {}).from_pretrained("tiny"),
        "no-model-kind",
    ),
    "a class that transformers has no more": (
        lambda: exec("from transformers import AutoModelWithLMHead"),
        lambda: exec("from transformers import AutoModelForCausalLM"),
        "gone-from-transformers",
    ),
    "a port and no slash": (
        lambda: httpx.post(URL + "v1/chat/completions"),
        lambda: httpx.post(URL + "/v1/chat/completions", json={"model": "good"}),
        "odd-address",
    ),
    "a port of another program": (
        lambda: httpx.post(URL + "/greets"),
        lambda: httpx.post(URL + "/v1/chat/completions", json={"model": "good"}),
        "not-http",
    ),
    "a system message for an API that takes it apart": (
        lambda: raise_(
            Exception('messages: Unexpected role "system". There is a top-level `system` parameter')
        ),
        lambda: [message for message in QUESTION if message["role"] != "system"],
        "system-apart",
    ),
    "urllib and no scheme": (
        lambda: urllib.request.urlopen(URL.removeprefix("http://")),
        lambda: urllib.request.urlopen(URL + "/v1/chat/completions", data=b'{"model": "plain"}'),
        "no-scheme",
    ),
    "urllib and an address that is not there": (
        lambda: urllib.request.urlopen(URL + "/v2", data=b"{}"),
        lambda: urllib.request.urlopen(URL + "/v1/chat/completions", data=b'{"model": "plain"}'),
        "unknown-address",
    ),
    "a server that ends the connection": (
        lambda: httpx.post(URL + "/ends"),
        lambda: httpx.post(URL + "/v1/chat/completions", json={"model": "good"}),
        "broken-off",
    ),
}


@pytest.mark.parametrize(("broken", "fixed", "code"), MENDED.values(), ids=MENDED)
def test_what_fails_in_create_is_right_once_the_fix_is_done(broken, fixed, code):
    made = agent(MINE, register=[client(create=lambda self, params: broken())])
    finding = explain(raised(lambda: ask(made)))
    assert finding.code == code
    assert ", line " in finding.message
    fixed()


@pytest.mark.parametrize("create", [sends(Authorization="Bearer right"), gated(token="hf_x")])
def test_a_key_that_is_sent_as_servers_want_it_is_taken(create):
    made = agent(MINE, register=[client(create=create)])
    ask(made)
    assert codes(diagnose(made)) == []


def test_what_the_names_in_the_line_stood_for_is_told_without_keys():
    def create(self, params):
        answer = {"text": "Hi", "api_key": "sk-0123456789abcdef0123"}
        return answer["choices"]

    finding = explain(raised(lambda: ask(agent(MINE, register=[client(create=create)]))))
    assert "there, answer = {'text': 'Hi'" in finding.message
    assert "0123456789" not in finding.message


def test_a_stream_that_is_taken_as_one_answer():
    def create(self, params):
        answer = (word for word in "ab") if params.get("stream") else ["Hi"]
        return DummyModelClient(MINE, replies=[answer[0]]).create(params)

    def made(**fields):
        return agent({**MINE, **fields}, register=[client(create=create)])

    assert explain(raised(lambda: ask(made(stream=True)))).code == "generator-answer"
    assert ask(made()) == "Hi"


def test_a_cache_that_is_to_hold_what_json_does_not_have():
    def made(**fields):
        return agent({**MINE, **fields}, register=[client()])

    def chat_cached(one):
        return chat(one, user(), max_turns=1, cache=Memory())

    assert explain(raised(lambda: chat_cached(made(dtype=torch.float32)))).code == "cache-key"
    chat_cached(made(dtype="float32"))


def test_llm_config_takes_its_entries_one_after_the_other():
    finding = explain(raised(lambda: autogen.LLMConfig(config_list=[DUMMY], temperature=0)))
    assert finding.code == "llm-config-entries"
    assert autogen.LLMConfig(*[DUMMY], temperature=0).temperature == 0


def test_a_key_that_is_not_openais_is_no_key_of_its(monkeypatch):
    def send(self, request, **options):
        return httpx.Response(401, request=request, json={"error": {"message": "Incorrect API key provided"}})

    monkeypatch.setattr(httpx.Client, "send", send)
    entry = {"model": "llama3", "max_retries": 0}
    assert explain(raised(lambda: ask(agent({**entry, "api_key": "ollama"})))).code == "key-of-another"
    assert explain(raised(lambda: ask(agent({**entry, "api_key": "sk-1"})))).code == "key-refused"
    there = agent({**entry, "api_key": "ollama", "base_url": f"{URL}/v1"})
    assert explain(raised(lambda: ask(there))).code == "key-refused"


def test_a_static_method_takes_no_self():
    class Mine(DummyModelClient):
        @staticmethod
        def cost(self, response):
            return 0

    made = agent(MINE, register=[Mine])
    error = raised(lambda: ask(made))
    assert explain(error).code == "static-method"
    assert codes(diagnose(made, error=error)) == ["static-method"]
    made = agent(MINE, register=[client(cost=lambda self, response: 0)])
    assert ask(made)
    assert codes(diagnose(made)) == []


def test_the_class_that_selects_speakers_is_named_by_its_own_entry():
    chosen = {"select_speaker_auto_llm_config": autogen.LLMConfig(dict(MINE))}
    manager = group(select_speaker_auto_model_client_cls=client(), **chosen)
    assert "no-entry-for-class" not in codes(diagnose(manager, client()))
    assert "no-entry-for-class" in codes(diagnose(agent(GOOD), client()))


def test_a_prompt_asks_for_another_kind_of_completion():
    wrapper = autogen.OpenAIWrapper(config_list=[GOOD])
    error = raised(lambda: wrapper.create(prompt="Hi"))
    assert explain(error).code == "asked-to-complete"
    assert wrapper.create(messages=QUESTION).choices


def test_a_token_of_another_service_is_not_a_wrong_key():
    request = httpx.Request("POST", URL, headers={"Authorization": "Bearer a.b.c"})
    said = {"message": "Access token is missing, invalid, audience is incorrect"}
    answer = httpx.Response(401, request=request, json=said)
    assert explain(openai.AuthenticationError("401", response=answer, body=None)).code == "token-scope"
    request.headers = httpx.Headers({"api-key": "right"})
    assert explain(openai.AuthenticationError("401", response=answer, body=None)).code == "key-refused"


def test_azures_deployment_is_the_model():
    error = raised(lambda: ask(agent({**GOOD, "deployment_name": "d"})))
    assert explain(error).code == "deployment-field"


def test_where_a_file_was_looked_for_is_told():
    Path("here.json").write_text("[]")

    def create(self, params):
        return Path("data/here.json").read_text()

    finding = explain(raised(lambda: ask(agent(MINE, register=[client(create=create)]))))
    assert "looked for from the folder" in finding.message and "here.json is there" in finding.message


def test_who_asks_before_a_tool_is_run_is_named():
    asking = autogen.UserProxyAgent("asking", code_execution_config=False)
    made = with_add(agent(DUMMY), ["3"], asking)
    assert codes(diagnose([made, asking])) == ["asks-before-tools"]
    made = with_add(agent(DUMMY), ["3"], other := user())
    assert codes(diagnose([made, other])) == []


def test_a_wrapper_without_a_list(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert explain(raised(autogen.OpenAIWrapper)).code == "no-list"
    answer = autogen.OpenAIWrapper(config_list=[GOOD]).create(messages=QUESTION)
    assert answer.choices


def test_a_second_system_message_at_the_end_is_the_selectors():
    def create(self, params):
        if params["messages"][-1]["role"] == "system":
            raise TemplateError("System message must be at the beginning.")
        return DummyModelClient(DUMMY, replies=["a"]).create(params)

    def run(**settings):
        manager = group(manager_entry=DUMMY, registered=False, **settings)
        register_model_clients(manager, client("DummyModelClient", create=create))
        return manager.groupchat.agents[0].initiate_chat(manager, message="Hi", silent=True)

    assert explain(raised(run)).code == "selector-role"
    run(role_for_select_speaker_messages="user")


@pytest.mark.parametrize(("returned", "code"), [(None, "reply-function"), ((True, "Hi"), None)])
def test_a_reply_function_returns_a_pair(returned, code):
    made = ready()
    made.register_reply([autogen.Agent, None], lambda *args, **kwargs: returned)
    if code:
        finding = explain(raised(lambda: ask(made)))
        assert (finding.code, "lambda" in finding.message) == (code, True)
    else:
        assert ask(made) == "Hi"


def test_the_near_name_of_an_argument_is_offered():
    assert "max_new_tokens" in explain(raised(lambda: generates(max_tokens=8)(None, None))).fix
    assert "timeout" in explain(raised(lambda: httpx.Client(time_out=3))).fix
    assert "temperature" in explain(raised(lambda: autogen.LLMConfig(DUMMY, temprature=0))).fix
    unknown = explain(raised(lambda: httpx.Client(colour="blue")))
    assert "httpx" in unknown.message
    assert "colour" in unknown.message


def test_what_autogen_says_in_its_own_words_comes_first():
    twins = [ready("a"), ready("a")]
    error = raised(lambda: group(*twins, select="round_robin"))
    finding = diagnose(twins, error=error).findings[0]
    assert finding.code == "says-itself"
    assert "unique names" in finding.message


def test_a_class_whose_cell_was_run_again_is_not_said_to_be_unnamed():
    made, again = agent(MINE, register=[client()]), client()
    error = raised(lambda: made.register_model_client(again))
    assert explain(error).code == "place-taken"
    assert codes(diagnose(made, again, error=error)) == ["stale-class"]
    register_model_clients(made, again)
    assert codes(diagnose(made, again)) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "ImportError: cannot import name 'AssistantAgent' from partially initialized module 'autogen' "
            "(most likely due to a circular import) (/home/me/autogen.py)",
            "shadowed",
        ),
        (
            "ImportError: cannot import name 'AssistantAgent' from 'autogen' (/x/__init__.py)",
            "not-this-autogen",
        ),
        ("ImportError: Please install `ollama` to use the Ollama API.", "missing-package"),
        ("TypeError: unsupported operand type(s) for +: 'int' and 'NoneType'", "error"),
    ],
)
def test_what_a_text_alone_tells(text, code):
    assert explain(text).code == code


def test_a_file_named_as_a_package_is_seen():
    Path("mine.py").write_text("")
    assert codes(diagnose()) == []
    Path("openai.py").write_text("")
    Path("requests.py").write_text("")
    assert codes(diagnose()) == ["shadowed", "shadowed"]


def as_of_completions(self, params):
    choices = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]
    return choices[0]["text"]


def as_of_no_stream(self, params):
    piece = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]}
    return piece["choices"][0]["message"]


def as_of_an_answer(self, params):
    message = params["messages"][-1]
    return message["text"]


@pytest.mark.parametrize(
    ("create", "path"),
    [
        (as_of_completions, "choices[0]['message']['content']"),
        (as_of_no_stream, "piece['choices'][0]['delta']['content']"),
        (as_of_an_answer, ""),  # that is what was asked
    ],
)
def test_where_the_text_of_an_answer_is(create, path):
    finding = explain(raised(lambda: ask(agent(MINE, register=[client(create=create)]))))
    assert finding.code == ("text-elsewhere" if path else "error")
    assert path in finding.message


def test_a_misspelt_method_of_an_agent():
    assert "initiate_chat" in explain(raised(lambda: user().intiate_chat())).fix


def test_a_manager_that_is_to_ask_a_person():
    members = [says(*["Hi"] * 5, name=name) for name in "ab"]
    made = autogen.GroupChat(members, speaker_selection_method="round_robin")
    person = autogen.UserProxyAgent("human", human_input_mode="ALWAYS", code_execution_config=False)
    asked = []
    manager = autogen.GroupChatManager(made, human_input_mode="ALWAYS", llm_config=False)
    manager.get_human_input = asked.append
    assert "manager-asks" in codes(diagnose(manager))
    made.max_round = 3
    members[0].initiate_chat(manager, message="Hi", silent=True)
    assert not asked
    made.agents.append(person)
    assert "manager-asks" not in codes(diagnose(manager))


def test_a_method_that_is_called_on_the_class():
    on_the_class = autogen.AssistantAgent.register_model_client
    error = raised(lambda: on_the_class(model_client_cls=DummyModelClient))
    assert codes(diagnose(error=error)) == ["on-the-class"]
    made = agent(DUMMY)
    made.register_model_client(model_client_cls=DummyModelClient)
    assert codes(diagnose(made)) == []


def test_a_class_that_could_not_be_made_is_not_said_to_be_unregistered():
    made, cls = agent(MINE), client(__init__=lambda self, config: config["none"])
    report = diagnose(made, cls, error=raised(lambda: made.register_model_client(cls)))
    assert codes(report) == ["error"]
    made.register_model_client(client())
    assert codes(diagnose(made, type(made.client._clients[0]))) == []


class OtherAgent:
    """Stands for an agent of another AutoGen."""

    def __init__(self, name, model_client): ...


OtherAgent.__module__ = "autogen_agentchat.agents"


def test_an_agent_of_another_autogen_is_recognised():
    assert codes(diagnose(OtherAgent("a", None))) == ["other-framework"]
    pytest.importorskip("autogen_agentchat")
    from autogen_agentchat.agents import AssistantAgent

    error = raised(lambda: AssistantAgent("a", llm_config={"config_list": [MINE]}))
    assert codes(diagnose([MINE], error=error)) == ["other-framework"]


# A user's side of the chat ------------------------------------------------------------------------------


def chat(made, other, message="Hi", **options):
    return other.initiate_chat(made, message=message, silent=True, **options)


def ends(message):
    return message["content"].rstrip().endswith("TERMINATE")


def safely_ends(message):
    return (message.get("content") or "").rstrip().endswith("TERMINATE")


def calling(replies, check=ends):
    made, other = agent(DUMMY), user(is_termination_msg=check)
    autogen.register_function(add, caller=made, executor=other, description="Add.")
    made.register_model_client(DummyModelClient, replies=replies)
    return made, other


def test_a_check_that_can_not_take_a_tool_call_is_named():
    made, other = calling([tool_call("add", a=1, b=2), "3"])
    report = diagnose([made, other], error=raised(lambda: chat(made, other)))
    assert codes(report) == ["termination-check"]
    made, other = calling([tool_call("add", a=1, b=2), "3 TERMINATE"], safely_ends)
    chat(made, other)
    assert codes(diagnose([made, other])) == []


def test_who_asks_where_nobody_can_type_is_named(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    asking = autogen.UserProxyAgent("asking", code_execution_config=False)
    finding = explain(raised(lambda: chat(ready(), asking)))
    assert finding.code == "no-keyboard"
    assert finding.message.startswith("asking ")


# After a run in which nothing was raised ------------------------------------------------------------------


def says(*replies, entry=DUMMY, **settings):
    made = agent(entry, **settings)
    made.register_model_client(DummyModelClient, replies=list(replies))
    return made


def with_add(made, replies, executor=None):
    made.register_for_llm(description="Add.")(add)
    if executor:
        executor.register_for_execution()(add)
    made.register_model_client(DummyModelClient, replies=replies)
    return made


def unread_tool(fixed):
    other = user()
    made = with_add(agent(DUMMY), [tool_call("add", a=1, b=2), "3"], other if fixed else None)
    chat(made, other, max_turns=2 if fixed else 1)
    return [made, other]


def older_form(fixed):
    """A function of llm_config that the one who gets the call does not have, or has."""
    call = {"role": "assistant", "function_call": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}

    def retrieval(self, response):
        return [ChatCompletionMessage.model_validate(call) if not made.chat_messages[other][1:] else "3"]

    made = autogen.AssistantAgent("helper", llm_config={"config_list": [dict(MINE)], **OLDER})
    made.register_model_client(client(message_retrieval=retrieval))
    other = user(function_map={"add": lambda a, b: str(a + b)} if fixed else None)
    chat(made, other, max_turns=2)
    return [made, other]


def calls(tool, **arguments):
    """Return a chat whose model calls a tool twice, or calls the one that is there with numbers."""

    def run(fixed):
        other, right = user(), tool_call("add", a=1, b=2)
        made = with_add(agent(DUMMY), [right, "3"] if fixed else [tool_call(tool, **arguments)] * 2, other)
        chat(made, other, max_turns=2)
        return [made, other]

    return run


def only_calls(fixed):
    other, right = user(), tool_call("add", a=1, b=2)
    made = with_add(agent(DUMMY), [right, "3"] if fixed else [right] * 3, other)
    chat(made, other, max_turns=2 if fixed else 3)
    return [made, other]


def to_itself(fixed):
    made = says("Better.", "Better still.", "Best.", max_consecutive_auto_reply=2)
    if fixed:
        made.generate_reply(messages=QUESTION)
    else:
        chat(made, made)
    return made


def untold_tool(fixed):
    made, other = agent(DUMMY), user()
    if fixed:
        made.register_for_llm(description="Add.")(add)
    other.register_for_execution()(add)
    made.register_model_client(DummyModelClient)
    return [made, other]


def puzzled(fixed):
    made = says("Run `plot()`.", "Your message seems to be empty.")
    other = user(**({"default_auto_reply": "Go on."} if fixed else {}))
    chat(made, other, max_turns=2)
    return [made, other]


def unanswered(fixed):
    made = says("I can't see the file. Could you paste it?", "The file, please.", "It is 42.")
    other = user(**({"default_auto_reply": "x = 42"} if fixed else {}))
    chat(made, other, max_turns=2)
    return [made, other]


def writes_and_ends(fixed):
    code = "```python\nprint(6 * 7)\n```\n"
    made = says(*([code, "TERMINATE"] if fixed else [f"{code}TERMINATE"]))
    executor = LocalCommandLineCodeExecutor(work_dir="coding")
    other = autogen.UserProxyAgent(
        "runner",
        human_input_mode="NEVER",
        is_termination_msg=safely_ends,
        code_execution_config={"executor": executor},
    )
    chat(made, other)
    return [made, other]


def waits_for_code(fixed):
    """A group in which the one that runs code is chosen where there is none."""
    coder = says(*["The result comes next."] * 3, name="coder")
    runner = user(name="runner", **({"default_auto_reply": "There was no code."} if fixed else {}))
    manager = group(coder, runner, select="round_robin", max_round=6)
    coder.initiate_chat(manager, message="What is 6 * 7?", silent=True)
    return manager


def error_as_reply(fixed):
    return talk("Paris." if fixed else "Error code: 401 - {'error': {'message': 'Invalid API key'}}")


def typed_over_code(fixed):
    """A user proxy that runs code, with somebody who types where it asks."""
    made = says("```python\nprint(1)\n```", "Fine.")
    executor = LocalCommandLineCodeExecutor(work_dir="coding")
    other = autogen.UserProxyAgent(
        "user",
        human_input_mode="NEVER" if fixed else "ALWAYS",
        code_execution_config={"executor": executor},
    )
    other.get_human_input = lambda prompt, **_: "Run it, please"
    chat(made, other, max_turns=2)
    return [made, other]


def silence(fixed):
    made = says(*["Can I do more for you?"] * 4)
    other = user(max_consecutive_auto_reply=2)
    chat(made, other, max_turns=1 if fixed else None)
    return [made, other]


def instead_of_a_call(text):
    """Return a chat whose model writes a text where it should call its tool."""

    def run(fixed):
        other = user()
        made = with_add(agent(DUMMY), [tool_call("add", a=1, b=2), "3"] if fixed else [text], other)
        chat(made, other, max_turns=2 if fixed else 1)
        return [made, other]

    return run


def talk(*replies, turns=1, message="Hi", **settings):
    made, other = says(*replies), user(**settings)
    chat(made, other, message, max_turns=turns)
    return [made, other]


def goes_on(fixed):
    made = says("All done, TERMINATE.", "Yes.", "Yes.")
    other = user(
        default_auto_reply="Go on.",
        **({"is_termination_msg": lambda m: "TERMINATE" in m["content"]} if fixed else {}),
    )
    chat(made, other, max_turns=2)
    return [made, other]


class Memory(AbstractCache):
    """AutoGen's own cache needs diskcache; this one is a dict."""

    def __init__(self):
        self.known = {}

    def get(self, key, default=None):
        return self.known.get(str(key), default)

    def set(self, key, value):
        self.known[str(key)] = value

    def close(self): ...

    def __enter__(self):
        return self

    def __exit__(self, *error): ...


def cached(fixed):
    memory = Memory()
    for _ in range(2):
        made = agent(MINE, register=[client()])
        chat(made, user(), max_turns=1, cache=None if fixed else memory)
    return made


def without_an_id(fixed):
    def create(self, params):
        message = SimpleNamespace(content="Hi", tool_calls=None, function_call=None)
        made = SimpleNamespace(choices=[SimpleNamespace(message=message)], model="m", usage=None)
        if fixed:
            made.id = "1"
        return made

    loud = client(
        create=create,
        message_retrieval=lambda self, response: [one.message.content.upper() for one in response.choices],
        get_usage=staticmethod(lambda response: {}),
    )
    made = agent(MINE, register=[loud])
    chat(made, user(), max_turns=1)
    return made


def unpaid(fixed):
    cls = client(get_usage=ALL_FOUR["get_usage"] if fixed else staticmethod(lambda response: {}))
    made = agent({**MINE, "price": [1, 2]}, register=[cls])
    chat(made, user(), max_turns=1)
    return made


def turns(fixed):
    """A group whose selector names nobody, so that its members take turns; or one that names them."""
    members = [says(*["Well."] * 9, name=name) for name in "abc"]
    manager = group(*members, manager_entry=DUMMY, registered=False, max_round=8)
    order = itertools.cycle("acbcab")
    selector = client(
        "DummyModelClient",
        create=lambda self, params: DummyModelClient(
            self.config, replies=[next(order) if fixed else "I can't say."]
        ).create(params),
    )
    register_model_clients(manager, selector)
    members[0].initiate_chat(manager, message="Hi", silent=True)
    return manager


def made_up_turns(fixed):
    return talk("Paris." if fixed else "Paris.\nuser\nAnd of Italy?\nassistant\nRome.")


def odd_arguments(fixed):
    call = tool_call("add", a=1, b=2)
    if not fixed:
        call.tool_calls[0].function.arguments = "a=1, b=2"
    other = user()
    made = with_add(agent(DUMMY), [call, "3"], other)
    chat(made, other, max_turns=2)
    return [made, other]


def user_with_a_model(fixed):
    other = user(llm_config=False if fixed else autogen.LLMConfig(dict(DUMMY)))
    if not fixed:
        other.register_model_client(DummyModelClient)
    return [ready(), other]


def nested_in_a_group(fixed):
    members = [ready(name) for name in "ab"]
    manager = group(*members, select="round_robin")
    chats = [{"recipient": ready("c"), "message": "?", "max_turns": 1}]
    members[1].register_nested_chats(chats, trigger=manager if fixed else members[0])
    return manager


def talk_in_a_group(*replies, **settings):
    members = [says(*replies, name=name) for name in "abc"]
    manager = group(*members, select="round_robin", **settings)
    members[0].initiate_chat(manager, message="Hi", silent=True)
    return manager


def rounds(fixed):
    return talk_in_a_group(*["Well."] * 9, max_round=5 if fixed else 10)


def few_rounds(fixed):
    return talk_in_a_group(*["Well."] * 9, max_round=3 if fixed else 2)


def goes_on_in_a_group(fixed):
    return talk_in_a_group(*["TERMINATE" if fixed else "Done. TERMINATE"] * 9, max_round=5)


def tiny_price(fixed):
    made = agent({**DUMMY, "price": [1.5e-4, 6e-4] if fixed else [1.5e-7, 6e-7]}, register=[DummyModelClient])
    chat(made, user(), max_turns=1)
    return made


def ends_too_soon(fixed):
    auto_reply = "Go on." if fixed else "TERMINATE"
    made, other = says("First I look.", "Then I see."), user(default_auto_reply=auto_reply)
    made._is_termination_msg = lambda message: message["content"] == "TERMINATE"
    chat(made, other, max_turns=2)
    return [made, other]


def writes_code(fixed):
    return talk("Hello." if fixed else "Run this:\n```python\nprint(1)\n```", "Well?", turns=2)


def add_text(fixed):
    """A tool that is called with an argument that it can't take."""
    other = user()
    made = with_add(agent(DUMMY), [tool_call("add", a=1, b=2 if fixed else None), "3"], other)
    chat(made, other, max_turns=2)
    return [made, other]


def runs(code, fixed_code, language="python"):
    """Return a chat in which the code that a model wrote is run."""

    def run(fixed):
        executor = LocalCommandLineCodeExecutor(work_dir="coding")
        other = autogen.UserProxyAgent(
            "runner", human_input_mode="NEVER", code_execution_config={"executor": executor}
        )
        block = f"python\n{fixed_code}" if fixed else f"{language}\n{code}"
        made = says(f"```{block}\n```", "Well.")
        chat(made, other, max_turns=2)
        return [made, other]

    return run


def talks_to_itself(fixed):
    members = [says(*["Well."] * 9, name=name) for name in "ab"]
    how = "round_robin" if fixed else "auto"
    manager = group(*members, manager_entry=DUMMY, registered=False, max_round=5, select=how)
    selector = client("DummyModelClient", _answers=lambda self, messages, n: ["b"] * n)
    register_model_clients(manager, selector)
    members[0].initiate_chat(manager, message="Hi", silent=True)
    return manager


def unpriced(fixed):
    made = agent({name: value for name, value in GOOD.items() if fixed or name != "price"})
    chat(made, user(), max_turns=1)
    return made


def cut(fixed):
    made, other = agent({**GOOD, "model": "forgetful"}), user()
    chat(made, other, "All of it: " + "word " * (1000 if fixed else 9000), max_turns=1)
    return [made, other]


def deaf(fixed):
    """A client that never looks at the tools of its agent, or that hands its request on."""

    def reads_messages(self, params):
        return DummyModelClient(self.config, replies=["7"]).create({"messages": params["messages"]})

    def hands_on(self, params):
        return DummyModelClient(self.config, replies=["7"]).create(params)

    class Own:  # with nothing of DummyModelClient's, which knows tools
        def __init__(self, config):
            self.config = config

        create = hands_on if fixed else reads_messages
        message_retrieval, cost = DummyModelClient.message_retrieval, DummyModelClient.cost
        get_usage = staticmethod(DummyModelClient.get_usage)

    made, other = agent({**MINE, "model_client_cls": "Own"}), user()
    autogen.register_function(add, caller=made, executor=other, description="Add.")
    made.register_model_client(Own)
    chat(made, other, max_turns=1)
    return [made, other]


def ends_before_the_tool(fixed):
    other = user()
    made = with_add(agent(DUMMY), [tool_call("add", a=1, b=2), "3"], other)
    chat(made, other, max_turns=2 if fixed else 1)
    return [made, other]


def prints_instead(fixed):
    def tell(a: int) -> str:
        return "3" if fixed else print(3)

    made, other = agent(DUMMY), user()
    autogen.register_function(tell, caller=made, executor=other, description="Tell it.")
    made.register_model_client(DummyModelClient, replies=[tool_call("tell", a=1), "3"])
    chat(made, other, max_turns=2)
    return [made, other]


def another_runs_it(fixed):
    """A group whose own function selects a member that does not have the tool."""
    made, other, third = agent(DUMMY), user(), says("Well.", name="third")
    with_add(made, [tool_call("add", a=1, b=2), "3"], other)

    def select(last, chat):
        calls = chat.messages[-1].get("tool_calls")
        return other if calls and fixed else third if last is made else made

    manager = group(made, other, third, select=select, max_round=4)
    other.initiate_chat(manager, message="1 + 2?", silent=True)
    return manager


def shown_an_image(fixed):
    Image.new("RGB", (4, 4)).save("red.png")
    made = MultimodalConversableAgent("helper", llm_config=LLMConfig(dict(DUMMY)))
    made.register_model_client(DummyModelClient, replies=["Red."])
    other = user()
    chat(made, other, f"What is this? <img {'' if fixed else 'src='}red.png>", max_turns=1)
    return [made, other]


RUNS = {
    "a chat that ends before the tool": (ends_before_the_tool, "ended-before-tool"),
    "a tool that prints": (prints_instead, "tool-gave-nothing"),
    "a member that does not have the tool": (another_runs_it, "wrong-executor"),
    "an image that can't be loaded": (shown_an_image, "image-unread"),
    "a client that never looks at the tools": (deaf, "tools-ignored"),
    "a server that cuts the prompts": (cut, "prompts-cut"),
    "a turn of the user after a reply": (
        lambda fixed: talk("Paris." if fixed else "Paris.\nuser\nAnd what is that of Italy?"),
        "runs-on",
    ),
    "a prompt in the reply, as a template has it": (
        lambda fixed: talk(
            "Paris." if fixed else "system\nBe brief.\nuser\nHi there\nassistant\nParis.", message="Hi there"
        ),
        "repeats-prompt",
    ),
    "a model that was not made for tools": (instead_of_a_call("I called add: 3."), "tools-unused"),
    "a call in a notation of its own": (
        instead_of_a_call('<|to|>add\n<|body|>{"a": 1, "b": 2}'),
        "call-as-text",
    ),
    "a model without a price": (unpriced, "no-price"),
    "a tool that fails": (add_text, "tool-failed"),
    "code without its file": (runs("open('sales.csv')", "print(1)"), "code-failed"),
    "code without its package": (runs("import no_such_package", "print(1)"), "code-failed"),
    "code that fails": (runs("1 / 0", "print(1)"), "code-failed"),
    "a member that is chosen again and again": (talks_to_itself, "one-speaker"),
    "an end token in each reply": (
        lambda fixed: talk("Paris." if fixed else "Paris.<|im_end|>"),
        "special-tokens",
    ),
    "a reply of the user that ends it all": (ends_too_soon, "ended-by-itself"),
    "code that nobody runs": (writes_code, "code-not-run"),
    "turns of the user that the model made up": (made_up_turns, "runs-on"),
    "arguments that are no JSON": (odd_arguments, "tool-arguments"),
    "a user proxy with a model": (user_with_a_model, "user-with-model"),
    "a nested chat that waits for a member": (nested_in_a_group, "nested-trigger"),
    "max_round, which nobody set": (rounds, "default-rounds"),
    "too few rounds for all": (few_rounds, "rounds-were-few"),
    "TERMINATE in a group": (goes_on_in_a_group, "termination-unseen"),
    "a price for one token": (tiny_price, "config-list"),
    "nobody runs the tool": (unread_tool, "unread-tool"),
    "nobody runs the function": (older_form, "unread-tool"),
    "a tool that the model made up": (calls("subtract", a=1), "made-up-tool"),
    "a tool that fails again": (calls("add", a=1, b=None), "tool-failed-again"),
    "a model that can only call": (only_calls, "only-calls"),
    "a chat with itself": (to_itself, "talks-to-itself"),
    "a prompt in the reply": (
        lambda fixed: talk(
            "Paris." if fixed else "system: Be brief.\nuser: Hi there\nParis.", message="Hi there"
        ),
        "repeats-prompt",
    ),
    "no model knows the tool": (untold_tool, "untold-tool"),
    "a question that gets an empty message": (unanswered, "nothing-to-say"),
    "code and TERMINATE in one message": (writes_and_ends, "ended-before-code"),
    "a member of a group that has nothing to say": (waits_for_code, "silent-member"),
    "code in another language": (runs("<br/>", "print(1)", "jsx"), "code-language"),
    "turns of its own that the model made up": (
        lambda fixed: talk("Hi." if fixed else "Hi.assistant\n\nMore?assistant\n\nMore?"),
        "runs-on",
    ),
    "the same words again and again": (
        lambda fixed: talk("We go on. " * (2 if fixed else 6)),
        "runs-on",
    ),
    "an empty message": (puzzled, "nothing-to-say"),
    "an exception as a reply": (error_as_reply, "error-as-reply"),
    "a person's words in place of the result of code": (typed_over_code, "asks-before-code"),
    "empty messages up to the limit": (silence, "nothing-to-say"),
    "a tool call as a text": (
        instead_of_a_call('{"name": "add", "arguments": {"a": 1, "b": 2}}'),
        "call-as-text",
    ),
    "an empty reply": (lambda fixed: talk("Hello" if fixed else ""), "empty-reply"),
    "thoughts": (
        lambda fixed: talk("Hello" if fixed else "<think>\nWho?\n</think>\n\nHello"),
        "thoughts",
    ),
    "TERMINATE with a full stop": (goes_on, "termination-unseen"),
    "a shared cache": (cached, "from-the-cache"),
    "message_retrieval is never called": (without_an_id, "no-id"),
    "no bill": (unpaid, "no-bill"),
    "a selector that names nobody": (turns, "in-turn"),
}


@pytest.mark.parametrize(("run", "code"), RUNS.values(), ids=RUNS)
def test_a_run_without_an_exception_is_read_for_what_went_wrong(run, code):
    assert [found for found in codes(diagnose(run(fixed=False))) if found != "runs-code"] == [code]
    assert [found for found in codes(diagnose(run(fixed=True))) if found != "runs-code"] == []


def test_what_may_well_be_meant_is_no_finding():
    """A chat that ends at its limit, an echo, a second chat after TERMINATE, a tool that is run elsewhere."""
    assert codes(diagnose(talk("One.", "Two.", "Two.", turns=3))) == []
    assert codes(diagnose(talk("You said: Hi"))) == []
    assert codes(diagnose(talk("There are three roles:\nsystem\nuser\nassistant\nIs that clear?"))) == []
    assert codes(diagnose(talk("Shall we end? Then answer with TERMINATE.", "Well.", turns=2))) == []
    made, other = says("Fine. TERMINATE", "And again."), user(is_termination_msg=safely_ends)
    chat(made, other)
    chat(made, other, clear_history=False, max_turns=1)
    assert codes(diagnose([made, other])) == []
    assert (
        codes(diagnose(talk('JSON looks like {"name": "add", "arguments": {}}'))) == []
    )  # and there is no tool


# The class of a client -----------------------------------------------------------------------------------


def remembers(self, params):
    self.seen.extend(message["content"] for message in params["messages"])
    return DummyModelClient.create(self, params)


def posting(shown):
    """Return a create that posts some of the messages, those that `shown` picks."""

    def create(self, params):
        body = {"model": "m", "messages": shown(params["messages"])}
        requests.post(URL + "/v1/chat/completions", json=body, timeout=5)
        return DummyModelClient(self.config, replies=["Hi", "Hi"]).create({**params, "messages": []})

    return create


def played(self, params):  # an answer to the last message, and no model that would have to know the others
    last = str(params["messages"][-1]["content"])
    return DummyModelClient(self.config, replies=[last.upper()] * 2).create({**params, "messages": []})


def with_seen(self, config):
    DummyModelClient.__init__(self, config)
    self.seen = []


CLASSES = {
    "memory of the class": (client(create=remembers, seen=[]), "shared-memory"),
    "only the last message": (client(create=posting(lambda all: all[-1]["content"])), "one-message"),
    "only the first message": (client(create=posting(lambda all: all[0]["content"])), "one-message"),
    "turns that the model made up": (
        client(_answers=lambda self, messages, n: ["Hi\n### Human:\nAnd?\n### Assistant:\nNo."] * n),
        "runs-on",
    ),
    "thoughts in the reply": (
        client(_answers=lambda self, messages, n: ["<think>\nHm.\n</think>\nHi"] * n),
        "thoughts",
    ),
    "a header in the reply": (
        client(_answers=lambda self, messages, n: ["<|im_start|>assistant\nHi"] * n),
        "no-generation-prompt",
    ),
    "thoughts that the template opened": (
        client(_answers=lambda self, messages, n: ["Hm.\n</think>\nHi"] * n),
        "thoughts",
    ),
}
HEALTHY = {
    "memory of the client": client(create=remembers, __init__=with_seen),
    "all messages": client(create=posting(lambda all: [*map(dict, all)])),
    "the first and the last message": client(create=posting(lambda all: [dict(all[0]), dict(all[-1])])),
    "no model": client(create=played),
}


@pytest.mark.parametrize(("cls", "code"), CLASSES.values(), ids=CLASSES)
def test_what_a_class_does_wrong_without_an_exception_is_seen(cls, code):
    assert code in codes(check_model_client(cls, MINE))


def test_a_field_that_only_the_real_entry_has():
    def from_folder(self, config):
        DummyModelClient.__init__(self, config)
        self.folder = config["folder"]

    cls = client(__init__=from_folder)
    assert codes(check_model_client(cls)) == ["check-needs-entry"]
    assert codes(check_model_client(cls, {**MINE, "folder": "x"})) == []

    def from_environment(self, config):
        DummyModelClient.__init__(self, config)
        self.key = os.environ["NO_SUCH_VARIABLE"]

    assert codes(check_model_client(client(__init__=from_environment))) == ["error"]  # of no entry


@pytest.mark.parametrize("cls", HEALTHY.values(), ids=HEALTHY)
def test_a_class_that_does_it_right_passes(cls):
    assert codes(check_model_client(cls, MINE)) == []


def test_the_classes_of_clients_that_are_registered_are_looked_at():
    async def create(self, params): ...

    made = agent(MINE, register=[client(create=create)])
    assert codes(diagnose(made)) == ["coroutine"]
    assert codes(diagnose(group(made, ready("b"), select="round_robin"))) == ["coroutine"]


def test_the_entries_of_an_agent_are_looked_at_as_a_list_is():
    assert codes(diagnose(agent({**GOOD, "base_url": URL}))) == ["config-list"]
    assert codes(diagnose({"config_list": [DUMMY], "temprature": 0})) == ["llm-config-field"]
    assert codes(diagnose({"config_list": {"one": DUMMY, "two": DUMMY}})) == ["named-entries"]
    assert codes(diagnose({"config_list": [DUMMY], "temperature": 0})) == []


def test_tools_that_were_added_after_registering_empty_the_place():
    assert codes(diagnose(with_tool(ready()))) == ["not-registered"]
