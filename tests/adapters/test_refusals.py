"""What only one of the frameworks knows: its options, and what its adapter refuses in clear words."""

import asyncio

import pytest
from scenarios import ENTRY, Own, dummy, weather

from kit import DummyModelClient, tool_call
from kit.adapters import ModelClientForAG2, ModelClientForAgentFramework, ModelClientForAutoGen

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fccfc0500f0004850180"
    "84a98c210000000049454e44ae426082"
)


def test_autogen_hands_options_and_tool_choice_of_create_to_the_client():
    from autogen_core.models import UserMessage
    from autogen_core.tools import FunctionTool

    client = dummy("one two three", "yes", "{}")
    adapter = ModelClientForAutoGen(client)
    said = [UserMessage(content=["Hello", "there"], source="me")]
    tool = FunctionTool(weather, description="Tell the weather.")

    async def calls():
        cut = await adapter.create(said, extra_create_args={"max_tokens": 2, "temperature": 0.5})
        await adapter.create(said, tools=[tool], tool_choice=tool)
        await adapter.create(said, tools=[tool.schema], tool_choice="none", json_output=True)
        return cut

    cut = asyncio.run(calls())
    assert (cut.content, cut.finish_reason, cut.cached) == ("one two", "length", False)
    first, second, third = client.calls
    assert first["messages"] == [{"role": "user", "name": "me", "content": "Hello\nthere"}]
    assert first["temperature"] == 0.5 and "tools" not in first and "tool_choice" not in first
    assert second["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert third["tool_choice"] == "none" and third["response_format"] == {"type": "json_object"}
    assert second["tools"][0]["function"]["parameters"] == third["tools"][0]["function"]["parameters"]
    assert adapter.total_usage().completion_tokens == adapter.actual_usage().completion_tokens == 4


def test_autogen_keeps_what_was_said_beside_a_tool_call():
    from autogen_agentchat.agents import AssistantAgent

    call = {"function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    message = {"content": "Let me look.", "tool_calls": [{"id": "c1", "type": "function", **call}]}
    message["reasoning_content"] = (
        "Hm."  # there is one place for both, and the text has to go back to the model
    )
    client = dummy(message, "Sunny.")
    agent = AssistantAgent("a", ModelClientForAutoGen(client), tools=[weather], max_tool_iterations=2)
    events = asyncio.run(agent.run(task="Paris?")).messages
    assert "Let me look." in [event.to_text() for event in events]
    assert "Hm." not in str(events)
    assert [said["content"] for said in client.calls[1]["messages"] if said.get("tool_calls")] == [
        "Let me look."
    ]


def test_autogen_refuses_images():
    from autogen_core import Image
    from autogen_core.models import UserMessage
    from PIL import Image as Pillow

    adapter = ModelClientForAutoGen(dummy("never"))
    image = UserMessage(content=["Look:", Image(Pillow.new("RGB", (1, 1)))], source="me")
    with pytest.raises(ValueError, match="image"):
        asyncio.run(adapter.create([image]))
    with pytest.raises(ValueError, match="image"):
        adapter.count_tokens([image])


def test_autogen_wraps_an_error_inside_a_team():
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.teams import RoundRobinGroupChat

    client = dummy(LookupError("no such page"))
    team = RoundRobinGroupChat([AssistantAgent("a", ModelClientForAutoGen(client))], max_turns=1)
    with pytest.raises(RuntimeError, match="LookupError: no such page"):
        asyncio.run(team.run(task="Hi"))
    assert len(client.calls) == 1


def test_ag2_refuses_images_and_tools_that_are_no_functions():
    from ag2 import Agent, ImageInput
    from ag2.exceptions import UnsupportedInputError, UnsupportedToolError
    from ag2.tools.builtin import WebSearchTool

    client = dummy("never")
    with pytest.raises(UnsupportedInputError, match="model client"):
        asyncio.run(
            Agent("a", config=ModelClientForAG2(client)).ask(
                "Look:", ImageInput(data=PIXEL, media_type="image/png")
            )
        )
    with pytest.raises(UnsupportedToolError, match="model client"):
        asyncio.run(Agent("a", config=ModelClientForAG2(client), tools=[WebSearchTool()]).ask("Hi"))
    assert client.calls == []


def test_ag2_ends_a_model_that_calls_tools_for_ever():
    from ag2 import Agent
    from ag2.tools import tool

    def ask(client):
        config = ModelClientForAG2(client, max_tool_rounds=3)
        return asyncio.run(Agent("a", config=config, tools=[tool(weather)]).ask("Hi")).body

    call = tool_call("weather", city="Paris")
    willing = DummyModelClient(ENTRY, replies=lambda messages: call if len(messages) < 7 else "Enough.")
    assert ask(willing) == "Enough."
    assert [bool(params.get("tools")) for params in willing.calls] == [True, True, True, False]
    stubborn = DummyModelClient(ENTRY, replies=lambda messages: call)
    with pytest.raises(RuntimeError, match="called tools in 3 rounds"):
        ask(stubborn)
    assert len(stubborn.calls) == 4


def test_ag2_hands_data_over_as_json():
    from ag2 import Agent, DataInput

    client = dummy("I see.")
    asyncio.run(Agent("a", config=ModelClientForAG2(client)).ask("Look:", DataInput({"city": "Zürich"})))
    assert client.calls[0]["messages"][-1]["content"] == 'Look:\n{"city":"Zürich"}'


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"store": True}, "leave out store"),
        ({"conversation_id": "c1"}, "leave out conversation_id"),
        ({"tools": [{"type": "web_search"}]}, "can be shown functions"),
        ({"temperature": 9}, "temperature must be between"),
    ],
)
def test_agent_framework_refuses_options_that_a_client_has_no_way_for(options, told):
    from agent_framework import Message

    client = dummy("never")
    adapter = ModelClientForAgentFramework(client)
    with pytest.raises(ValueError, match=told):
        asyncio.run(_of(adapter.get_response([Message("user", ["Hi"])], options=options)))
    assert client.calls == []


