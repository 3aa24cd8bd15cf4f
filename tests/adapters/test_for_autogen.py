"""ModelClientForAutoGen, what agents alone don't show: counting, thoughts, a cancel at the last moment."""

import asyncio
import importlib

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken
from autogen_core.model_context import TokenLimitedChatCompletionContext
from autogen_core.models import AssistantMessage, ModelFamily, SystemMessage, UserMessage
from autogen_core.tools import FunctionTool
from scenarios import ENTRY, Own, Thinker, dummy, texts, thinking, weather

from kit import tool_call
from kit.adapters import ModelClientForAutoGen

SAID = [
    SystemMessage(content="Be brief."),
    UserMessage(content="What is the capital of France?", source="me"),
]
TOOL = FunctionTool(weather, description="Tell the weather in a city.")


class Counting(Own):
    """A client that counts: a token for each word."""

    def prompt(self, params):
        if not params["messages"]:
            raise ValueError("nothing to answer")
        words = [word for message in params["messages"] for word in message["content"].split()]
        return [1] * (len(words) + 100 * len(params.get("tools") or []))


def test_tokens_are_those_that_the_client_counts():
    adapter = ModelClientForAutoGen(Counting(ENTRY), context_window=110)
    assert adapter.count_tokens(SAID) == 8 and adapter.remaining_tokens(SAID) == 102
    assert adapter.count_tokens(SAID, tools=[TOOL]) == adapter.count_tokens(SAID, tools=[TOOL.schema]) == 108
    assert adapter.remaining_tokens(SAID, tools=[TOOL]) == 2


@pytest.mark.parametrize("client", ["huggingface", "huggingface_fast"])
def test_the_clients_of_the_kit_count_exactly_and_know_their_window(client, local_model_folder):
    module = importlib.import_module(f"kit.clients.{client}")
    config = {"model": local_model_folder, "device": "cpu", "max_tokens": 1}
    adapter = ModelClientForAutoGen(module.HuggingFaceModelClient, config)
    result = asyncio.run(adapter.create(SAID))
    assert adapter.count_tokens(SAID) == result.usage.prompt_tokens > 10
    assert adapter.remaining_tokens(SAID) == 8192 - result.usage.prompt_tokens


