"""AG2 1.x: how the scenarios use its agents, and several of them on a hub."""

import asyncio

from ag2 import Agent, MemoryStream
from ag2.events import ModelMessageChunk, ModelReasoning
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import EV_TEXT, Hub, HubClient, LocalLink
from ag2.tools import tool as as_tool

from kit.adapters import ModelClientForAG2

NAME = "AG2"
PACKAGES = ["ag2"]
LACKS = {"options": "an agent passes none with a call; those of the entry count"}


def assistant(client, name="assistant", system="Be brief.", **kwargs):
    return Agent(name, system, config=ModelClientForAG2(client), **kwargs)


async def turn(client, question="Hi", system="Be brief.", tools=(), stream=True, schema=None, pieces=None):
    pieces, thoughts, order = [] if pieces is None else pieces, [], []
    agent = assistant(client, system=system, tools=[as_tool(tool) for tool in tools], response_schema=schema)
    events = MemoryStream()
    events.where(ModelMessageChunk).subscribe(lambda event: pieces.append(event.content))
    events.where(ModelReasoning).subscribe(lambda event: thoughts.append(event.content))
    for kind in (ModelMessageChunk, ModelReasoning):
        events.where(kind).subscribe(lambda event: order.append(event.content))
    reply = await agent.ask(question, stream=events)
    used = (await reply.usage()).total
    return {
        "text": reply.body,
        "usage": (used.prompt_tokens or 0, used.completion_tokens or 0),
        "finish": reply.response.finish_reason,
        "pieces": pieces,
        "value": await reply.content() if schema else None,
        "thoughts": thoughts,
        "order": order,
    }


async def talk(client, questions):
    first, *others = questions
    reply = await assistant(client).ask(first)
    texts = [reply.body]
    for question in others:
        reply = await reply.ask(question)
        texts.append(reply.body)
    return texts


async def team(clients, opening):
    """The first one opens, then all speak in turn: a conversation of two, a discussion of more."""
    hub = await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0, expectation_sweep_interval=0)
    link = HubClient(LocalLink(hub), hub=hub)
    members = {name: await link.register(assistant(client, name)) for name, client in clients.items()}
    first, *others = members
    kind = "conversation" if len(others) == 1 else "discussion"
    channel = await members[first].open(type=kind, target=others)
    await channel.send(opening)
    said = []
    while len(said) <= len(clients):
        await asyncio.sleep(0.02)
        said = [one for one in await link.read_wal(channel.channel_id) if one.event_type == EV_TEXT]
    await channel.close()
    await link.close()
    await hub.close()
    return [(link.name_for(one.sender_id), one.event_data["text"]) for one in said[1 : len(clients) + 1]]


def cancellable(client, stream):
    task = asyncio.ensure_future(turn(client))
    return task, task.cancel
