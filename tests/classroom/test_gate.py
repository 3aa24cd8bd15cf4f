"""Who may come in, and the form of the answers; the engine behind the gate is a stand-in here.

test_class.py has the same with the real engine.
"""

import asyncio
import json
import logging

import httpx
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from kit.classroom.board import Board
from kit.classroom.gate import MAX_BODY, Gate
from kit.classroom.request import Refused, Rules

QUESTION = {"role": "user", "content": "What is the capital of France?"}
ASKED = {"model": "class-model", "messages": [QUESTION]}
RULES = Rules(key="class-1", model="class-model", max_tokens=256, max_prompt_tokens=20)
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def completion(*messages, reason="stop"):
    return ChatCompletion.model_validate(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "class-model",
            "choices": [
                {"index": index, "message": {"role": "assistant", **message}, "finish_reason": reason}
                for index, message in enumerate(messages)
            ],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
        }
    )


class Engine:
    """Remembers what reached it, and says what it was told to."""

    waiting = 0

    def __init__(self, *items, well=True):
        self.items, self.well, self.asked = (
            items or (("response", completion({"content": "Paris"})),),
            well,
            [],
        )
        self.left = 0

    def is_well(self):
        return self.well

    async def ask(self, model, fields):
        self.asked.append((model, fields))
        try:
            for kind, item in self.items:
                if kind == "error":
                    raise item
                if kind == "wait":
                    await asyncio.sleep(item)
                    continue
                yield kind, item
        finally:
            self.left += 1


def request(engine, method="POST", path="/v1/chat/completions", key="class-1", board=None, **how):
    """Send one request through a gate, as a client would."""

    async def send():
        transport = httpx.ASGITransport(Gate(engine, RULES, board or Board("teacher-1")))
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://class", headers=headers) as client:
            return await client.request(method, path, **how)

    return asyncio.run(send())


def code_of(response):
    return response.status_code, response.json()["error"]["code"]


def streamed(engine, **fields):
    """Return the chunks of a streamed reply."""
    text = request(engine, json={**ASKED, "stream": True, **fields}).text
    *events, done = [event.removeprefix("data: ") for event in text.strip().split("\n\n")]
    assert done == "[DONE]"
    return [ChatCompletionChunk.model_validate_json(event) for event in events]


def test_a_reply_comes_whole_under_the_name_that_was_asked_for():
    engine = Engine()
    reply = ChatCompletion.model_validate(
        request(engine, json={**ASKED, "max_tokens": 32, "user": "Ada"}).json()
    )
    assert (reply.model, reply.choices[0].message.content) == ("class-model", "Paris")
    assert reply.id.startswith("chatcmpl-")
    assert engine.asked == [("class-model", {"messages": [QUESTION], "max_tokens": 32})]


def test_a_reply_comes_in_pieces_with_its_reason_last():
    engine = Engine(("content", "Par"), ("content", "is"), ("response", completion({"content": "Paris"})))
    chunks = streamed(engine)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["Par", "is", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"class-model"}
    assert not any(chunk.usage for chunk in chunks)


