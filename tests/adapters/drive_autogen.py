"""Microsoft AutoGen 0.7: how the scenarios use its agents and teams."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import (
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    StructuredMessage,
    ThoughtEvent,
)
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_core import CancellationToken

from kit import DummyModelClient
from kit.adapters import ModelClientForAutoGen

NAME = "Microsoft AutoGen"
PACKAGES = ["autogen-core", "autogen-agentchat"]
LACKS = {
    "finish": "an agent does not tell why a reply ended",
    "options": "an agent passes none with a call; see test_refusals.py",
}


def assistant(client, name="assistant", system="Be brief.", **kwargs):
    return AssistantAgent(name, ModelClientForAutoGen(client), system_message=system, **kwargs)


async def turn(client, question="Hi", system="Be brief.", tools=(), stream=False, schema=None, pieces=None):
    pieces = [] if pieces is None else pieces
    kwargs = {"tools": list(tools), "reflect_on_tool_use": False, "max_tool_iterations": 9} if tools else {}
    agent = assistant(client, system=system, model_client_stream=stream, output_content_type=schema, **kwargs)
    async for item in agent.run_stream(task=question):
        if isinstance(item, ModelClientStreamingChunkEvent):
            pieces.append(item.content)
    assert isinstance(item, TaskResult)
    used = [said.models_usage for said in item.messages if said.models_usage]
    usage = sum(one.prompt_tokens for one in used), sum(one.completion_tokens for one in used)
    last = item.messages[-1]
    value = last.content if isinstance(last, StructuredMessage) else None
    thoughts = [said.content for said in item.messages if isinstance(said, ThoughtEvent)]
    return {"text": last.to_text(), "usage": usage, "pieces": pieces, "value": value, "thoughts": thoughts}


async def talk(client, questions):
    agent = assistant(client)
    return [(await agent.run(task=question)).messages[-1].to_text() for question in questions]


async def team(clients, opening):
    agents = [assistant(client, name, description=name) for name, client in clients.items()]
    end = MaxMessageTermination(1 + len(agents))
    if len(agents) == 2:
        group = RoundRobinGroupChat(agents, termination_condition=end)
    else:
        selector = DummyModelClient({"model": "dummy"}, replies=list(clients))
        group = SelectorGroupChat(agents, ModelClientForAutoGen(selector), termination_condition=end)
    messages = (await group.run(task=opening)).messages[1:]
    return [(said.source, said.to_text()) for said in messages if isinstance(said, BaseChatMessage)]


def cancellable(client, stream):
    """Return a turn as a task, and the framework's own way to cancel it."""
    token = CancellationToken()
    agent = assistant(client, model_client_stream=stream)
    return asyncio.ensure_future(agent.run(task="Hi", cancellation_token=token)), token.cancel
