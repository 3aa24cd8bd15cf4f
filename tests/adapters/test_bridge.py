"""The bridge under all adapters: one thread at a time, whoever comes, and replies of any form."""

import asyncio
import pickle
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import drive_ag2
import drive_agent_framework
import drive_autogen
import drive_classic
import pytest
from openai.types.chat import ChatCompletionMessage
from scenarios import ENTRY, Crowded, Own, Thinker, dummy

from kit import HuggingFaceModelClient
from kit.adapters import (
    ModelClientForAG2,
    ModelClientForAgentFramework,
    ModelClientForAutoGen,
    registrable,
)
from kit.adapters.bridge import Bridge, Thought
from kit.adapters.reply import choices

DRIVERS = [drive_classic, drive_autogen, drive_ag2, drive_agent_framework]


def test_one_client_in_all_frameworks_and_threads_is_never_entered_twice_at_once():
    client = Crowded(ENTRY, *["done"] * 8)
    errors = []

    def talk(drive):
        try:
            assert asyncio.run(drive.turn(client))["text"] == "done"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=talk, args=(drive,)) for drive in DRIVERS * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == [] and len(client.calls) == 8 and client.most == 1


@pytest.mark.parametrize("drive", DRIVERS, ids=lambda drive: drive.__name__)
def test_the_learners_own_on_text_goes_on_hearing(drive):
    heard = []
    client = dummy("one two", on_text=heard.append)
    mine = client.on_text
    asyncio.run(drive.turn(client, **({} if "stream" in drive.LACKS else {"stream": True})))
    assert heard == ["one", " two"] and client.on_text == mine


def test_without_streaming_the_text_is_what_message_retrieval_says():
    class Tidy(type(dummy())):
        def message_retrieval(self, response):
            return [text.strip() for text in super().message_retrieval(response)]

    for drive in (drive_autogen, drive_agent_framework):
        turn = asyncio.run(drive.turn(Tidy(ENTRY, replies=" so so "), stream=False))
        assert turn["text"] == "so so" and turn["pieces"] == []


END = """
import asyncio, sys, threading
sys.path[:0] = {path!r}
import drive_ag2, drive_agent_framework, drive_autogen
from scenarios import dummy

async def main(drive):
    client, started = dummy("too late", delay=200), threading.Event()
    client.create = lambda params, create=client.create: (started.set(), create(params))[1]
    task, cancel = drive.cancellable(client, drive is drive_autogen)
    await asyncio.to_thread(started.wait)
    cancel()
    await asyncio.wait([task])
    print(drive.NAME, task.cancelled(), flush=True)

for drive in (drive_autogen, drive_ag2, drive_agent_framework):
    asyncio.run(main(drive))
"""


def test_calls_that_were_left_keep_neither_the_loop_nor_the_program_alive():
    program = END.format(path=sys.path)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    left = ["Microsoft AutoGen True", "AG2 True", "Agent Framework True"]
    assert done.stdout.splitlines() == left, done.stderr
    assert done.returncode == 0


def test_a_turn_with_a_time_limit_ends_in_time_in_autogen_too():
    async def main():
        await asyncio.wait_for(drive_autogen.turn(dummy("too late", delay=200)), 0.5)

    before = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert time.monotonic() - before < 10


def test_a_real_model_stops_in_the_middle_and_answers_again(local_model_folder):
    heard = []
    client = HuggingFaceModelClient({"model": local_model_folder, "device": "cpu", "max_tokens": 60})
    client.on_text = heard.append

    async def main():
        task, cancel = drive_autogen.cancellable(client, True)
        while not heard:
            await asyncio.sleep(0.02)
        cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        turn = await drive_agent_framework.turn(client, "What is the capital of France?", stream=True)
        return turn["text"], len(heard) - len(turn["pieces"])

    text, pieces_before = asyncio.run(main())
    assert "Paris" in text and pieces_before < 10


def test_a_call_cancelled_in_the_queue_never_enters_the_client():
    client = dummy("first", "never", delay=0.4)

    async def main():
        bridge = Bridge(client)
        first = asyncio.ensure_future(bridge.ask([], {}).reply())
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(bridge.ask([], {}).reply())
        await asyncio.sleep(0.1)
        second.cancel()
        assert (await first).text == "first"
        await asyncio.sleep(0.2)

    asyncio.run(main())
    assert len(client.calls) == 1


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("message", "text", "called"),
    [
        ("Hello", "Hello", []),
        (None, "", []),
        ([{"type": "text", "text": "He"}, SimpleNamespace(type="text", text="llo")], "Hello", []),
        ({"content": [{"type": "text", "text": ""}]}, "", []),
        ({"content": []}, "", []),
        ({"content": ["Hel", "lo"]}, "Hello", []),
        ({"content": None, "refusal": "No."}, "No.", []),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "No.", []),
        (ChatCompletionMessage(role="assistant", content=None, refusal="No."), "No.", []),
        ({"content": "Yes.", "refusal": None}, "Yes.", []),
        ({"content": None, "tool_calls": [CALL]}, "", [("c1", "f", "{}")]),
        ({"content": "Look:", "tool_calls": [CALL]}, "Look:", [("c1", "f", "{}")]),
        (
            ChatCompletionMessage(role="assistant", content=None, tool_calls=[CALL]),
            "",
            [("c1", "f", "{}")],
        ),
        (
            SimpleNamespace(
                content="",
                tool_calls=[
                    SimpleNamespace(id="c1", function=SimpleNamespace(name="f", arguments=None)),
                ],
            ),
            "",
            [("c1", "f", "{}")],
        ),
        (SimpleNamespace(content="x", tool_calls=None), "x", []),
        ({"content": None, "tool_calls": [{"id": "c1"}]}, "", [("c1", "", "{}")]),
    ],
)
def test_replies_of_any_form_are_read(message, text, called):
    client = SimpleNamespace(message_retrieval=lambda response: [message])
    reply = choices(client, None)[0]
    assert (reply.text, [(call.id, call.name, call.arguments) for call in reply.calls]) == (text, called)


