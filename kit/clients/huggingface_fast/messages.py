"""Messages as chat templates want them, family by family.

Templates differ in what they refuse. So a prompt is first rendered as it is; where the template refuses it,
the system message goes into the first message of the user, and then neighbours of one role become one
message (in a group chat all others are "user").
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]


def variants(messages: list[Message], merge_system: bool, merge_neighbours: bool) -> Iterator[list[Message]]:
    """Yield the messages as templates of several families take them, the least changed first.

    `merge_system` and `merge_neighbours` allow the two changes.
    """
    ours = [_parsed(message) for message in _named(messages)]
    yield ours
    if any(message.get("tool_calls") for message in messages):  # DeepSeek wants arguments as text
        yield _named(messages)
    if merge_system:
        yield without_system(ours)
    if merge_neighbours:
        yield merged(ours)
    if merge_system and merge_neighbours:
        yield merged(without_system(ours))


def in_words(messages: list[Message], tools: list[dict[str, Any]]) -> list[Message]:
    """Return messages with tools and results as mere text, for a template without a place for them.

    A small model would repeat a call that it sees, so calls are left out; what a tool returned, the user says.
    """
    told = [
        {**message, "role": "user"}
        if message.get("role") in ("tool", "function")
        else {key: value for key, value in message.items() if key != "tool_calls"}
        for message in messages
    ]
    systems = [message["content"] for message in told if message.get("role") == "system"]
    if tools:
        described = json.dumps([tool["function"] for tool in tools])
        systems.append(f"You can call these tools: {described}")
    others = [message for message in told if message.get("role") != "system"]
    return [{"role": "system", "content": "\n\n".join(filter(None, systems))}, *others]


def without_system(messages: list[Message]) -> list[Message]:
    """Return messages with what the system says in the first message of the user."""
    told = [
        message["content"] for message in messages if message.get("role") == "system" and message["content"]
    ]
    others = [message for message in messages if message.get("role") != "system"]
    if told and others and others[0].get("role") == "user":
        others[0] = {**others[0], "content": "\n\n".join([*told, others[0]["content"]])}
    elif told:
        others = [{"role": "user", "content": "\n\n".join(told)}, *others]
    return others


def merged(messages: list[Message]) -> list[Message]:
    """Return messages with neighbours of one role in one, each text behind its speaker's name if it has one."""
    result: list[Message] = []
    for role, group in itertools.groupby(messages, lambda message: message.get("role")):
        several = list(group)
        if (
            role not in ("user", "assistant")
            or len(several) == 1
            or any(m.get("tool_calls") for m in several)
        ):
            result += several
            continue
        said = [f"{m['name']}: {m['content']}" if m.get("name") else m["content"] for m in several]
        result.append({"role": role, "content": "\n\n".join(said)})
    return result


def _named(messages: list[Message]) -> list[Message]:
    """Return messages with the tool's name in each result; AutoGen sends only the id of the call."""
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    names = {call.get("id"): call["function"]["name"] for call in calls}
    return [
        {**message, "name": message.get("name") or names[message["tool_call_id"]]}
        if message.get("role") == "tool" and message.get("tool_call_id") in names
        else message
        for message in messages
    ]


def _parsed(message: Message) -> Message:
    """Return a message with the arguments of its calls as objects, which is how most templates write them."""
    if not message.get("tool_calls"):
        return message
    calls = []
    for call in message["tool_calls"]:
        arguments = call["function"]["arguments"]
        with contextlib.suppress(json.JSONDecodeError, TypeError):  # what is no JSON is shown as it is
            arguments = json.loads(arguments)
        calls.append({**call, "function": {**call["function"], "arguments": arguments}})
    return {**message, "tool_calls": calls}