def test_agent_framework_refuses_images():
    from agent_framework import Agent, Content, Message

    client = dummy("never")
    agent = Agent(ModelClientForAgentFramework(client))
    with pytest.raises(ValueError, match="text only"):
        asyncio.run(agent.run(Message("user", ["Look:", Content.from_data(PIXEL, "image/png")])))
    assert client.calls == []


@pytest.mark.parametrize(
    ("choice", "reaches"),
    [
        ("required", "required"),
        ("none", "none"),
        ("auto", None),
        (
            {"mode": "required", "required_function_name": "weather"},
            {"type": "function", "function": {"name": "weather"}},
        ),
    ],
)
def test_agent_framework_hands_its_tool_choice_to_the_client(choice, reaches):
    from agent_framework import Agent

    client = dummy("yes")
    agent = Agent(ModelClientForAgentFramework(client), tools=[weather])
    options = {"tool_choice": choice, "allow_multiple_tool_calls": False}
    asyncio.run(agent.run("Hi", options=options))
    assert client.calls[0].get("tool_choice") == reaches
    assert client.calls[0]["parallel_tool_calls"] is False and len(client.calls[0]["tools"]) == 1


@pytest.mark.parametrize("adapter", [ModelClientForAutoGen, ModelClientForAG2, ModelClientForAgentFramework])
def test_a_class_is_made_with_its_entry_and_the_entry_reaches_each_call(adapter):
    entry = {"model": "m", "model_client_cls": "Own", "api_key": "sk-secret", "temperature": 0.1}
    bridge = adapter(Own, entry)._bridge
    assert bridge.client.model == "m" and bridge.model == "m"
    assert bridge.fields == {"model": "m", "temperature": 0.1}
    assert adapter(Own(ENTRY))._bridge.fields == {"model": "Own"}
    assert entry["api_key"] == "sk-secret"


async def _of(awaitable):
    return await awaitable
