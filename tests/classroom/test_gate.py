"""What the gate lets through and what it refuses; the engine behind it is a stand-in here.

test_class.py has the same with the real engine.
"""

import asyncio
import dataclasses
import json
import logging

import httpx
import pytest

from kit.classroom.gate import MAX_BODY, Gate, Refused, Rules, check_prompt, check_request

QUESTION = {"role": "user", "content": "What is the capital of France?"}
RULES = Rules(
    key="class-1",
    model="class-model",
    engine_model="SmolLM2",
    sampling={"temperature": 0.0, "top_p": 1.0},
    max_tokens=256,
    max_prompt_tokens=20,
    has_tools=False,
    count=lambda request: sum(len(message["content"].split()) for message in request["messages"]),
)


class Engine:
    """Remembers what reached it, and answers with it."""

    def __init__(self):
        self.scopes, self.bodies = [], []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        body = (await receive())["body"] if scope["method"] == "POST" else b""
        self.bodies.append(json.loads(body) if body else None)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body or b"healthy"})


def request(engine, method="POST", path="/v1/chat/completions", key="class-1", rules=RULES, **how):
    """Send one request through a gate, as a client would."""

    async def send():
        transport = httpx.ASGITransport(Gate(engine, rules, cancel=lambda identity: None))
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://class", headers=headers) as client:
            return await client.request(method, path, **how)

    return asyncio.run(send())


def code_of(response):
    return response.status_code, response.json()["error"]["code"]


def refusal(**fields):
    """Return why a request with these fields is refused."""
    with pytest.raises(Refused) as refused:
        check_request({"model": "class-model", "messages": [QUESTION], **fields}, RULES)
    return refused.value


def test_a_request_reaches_the_engine_under_the_name_that_it_knows():
    engine = Engine()
    asked = {"model": "class-model", "messages": [QUESTION], "max_tokens": 32, "stream": True}
    assert request(engine, json=asked).status_code == 200
    assert engine.bodies == [{**asked, "model": "SmolLM2"}]
    headers = dict(engine.scopes[0]["headers"])
    assert int(headers[b"content-length"]) == len(json.dumps(engine.bodies[0]))


def test_students_cannot_choose_the_id_of_a_request():
    engine = Engine()
    asked = {"model": "class-model", "messages": [QUESTION]}
    for _ in range(2):
        request(engine, json=asked, headers={"X-Request-ID": "mine"})
    identities = [dict(scope["headers"])[b"x-request-id"] for scope in engine.scopes]
    assert b"mine" not in identities
    assert len(set(identities)) == 2


def test_the_models_are_the_one_of_the_class():
    listed = request(Engine(), "GET", "/v1/models").json()
    assert [model["id"] for model in listed["data"]] == ["class-model"]


def test_anybody_may_ask_whether_the_server_is_well():
    assert request(Engine(), "GET", "/health", key=None).text == "healthy"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/reset"),
        ("POST", "/load_model"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/audio/transcriptions"),
        ("GET", "/docs"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/../reset"),
        ("POST", "//reset"),
        ("POST", "/health"),
    ],
)
def test_no_other_address_reaches_the_engine_not_even_with_the_key(method, path):
    engine = Engine()
    response = request(engine, method, path, json={})
    assert code_of(response) == (404, "unknown_url")
    assert engine.scopes == []


def test_an_address_without_v1_is_told_what_is_missing():
    response = request(Engine(), path="/chat/completions", json={})
    assert code_of(response) == (404, "unknown_url")
    assert "end in /v1" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("key", "what"), [(None, "missing"), ("class-2", "not this server's"), ("é", "not this")]
)
def test_without_the_key_nothing_is_answered(key, what):
    engine = Engine()
    headers = {"Authorization": f"Bearer {key}".encode()} if key else {}
    for method, path in [("POST", "/v1/chat/completions"), ("GET", "/v1/models")]:
        response = request(engine, method, path, key=None, headers=headers)
        assert code_of(response) == (401, "invalid_api_key")
        assert what in response.json()["error"]["message"]
    assert engine.scopes == []


