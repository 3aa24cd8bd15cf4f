"""ModelClientForAgentFramework, what agents alone don't show: identity and time of a response, and spans."""

import asyncio
from contextlib import contextmanager
from datetime import datetime

import pytest
from agent_framework import Agent, Message, observability
from opentelemetry import trace
from scenarios import ENTRY, Own, dummy, texts, thinking

from kit.adapters import ModelClientForAgentFramework


async def response(adapter, messages, stream=False, **kwargs):
    if not stream:
        return await adapter.get_response(messages, **kwargs)
    return await adapter.get_response(messages, stream=True, **kwargs).get_final_response()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("messages", "asked"),
    [
        ("Hi", ["Hi"]),
        (["Hi", "there"], ["Hi", "there"]),
        (["Hi", Message("user", ["there"])], ["Hi", "there"]),
        (Message("user", ["Hi"]), ["Hi"]),
    ],
)
def test_messages_may_be_plain_texts(messages, asked, stream):
    client = dummy("Hello!")
    adapter = ModelClientForAgentFramework(client)
    assert asyncio.run(response(adapter, messages, stream)).text == "Hello!"
    assert texts(client.calls[0]) == [("user", text) for text in asked]


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_has_the_id_and_time_that_the_client_gave(stream):
    class Dated(Own):
        def create(self, params):
            made = super().create(params)
            made.id, made.created = "r1", 1_700_000_000
            return made

    made = asyncio.run(response(ModelClientForAgentFramework(Dated(ENTRY, "Hello!")), "Hi", stream))
    assert made.response_id == "r1" and made.created_at == "2023-11-14T22:13:20.000000Z"
    assert datetime.fromisoformat(made.created_at).timestamp() == 1_700_000_000
    agent = Agent(ModelClientForAgentFramework(Dated(ENTRY, "Hello!")))
    assert asyncio.run(agent.run("Hi")).response_id == "r1"
    made = asyncio.run(response(ModelClientForAgentFramework(Own(ENTRY, "Hello!")), "Hi", stream))
    assert made.response_id is None and made.created_at is None


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_are_contents_before_the_text(stream):
    client = Own(ENTRY, *[type("Message", (), thinking("Hm.", "Hello!"))] * 2)
    made = asyncio.run(response(ModelClientForAgentFramework(client), "Hi", stream))
    contents = [(one.type, one.text) for one in made.messages[0].contents]
    assert contents == [("text_reasoning", "Hm."), ("text", "Hello!")]
    assert made.text == "Hello!"


class Spans(trace.Tracer):
    """A tracer that keeps names and attributes of the spans, and which of them have ended."""

    def __init__(self):
        self.names, self.attributes, self.ended = [], {}, 0

    def start_span(self, name, *args, **kwargs):
        spans = self

        class Span(trace.NonRecordingSpan):
            def is_recording(self):
                return True

            def update_name(self, name):
                spans.names.append(name)

            def set_attributes(self, attributes):
                spans.attributes |= attributes

            def set_attribute(self, key, value):
                spans.attributes[key] = value

            def end(self, *args):
                spans.ended += 1

        self.names.append(name)
        return Span(trace.INVALID_SPAN_CONTEXT)

    @contextmanager
    def start_as_current_span(self, name, *args, **kwargs):
        yield self.start_span(name)


@pytest.fixture
def spans(monkeypatch):
    spans = Spans()
    monkeypatch.setattr(observability, "get_tracer", lambda *args, **kwargs: spans)
    monkeypatch.setattr(observability.OBSERVABILITY_SETTINGS, "_enable_instrumentation", True)
    return spans


@pytest.mark.parametrize("stream", [False, True])
def test_each_call_is_a_span(spans, stream):
    assert asyncio.run(response(ModelClientForAgentFramework(dummy("two words")), "Hi", stream)).text
    assert spans.names[0].startswith("chat ") and spans.names[-1] == "chat dummy" and spans.ended == 1
    told = spans.attributes
    assert told["gen_ai.response.model"] == "dummy" and told["gen_ai.usage.output_tokens"] == 2
    assert told["gen_ai.provider.name"] == "model_client" and "words" not in str(told)


def test_a_call_that_fails_is_a_span_that_says_so(spans):
    with pytest.raises(LookupError):
        asyncio.run(response(ModelClientForAgentFramework(dummy(LookupError("no such page"))), "Hi"))
    assert spans.attributes["error.type"] == "LookupError" and spans.ended == 1


def test_without_tracing_there_is_none(spans, monkeypatch):
    monkeypatch.setattr(observability.OBSERVABILITY_SETTINGS, "_enable_instrumentation", False)
    asyncio.run(response(ModelClientForAgentFramework(dummy("Hello!")), "Hi"))
    assert spans.names == []