def test_the_older_form_of_a_tool_call_gets_an_id():
    message = {"content": None, "function_call": {"name": "f", "arguments": {"a": 1}}}
    calls = choices(SimpleNamespace(message_retrieval=lambda response: [message]), None)[0].calls
    assert (calls[0].name, calls[0].arguments) == ("f", '{"a": 1}') and calls[0].id.startswith("call_")


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


@pytest.mark.parametrize("content", [[{"type": "text"}], [IMAGE], ["Look:", IMAGE], 7, [None], {"a": 1}])
def test_a_content_that_is_no_text_is_refused(content):
    client = SimpleNamespace(message_retrieval=lambda response: [{"content": content}])
    with pytest.raises(TypeError, match="must be a text, or a list of parts of text"):
        choices(client, None)


@pytest.mark.parametrize("as_message", [True, False], ids=["the message", "its content"])
def test_what_message_retrieval_leaves_out_comes_from_the_response(as_message):
    spoken = {"content": "Yes.", "reasoning_content": "Hm."}
    messages = [spoken, {"content": None, "refusal": "No.", "reasoning": "Hm, no."}]
    response = {"choices": [{"message": message} for message in messages]}
    retrieved = messages if as_message else [message["content"] for message in messages]
    client = SimpleNamespace(message_retrieval=lambda response: retrieved)
    replies = choices(client, response)
    assert [(one.text, one.thoughts) for one in replies] == [("Yes.", "Hm."), ("No.", "Hm, no.")]


def test_more_choices_in_the_response_than_message_retrieval_gives_are_left_out():
    client = SimpleNamespace(message_retrieval=lambda response: ["one"])
    response = SimpleNamespace(choices=[SimpleNamespace(message=None)] * 2)
    assert [one.text for one in choices(client, response)] == ["one"]


@pytest.mark.parametrize("streams", [False, True])
def test_a_call_that_is_cancelled_when_its_reply_is_there_ends_in_a_cancel(streams):
    async def main():
        asking = Bridge(Own(ENTRY, "one")).ask([], {}, streams)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking.reply()
        asking = Bridge(dummy("one two", on_text=lambda piece: None)).ask([], {}, streams)
        items = aiter(asking)
        if streams:
            assert [await anext(items), await anext(items)] == ["one", " two"]
        await asyncio.sleep(0.2)  # the reply waits in the queue
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await anext(items)

    asyncio.run(main())


def test_thoughts_come_in_pieces_and_before_the_text():
    async def pieces(client):
        return [item async for item in Bridge(client).ask([], {}, streams=True)]

    heard, client = [], Thinker(ENTRY)
    client.on_thought = mine = heard.append
    *said, reply = asyncio.run(pieces(client))
    assert said == ["Hm,", " sunny.", "Sunny."] and heard == ["Hm,", " sunny."]
    assert [isinstance(piece, Thought) for piece in said] == [True, True, False]
    assert (reply.text, reply.thoughts) == ("Sunny.", "Hm, sunny.")
    assert (client.on_thought, client.on_text) == (mine, None)
    whole = SimpleNamespace(content="Sunny.", reasoning_content="Hm.")
    assert asyncio.run(pieces(Own(ENTRY, whole)))[:2] == ["Hm.", "Sunny."]


@pytest.mark.parametrize("adapter", [ModelClientForAutoGen, ModelClientForAG2, ModelClientForAgentFramework])
def test_a_class_without_its_entry_is_refused_at_once(adapter):
    with pytest.raises(
        TypeError, match=r"^Own is a class: pass Own\(entry\), or the entry as `config`, too\.$"
    ):
        adapter(Own)
    assert adapter(Own, ENTRY)._bridge.client.model == "dummy"


def test_classic_refuses_a_class():
    with pytest.raises(TypeError, match=r"register the class itself, agent\.register_model_client\(Own\)\.$"):
        registrable(Own)


def test_classic_shares_one_client_under_any_name_and_its_responses_can_be_cached():
    client = Own(ENTRY, "one", "two")
    cls = registrable(client, "Mine")
    assert cls.__name__ == "Mine" and registrable(client).__name__ == "Own"
    first, second = cls({"model": "a"}), cls({"model": "b"})
    response = first.create({"messages": []})
    assert first.message_retrieval(response) == ["one"]
    assert response.id.startswith("chatcmpl-") and pickle.loads(pickle.dumps(response)).id == response.id
    assert second.message_retrieval(second.create({"messages": []})) == ["two"]
    assert second.calls is client.calls and first.cost(response) == 0 and first.get_usage(response) == {}


def test_the_frameworks_are_loaded_only_when_an_adapter_is_used():
    program = (
        "import sys, kit.adapters\n"
        "print(sorted({'autogen', 'autogen_core', 'ag2', 'agent_framework'} & set(sys.modules)))\n"
        "kit.adapters.registrable\n"
        "print(sorted({'autogen', 'autogen_core', 'ag2', 'agent_framework'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "[]"], done.stderr