def test_what_was_refused_is_told_to_the_instructor_without_a_word_of_the_student(caplog):
    with caplog.at_level(logging.WARNING):
        request(Engine(), json={"model": "\x1b[2J", "messages": [QUESTION]})
    assert caplog.messages == ["127.0.0.1: 404 model_not_found"]


@pytest.mark.parametrize(
    "body",
    [b'{"model": "class-model", ', b"", b"\xff", b"[]", b'"text"', b"[" * 100_000, b"NaN"],
)
def test_a_body_that_is_not_a_json_object_is_refused(body):
    engine = Engine()
    assert code_of(request(engine, content=body)) == (400, "invalid_json")
    assert engine.scopes == []


def test_a_body_that_is_too_large_is_refused_before_all_of_it_is_read():
    sent = []

    async def endless():
        for _ in range(1000):
            sent.append(MAX_BODY // 4)
            yield b" " * sent[-1]

    assert code_of(request(Engine(), content=endless())) == (413, "request_too_large")
    assert sum(sent) <= 2 * MAX_BODY


def test_a_prompt_that_would_take_long_to_count_is_refused_without():
    """Twenty of a megabyte kept a class waiting for a minute."""

    def count(request):
        raise AssertionError

    long = {"role": "user", "content": "a" * 64 * (RULES.max_prompt_tokens + 1)}
    rules = dataclasses.replace(RULES, count=count)
    response = request(Engine(), rules=rules, json={"model": "class-model", "messages": [long]})
    assert code_of(response) == (400, "context_length_exceeded")
    assert "at least 22 tokens, and 20 are allowed" in response.json()["error"]["message"]


def test_who_goes_away_in_the_middle_of_a_request_is_no_mistake(caplog):
    incoming = [{"type": "http.request", "body": b'{"mod', "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return incoming.pop(0)

    async def send(message):
        raise AssertionError(message)

    headers = [(b"authorization", b"Bearer class-1")]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
    with caplog.at_level(logging.WARNING):
        asyncio.run(Gate(Engine(), RULES, cancel=lambda identity: None)(scope, receive, send))
    assert caplog.messages == []


@pytest.mark.parametrize(
    "fields", [{"model": "a" * 10_000}, {"a" * 10_000: 1}, {f"f{i}": 1 for i in range(999)}]
)
def test_of_what_is_long_little_is_sent_back(fields):
    assert len(str(refusal(**fields))) < 200


@pytest.mark.parametrize(
    ("fields", "status", "code", "part"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found", 'has to be "class-model"'),
        ({"model": None}, 404, "model_not_found", "None"),
        ({"model": ["class-model"]}, 404, "model_not_found", "['class-model']"),
        ({"temperature": 0.7}, 400, "unsupported_value", '"temperature" is 0'),
        ({"temperature": "hot"}, 400, "unsupported_value", '"temperature" is 0'),
        ({"top_p": 0.9}, 400, "unsupported_value", '"top_p" is 1'),
        ({"stop": ["."]}, 400, "unsupported_parameter", '"stop"'),
        ({"n": 2}, 400, "unsupported_parameter", '"n"'),
        ({"response_format": {}}, 400, "unsupported_parameter", '"response_format"'),
        ({"seed": 1}, 400, "unsupported_parameter", '"seed"'),
        ({"generation_config": "{}"}, 400, "unsupported_parameter", '"generation_config"'),
        ({"foo": 1}, 400, "unsupported_parameter", '"foo"'),
        ({"tools": [{"type": "function"}]}, 400, "unsupported_parameter", "not made for tools"),
        ({"stream": "yes"}, 400, "invalid_type", '"stream"'),
    ],
)
def test_what_the_class_can_not_have_is_refused_by_name(fields, status, code, part):
    refused = refusal(**fields)
    assert (refused.status, refused.code) == (status, code)
    assert part in refused.message


@pytest.mark.parametrize(
    "fields", [{"temperature": 0}, {"top_p": 1}, {"temperature": None, "n": 1}, {"user": "x"}]
)
def test_what_changes_nothing_is_left_out(fields):
    asked = check_request({"model": "class-model", "messages": [QUESTION], **fields}, RULES)
    assert asked == {"model": "SmolLM2", "messages": [QUESTION], "max_tokens": 256}


@pytest.mark.parametrize("value", [0, -1, 257, 1.5, "32", True])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_out_of_range_is_refused(name, value):
    refused = refusal(**{name: value})
    assert (refused.status, refused.code) == (400, "invalid_value")
    assert f'"{name}"' in refused.message and "from 1 to 256" in refused.message


def test_both_names_of_the_limit_count():
    asked = {"model": "class-model", "messages": [QUESTION], "max_tokens": 9, "max_completion_tokens": 8}
    assert check_request(asked, RULES)["max_tokens"] == 8
    assert "max_completion_tokens" not in check_request(asked, RULES)


@pytest.mark.parametrize(
    ("messages", "part"),
    [
        (None, "messages"),
        ([], "messages"),
        ("Hello", "messages"),
        (["Hello"], "messages[0]"),
        ([QUESTION, {}], "messages[1]['role']"),
        ([{"role": 1, "content": "x"}], "['role']"),
        ([{"role": "user", "content": 1}], "['content']"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "'text'"),
        ([{"role": "user", "content": ["text"]}], "['content'][0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "['text']"),
        ([{"role": "user", "content": [{"type": "text", "text": 1}]}], "['text']"),
        ([{"role": "user", "content": "a\ud83d"}], "half a character"),  # JSON can hold it, no tokenizer can
        ([{"role": "user", "content": [{"type": "text", "text": "\ud83d"}]}], "half a character"),
    ],
)
def test_messages_that_the_engine_would_stumble_over_are_refused_by_their_place(messages, part):
    refused = refusal(messages=messages)
    assert (refused.status, refused.code) == (400, "invalid_messages")
    assert part in refused.message


@pytest.mark.parametrize(
    "content", ["Hello", "", None, [], [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]]
)
def test_text_reaches_the_engine_in_each_form_that_it_may_have(content):
    message = {"role": "user", "content": content}
    asked = check_request({"model": "class-model", "messages": [message]}, RULES)
    assert asked["messages"] == [message if content is not None else {"role": "user"}]


def test_half_a_character_that_is_quoted_in_a_refusal_is_no_trouble():
    response = request(Engine(), content=b'{"model": "class-model", "\\ud83d": 1}')
    assert code_of(response) == (400, "unsupported_parameter")


def test_what_is_null_in_a_message_is_left_out():
    """As in a reply that was taken over with `model_dump()`."""
    reply = {"role": "assistant", "content": "Paris.", "tool_calls": None, "refusal": None}
    asked = check_request({"model": "class-model", "messages": [reply, QUESTION]}, RULES)
    assert asked["messages"] == [{"role": "assistant", "content": "Paris."}, QUESTION]


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers():
    with pytest.raises(Refused, match="has 21 tokens, and 20 are allowed") as refused:
        check_prompt({"messages": [{"role": "user", "content": "word " * 21}]}, RULES)
    assert refused.value.code == "context_length_exceeded"
    check_prompt({"messages": [{"role": "user", "content": "word " * 20}]}, RULES)


def test_what_the_chat_template_says_is_passed_on():
    with pytest.raises(Refused, match="chat template refuses these messages: 'content'"):
        check_prompt({"messages": [{"role": "user"}]}, RULES)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_reply_of_a_student_who_went_away_is_stopped(streaming):
    """A student closes the laptop: the engine is told which request it was, and its work is cancelled."""
    events = []

    async def engine(scope, receive, send):
        await receive()
        events.append(dict(scope["headers"])[b"x-request-id"].decode())
        if streaming:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("stopped")  # it may have handed the request in a moment before
            raise

    async def visit():
        body = json.dumps({"model": "class-model", "messages": [QUESTION]}).encode()
        incoming = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

        async def receive():
            await asyncio.sleep(0.01)
            return incoming.pop(0)

        async def send(message):
            pass

        headers = [(b"authorization", b"Bearer class-1")]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
        await asyncio.wait_for(Gate(engine, RULES, events.append)(scope, receive, send), 5)

    asyncio.run(visit())
    assert events == [events[0], events[0], "stopped", events[0]]


def test_a_mistake_of_the_engine_is_not_hidden():
    async def engine(scope, receive, send):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        request(engine, json={"model": "class-model", "messages": [QUESTION]})