def test_the_estimate_needs_no_package_and_is_not_far_off(local_model_folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(local_model_folder)
    adapter = ModelClientForAutoGen(Own(ENTRY))
    for text, low, high in (
        ("The quick brown fox jumps over the lazy dog. It was sunny, and nobody worked. " * 20, 1, 1.5),
        ("Wovon man nicht sprechen kann, darüber muss man schweigen. " * 20, 0.8, 1.2),
        ("你好，世界。今天天气很好，我们去公园散步吧。" * 20, 0.4, 0.8),
    ):
        counted = len(tokenizer(text)["input_ids"])
        estimate = adapter.count_tokens([UserMessage(content=text, source="me")])
        assert low < estimate / counted < high, (text[:20], estimate, counted)
    assert adapter.count_tokens([]) == 0 and adapter.remaining_tokens([]) == 4096
    assert adapter.count_tokens(SAID, tools=[TOOL]) > adapter.count_tokens(SAID) + 40
    assert adapter.count_tokens([UserMessage(content="half a \ud83d", source="me")]) == 5


@pytest.mark.parametrize("odd", [lambda params: "a text", lambda: [1], lambda params: 1 / 0, "a text", None])
def test_a_prompt_of_another_kind_is_no_count(odd):
    client = Own(ENTRY)
    client.prompt = odd
    assert ModelClientForAutoGen(client).count_tokens(SAID) == ModelClientForAutoGen(Own(ENTRY)).count_tokens(
        SAID
    )


@pytest.mark.parametrize(("client", "limit"), [(Counting, 12), (Counting, None), (Own, 40), (Own, None)])
def test_an_agent_remembers_as_much_as_its_tokens_allow(client, limit):
    client = client(ENTRY, "one two three", "four five six", "seven")
    window = {Counting: 16, Own: 40}[type(client)]
    adapter = ModelClientForAutoGen(client, context_window=None if limit else window)
    context = TokenLimitedChatCompletionContext(adapter, token_limit=limit)
    agent = AssistantAgent("a", adapter, model_context=context, system_message="Be brief.")

    async def talk():
        for question in ("What is the first number?", "What is the second one?", "And the third?"):
            await agent.run(task=question)

    asyncio.run(talk())
    first, *_, last = map(texts, client.calls)
    assert len(first) == 2 and last[-1] == ("user", "And the third?")
    assert 2 < len(last) < 6, "some are left out, and not all"


def results(adapter, *messages, **kwargs):
    """Return the result of `create`, that of a stream, and the stream's pieces."""

    async def ask():
        whole = await adapter.create(messages or SAID, **kwargs)
        *pieces, last = [item async for item in adapter.create_stream(messages or SAID, **kwargs)]
        return whole, last, pieces

    return asyncio.run(ask())


CALL = tool_call("weather", city="Paris").model_dump()


@pytest.mark.parametrize(
    ("message", "thought", "pieces"),
    [
        ("Sunny.", None, ["Sunny."]),
        (thinking("Hm.", "Sunny."), "Hm.", ["Sunny."]),
        (thinking("", "Sunny."), None, ["Sunny."]),
        (CALL, None, []),
        ({**CALL, "content": "Let me look."}, "Let me look.", ["Let", " me", " look."]),
        (thinking("Hm.", CALL), "Hm.", []),
        (thinking("Hm.", {**CALL, "content": "Let me look."}), "Let me look.", ["Let", " me", " look."]),
    ],
)
def test_the_thought_is_the_same_in_a_stream(message, thought, pieces):
    whole, last, streamed = results(ModelClientForAutoGen(dummy(message, message)), tools=[TOOL])
    assert whole.thought == last.thought == thought and whole.content == last.content
    assert streamed == pieces


def test_the_thoughts_of_a_client_that_streams_them_are_no_piece_of_the_text():
    whole, last, streamed = results(ModelClientForAutoGen(Thinker(ENTRY)))
    assert whole.thought == last.thought == "Hm, sunny." and streamed == ["Sunny."]


def test_thoughts_beside_a_call_do_not_go_back_to_the_model_and_its_words_do():
    client = dummy(thinking("Hm.", CALL), thinking("Hm.", {**CALL, "content": "I look."}), "Sunny.")
    adapter = ModelClientForAutoGen(client)

    async def ask():
        history = list(SAID)
        for _ in range(3):
            said = await adapter.create(history, tools=[TOOL])
            history.append(AssistantMessage(content=said.content, thought=said.thought, source="a"))

    asyncio.run(ask())
    assert texts(client.calls[-1])[2:] == [("assistant", ""), ("assistant", "I look.")]


@pytest.mark.parametrize("text", ["<think>Hm.</think>\n\nSunny.", "Hm.\n</think>\nSunny."])
def test_thoughts_within_the_text_are_read_where_the_family_has_them_there(text):
    info = {"vision": False, "function_calling": True, "json_output": True, "structured_output": True}
    r1 = ModelClientForAutoGen(dummy(text, text), model_info={**info, "family": ModelFamily.R1})
    whole, last, _ = results(r1)
    assert (whole.content, whole.thought) == (last.content, last.thought) == ("Sunny.", "Hm.")
    whole, last, _ = results(ModelClientForAutoGen(dummy(text, text)))
    assert (whole.content, whole.thought) == (last.content, last.thought) == (text, None)
    plain = ModelClientForAutoGen(dummy("Sunny.", "Sunny."), model_info={**info, "family": ModelFamily.R1})
    assert results(plain)[0].thought is None


@pytest.mark.parametrize("client", [Own(ENTRY, "Hello there!"), dummy("Hello there!")])
def test_a_stream_cancelled_between_its_last_piece_and_the_result_is_a_cancel(client):
    async def listen():
        token, heard = CancellationToken(), ""
        async for item in ModelClientForAutoGen(client).create_stream(SAID, cancellation_token=token):
            assert isinstance(item, str), "there is a result"
            heard += item
            if heard == "Hello there!":
                await asyncio.sleep(0.1)  # the reply is there by now
                token.cancel()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(listen())


def test_a_token_that_was_cancelled_before_keeps_the_client_from_being_asked():
    client, token = Own(ENTRY, "never"), CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ModelClientForAutoGen(client).create(SAID, cancellation_token=token))
    assert client.calls == []
