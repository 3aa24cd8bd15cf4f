"""What the door lets through, what it refuses and in which words; the engine behind it is a stand-in here.

tests/serving has the same with the real engine.
"""

import asyncio
import dataclasses
import json
import logging

import httpx
import pytest

from kit.classroom.gate import MAX_BODY, Door, Refused, Rules, check_prompt, check_request

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
    """Send one request through a door, as a client would."""

    async def send():
        transport = httpx.ASGITransport(Door(engine, rules, cancel=lambda identity: None))
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://class", headers=headers) as client:
            return await client.request(method, path, **how)

    return asyncio.run(send())


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
    assert response.status_code == 404
    assert "POST /v1/chat/completions" in response.json()["error"]["message"]
    assert engine.scopes == []


def test_an_address_without_v1_is_told_what_is_missing():
    assert request(Engine(), path="/chat/completions", json={}).json()["error"]["message"] == (
        '"base_url" has to end in /v1.'
    )


@pytest.mark.parametrize(
    ("key", "what"), [(None, "missing"), ("class-2", "not this server's"), ("é", "not this")]
)
def test_without_the_key_nothing_is_answered(key, what):
    engine = Engine()
    headers = {"Authorization": f"Bearer {key}".encode()} if key else {}
    for method, path in [("POST", "/v1/chat/completions"), ("GET", "/v1/models")]:
        response = request(engine, method, path, key=None, headers=headers)
        assert response.status_code == 401
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
def test_a_body_that_is_no_json_object_is_refused(body):
    engine = Engine()
    response = request(engine, content=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")
    assert engine.scopes == []


def test_a_body_that_is_too_large_is_refused_before_all_of_it_is_read():
    async def endless():
        for _ in range(1000):
            yield b" " * (MAX_BODY // 4)

    response = request(Engine(), content=endless())
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


def test_a_prompt_that_would_take_long_to_count_is_refused_without():
    """Twenty of a megabyte kept a class waiting for a minute."""

    def count(request):
        raise AssertionError

    long = {"role": "user", "content": "a" * 64 * RULES.max_prompt_tokens}
    rules = dataclasses.replace(RULES, count=count)
    response = request(Engine(), rules=rules, json={"model": "class-model", "messages": [long]})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert "bytes, and 20 tokens are allowed" in response.json()["error"]["message"]


def test_who_goes_away_in_the_middle_of_a_request_is_no_mistake(caplog):
    incoming = [{"type": "http.request", "body": b'{"mod', "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return incoming.pop(0)

    async def send(message):
        raise AssertionError(message)

    headers = [(b"authorization", b"Bearer class-1")]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
    with caplog.at_level(logging.WARNING):
        asyncio.run(Door(Engine(), RULES, cancel=lambda identity: None)(scope, receive, send))
    assert caplog.messages == []


@pytest.mark.parametrize(
    "fields", [{"model": "a" * 10_000}, {"a" * 10_000: 1}, {f"f{i}": 1 for i in range(999)}]
)
def test_of_what_is_long_little_is_sent_back(fields):
    assert len(str(refusal(**fields))) < 200


def test_another_model_is_refused_and_the_right_name_told():
    refused = refusal(model="gpt-4o")
    assert refused.status == 404
    assert str(refused) == 'There is no model \'gpt-4o\' here: "model" has to be "class-model".'
    assert refusal(model=None).status == refusal(model=["class-model"]).status == 404


@pytest.mark.parametrize("fields", [{"temperature": 0.7}, {"top_p": 0.9}, {"temperature": "hot"}])
def test_a_sampling_of_ones_own_is_refused(fields):
    assert "for everybody here" in str(refusal(**fields))


@pytest.mark.parametrize(
    "fields", [{"temperature": 0}, {"top_p": 1}, {"temperature": None, "n": 1}, {"user": "x"}]
)
def test_what_changes_nothing_is_left_out(fields):
    asked = check_request({"model": "class-model", "messages": [QUESTION], **fields}, RULES)
    assert asked == {"model": "SmolLM2", "messages": [QUESTION], "max_tokens": 256}


@pytest.mark.parametrize(
    "fields",
    [
        {"stop": ["."]},
        {"n": 2},
        {"response_format": {}},
        {"seed": 1},
        {"generation_config": "{}"},
        {"foo": 1},
    ],
)
def test_what_the_engine_would_ignore_is_refused_by_name(fields):
    assert f'"{next(iter(fields))}"' in str(refusal(**fields))


def test_tools_are_refused_where_the_chat_template_has_none():
    assert "not made for tools" in str(refusal(tools=[{"type": "function"}]))


@pytest.mark.parametrize("value", [0, -1, 257, 1.5, "32", True])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_out_of_range_is_refused(name, value):
    assert str(refusal(**{name: value})) == f'"{name}" has to be a whole number from 1 to 256 here.'


def test_both_names_of_the_limit_count():
    asked = {"model": "class-model", "messages": [QUESTION], "max_tokens": 9, "max_completion_tokens": 8}
    assert check_request(asked, RULES)["max_tokens"] == 8
    assert "max_completion_tokens" not in check_request(asked, RULES)


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        "Hello",
        ["Hello"],
        [{}],
        [{"role": 1, "content": "x"}],
        [{"role": "user", "content": 1}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        [{"role": "user", "content": ["text"]}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "user", "content": [{"type": "text", "text": 1}]}],
    ],
)
def test_messages_that_the_engine_would_stumble_over_are_refused(messages):
    assert refusal(messages=messages).code == "invalid_messages"


def test_half_a_character_is_named_as_what_it_is():
    """JSON can hold it, and a tokenizer can't."""
    assert "half a character" in str(refusal(messages=[{"role": "user", "content": "a\ud83d"}]))


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
        await asyncio.wait_for(Door(engine, RULES, events.append)(scope, receive, send), 5)

    asyncio.run(visit())
    assert events == [events[0], events[0], "stopped", events[0]]


def test_a_mistake_of_the_engine_is_not_hidden():
    async def engine(scope, receive, send):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        request(engine, json={"model": "class-model", "messages": [QUESTION]})
