"""Which field of a request a refusal names, in the wordings of many servers."""

import json
from pathlib import Path

import autogen
import httpx
import pytest
from server import AZURE, GOOD, REFUSALS, URL, sends
from set_ups import (
    DUMMY,
    MINE,
    OLDER,
    QUESTION,
    add,
    agent,
    ask,
    client,
    codes,
    raised,
    ready,
    user,
    with_tool,
)

from kit import DummyModelClient, diagnose
from kit.checks.answers import refusal
from kit.checks.explain import explain

pytestmark = pytest.mark.usefixtures("folder")

MESSAGES = [{"role": "user", "content": "Hi", "name": "user"}, {"role": "assistant", "content": "Hello"}]
SENT = {"model": "m", "messages": MESSAGES, "temperature": 0.2, "max_tokens": 9, "tools": [{}], "stop": ["x"]}
SENT |= {"functions": [{}], "response_format": {"type": "json_object"}, "top_k": 5, "presence_penalty": 1}
WORDINGS = {
    "registry.ollama.ai/library/gemma:latest does not support tools": "tools",
    "No endpoints found that support tool use. Try disabling another.": "tools",
    "`tool calling` is not supported with this model": "tools",
    "deepseek-reasoner does not support Function Calling": "tools",
    "tools param requires --jinja flag": "tools",
    "Unsupported param: tools": "tools",
    '"auto" tool choice requires --enable-auto-tool-choice': "tools",
    "litellm.UnsupportedParamsError: ollama does not support parameters: {'tools': [{}]}": "tools",
    "Unrecognized request argument supplied: functions": "functions",
    'Invalid JSON payload received. Unknown name \\"functions\\": Cannot find field.': "functions",
    "Invalid 'tools[0].function.name': string does not match pattern.": "tools.function",
    "Invalid schema for function 'f': None is not of type 'object'": "tools.function",
    "'response_format.type' must be 'json_schema'": "response_format",
    "This response_format type is unavailable now": "response_format",
    "response_format: unknown variant `json_object`, expected `json_schema`": "response_format",
    "Unsupported value: 'temperature' does not support 0.2 with this model. Only 1 is.": "temperature",
    "max_tokens must be at least 16": "max_tokens",
    "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.": "max_tokens",
    "Model grok-4 does not support parameter presencePenalty.": "presence_penalty",
    "Argument not supported on this model: stop": "stop",
    "top_k: Extra inputs are not permitted": "top_k",
    "messages.0.name: Extra inputs are not permitted": "messages.name",
    "Extra inputs are not permitted, field: 'messages[0].name', value: 'user'": "messages.name",
    "[{'type': 'extra_forbidden', 'loc': ['body', 'messages', 1, 'user', 'name']}]": "messages.name",
    "Invalid 'messages[1].name': string does not match pattern.": "messages.name",
    "messages[0]: property 'name' is unsupported": "messages.name",
    # Nothing of what was sent is refused here.
    "The model stopped, and used its tools.": "",
    "Rate limit reached for requests": "",
    "Unsupported parameter: 'logit_bias'": "",
}
LACKING = {
    "max_completion_tokens: Field required": "max_completion_tokens",
    "[{'loc': ('body', 'prompt'), 'msg': 'Field required'}]": "prompt",
    "you must provide a user parameter": "user",
    "Missing required parameter: 'user'": "user",
    "missing field `input` at line 1": "input",
    "max_tokens: Field required": None,  # it was sent
}


@pytest.mark.parametrize(("text", "field"), WORDINGS.items(), ids=WORDINGS)
def test_the_field_that_is_refused(text, field):
    assert refusal(text, SENT, SENT, None).get("field", "") == field
    assert (
        refusal(json.dumps({"error": {"message": text, "param": None}}), SENT, SENT, None).get("field", "")
        == field
    )


@pytest.mark.parametrize(("text", "name"), LACKING.items(), ids=LACKING)
def test_the_field_that_is_missing(text, name):
    assert refusal(text, SENT, SENT, None).get("lacks") == name


def test_a_field_that_was_not_sent_is_not_blamed():
    assert "field" not in refusal(
        "plain does not support tools", {"model": "m", "messages": MESSAGES}, {}, None
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Error code: 400 - {'error': {'message': 'gemma does not support tools'}}", "no-tools"),
        ("BadRequestError: Error code: 400 - Unsupported parameter: 'max_tokens'", "parameter-refused"),
        ("HTTP 422: messages.0.name: Extra inputs are not permitted", "message-field"),
    ],
)
def test_of_a_text_alone_the_field_is_found_too(text, code):
    assert explain(text).code == code


SAID = [
    json.loads(line) for line in Path(__file__).with_name("what_servers_say.jsonl").open(encoding="utf-8")
]


@pytest.mark.parametrize("row", SAID, ids=lambda row: f"{row['code']}: {str(row['body'])[:60]}")
def test_what_servers_say_is_understood_in_the_words_of_each(row, monkeypatch):
    """Each is in the manner of one: OpenAI, Azure, Gemini, Groq, Ollama, LM Studio, vLLM, llama.cpp ..."""
    content = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])

    def send(self, request, **options):
        return httpx.Response(row["status"], request=request, content=content)

    monkeypatch.setattr(httpx.Client, "send", send)
    sent = row.get("sent", {})
    fields = {"model": "m-1.5", "base_url": "http://server/v1", "api_key": "sk-1", "max_retries": 0}
    made = agent({**fields, "price": [0, 0], **(sent if sent != "tools" else {})})
    with_tool(made) if sent == "tools" else made
    assert explain(raised(lambda: made.generate_reply(MESSAGES[:1]))).code == row["code"]


def test_an_api_version_is_a_date(monkeypatch):
    def send(self, request, **options):
        found = "api-version=20" in str(request.url)
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
        body = {**answer, "choices": [choice]} if found else {"error": {"message": "Resource not found"}}
        return httpx.Response(200 if found else 404, request=request, json=body)

    def made(version):
        azure = {"api_type": "azure", "base_url": "https://name.openai.azure.com", "api_version": version}
        return agent({"model": "m", "api_key": "k", "max_retries": 0, "price": [0, 0], **azure})

    monkeypatch.setattr(httpx.Client, "send", send)
    finding = explain(raised(lambda: made("0613").generate_reply(MESSAGES[:1])))
    assert finding.code == "azure-api-version" and "'0613'" in finding.message
    assert made("2024-10-21").generate_reply(MESSAGES[:1])


# Through AutoGen's own client ---------------------------------------------------------------------------


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
    "a key under another name": (
        config_of({"model": "a", "apikey": "k", "base_url": f"{URL}/v1"}),
        "config-list",
        config_of({"model": "a", "api_key": "k", "base_url": f"{URL}/v1"}),
    ),
    "half of Azure": (
        config_of({"model": "a", "api_type": "azure", "api_key": "k", "api_version": "1"}),
        "config-list",  # which names what is missing
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


def test_half_of_azure_is_known_by_the_error_alone():
    half = {"model": "a", "api_type": "azure", "api_key": "k", "api_version": "1"}
    error = raised(lambda: autogen.AssistantAgent("a", llm_config=config_of(half)))
    assert explain(error).code == "azure-by-halves"


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
    report = diagnose(entries, error=error)
    assert codes(report) == ["key-for-local", "lacking-here"]
    assert "entry 1" in report.findings[1].message
    entries[1]["api_key"] = "not-needed"
    assert "Hi" in str(ask(agent(*entries)))
    assert codes(diagnose(entries)) == []