def test_the_usage_of_a_stream_comes_in_a_chunk_of_its_own_and_only_if_asked():
    *others, last = streamed(Engine(), stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.total_tokens == 9
    assert not any(chunk.usage for chunk in others)


def test_thoughts_are_apart_from_the_text():
    thought = {"content": "Paris", "reasoning_content": "Easy."}
    engine = Engine(("reasoning_content", "Easy."), ("content", "Paris"), ("response", completion(thought)))
    deltas = [chunk.choices[0].delta.model_dump(exclude_none=True) for chunk in streamed(engine)]
    assert deltas[0] == {"role": "assistant", "reasoning_content": "Easy."}
    whole = request(engine, json=ASKED).json()["choices"][0]["message"]
    assert (whole["content"], whole["reasoning_content"]) == ("Paris", "Easy.")


def test_calls_are_streamed_with_their_place_and_the_reason_of_calls():
    calls = {"content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]}
    chunks = streamed(Engine(("response", completion(calls, reason="tool_calls"))))
    assert [(call.index, call.id) for call in chunks[0].choices[0].delta.tool_calls] == [(0, "c1"), (1, "c2")]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_further_choices_follow_the_first_in_a_stream():
    whole = completion({"content": "Paris"}, {"content": "Lyon"})
    chunks = streamed(Engine(("content", "Paris"), ("response", whole)), n=2)
    text = {0: "", 1: ""}
    for chunk in chunks:
        text[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert text == {0: "Paris", 1: "Lyon"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("The chat template refuses these messages"), (400, "invalid_request")),
        (ImportError("pip install llguidance"), (400, "invalid_request")),
        (Refused(400, "context_length_exceeded", "too long"), (400, "context_length_exceeded")),
        (Refused(500, "engine_error", "broken"), (500, "engine_error")),
    ],
)
def test_what_the_engine_refuses_before_it_writes_is_an_answer_with_a_status(error, code, stream):
    board = Board("teacher-1")
    response = request(Engine(("error", error)), json={**ASKED, "stream": stream}, board=board)
    assert code_of(response) == code
    assert str(error) in response.json()["error"]["message"]
    assert board.line(0).endswith("1 errors")


def test_what_fails_in_the_middle_of_a_stream_ends_it_with_the_error():
    engine = Engine(("content", "Par"), ("error", Refused(500, "engine_error", "broken")))
    events = request(engine, json={**ASKED, "stream": True}).text.strip().split("\n\n")
    assert json.loads(events[-1].removeprefix("data: "))["error"]["message"] == "broken"


def test_the_models_are_the_one_of_the_class():
    listed = request(Engine(), "GET", "/v1/models").json()
    assert [model["id"] for model in listed["data"]] == ["class-model"]
    assert request(Engine(), "GET", "/v1/models/class-model").json() == listed["data"][0]
    assert code_of(request(Engine(), "GET", "/v1/models/gpt-4o")) == (404, "model_not_found")


@pytest.mark.parametrize(("well", "status"), [(True, 200), (False, 503)])
def test_anybody_may_ask_whether_the_server_is_well(well, status):
    assert request(Engine(well=well), "GET", "/health", key=None).status_code == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/responses"),
        ("POST", "/v1/audio/transcriptions"),
        ("GET", "/docs"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/models"),
        ("POST", "/health"),
        ("POST", "/class"),
    ],
)
def test_no_other_address_answers_not_even_with_the_key(method, path):
    engine = Engine()
    assert code_of(request(engine, method, path, json={})) == (404, "unknown_url")
    assert engine.asked == []


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
    assert engine.asked == []


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
    assert engine.asked == []


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
    engine, long = Engine(), {"role": "user", "content": "a" * 64 * (RULES.max_prompt_tokens + 1)}
    response = request(engine, json={**ASKED, "messages": [long]})
    assert code_of(response) == (400, "context_length_exceeded")
    assert "at least 22 tokens, and 20 are allowed" in response.json()["error"]["message"]
    assert engine.asked == []


def leave(engine, *incoming):
    """Let a student send something and go away."""
    messages = [*incoming, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        await asyncio.sleep(0.01)
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", b"Bearer class-1")]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
    asyncio.run(asyncio.wait_for(Gate(engine, RULES, Board("teacher-1"))(scope, receive, send), 5))
    return sent


def test_who_goes_away_in_the_middle_of_a_request_is_no_mistake(caplog):
    with caplog.at_level(logging.WARNING):
        assert leave(Engine(), {"type": "http.request", "body": b'{"mod', "more_body": True}) == []
    assert caplog.messages == []


@pytest.mark.parametrize("stream", [False, True])
def test_the_reply_of_a_student_who_went_away_is_stopped(stream):
    """A student closes the laptop: the engine's work for it ends."""
    engine = Engine(("content", "Par"), ("wait", 60))
    leave(engine, {"type": "http.request", "body": json.dumps({**ASKED, "stream": stream}).encode()})
    assert engine.left == 1


def test_a_mistake_of_the_engine_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        request(Engine(("error", ZeroDivisionError())), json=ASKED)


def test_the_page_of_the_class_opens_with_the_teachers_key_alone():
    board = Board("teacher-1")
    request(Engine(), json={**ASKED, "user": "<b>Ada"}, board=board)
    page = request(Engine(), "GET", "/class?key=teacher-1", key=None, board=board)
    assert page.status_code == 200 and "&lt;b&gt;Ada" in page.text
    for key in ("class-1", "", "é"):
        assert request(Engine(), "GET", f"/class?key={key}", board=board).status_code == 401
