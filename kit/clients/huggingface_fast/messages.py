"""Messages as chat templates want them, family by family.

Templates differ in what they refuse, and in what they drop without a word. So a prompt is first rendered as
it is. Where the template refuses it, calls that were made at once come one after the other, neighbours of one
role become one message (in a group chat all others are "user"), and the system message goes into the first
message of the user. How a template takes an earlier call, a short chat with one tells beforehand.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import TemplateError

Message = dict[str, Any]

CALL = {"name": "probe", "arguments": '{"word": "given"}'}
CHAT: list[Message] = [
    {"role": "user", "content": "Hello"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "123456789", "type": "function", "function": CALL}],
    },
    {"role": "tool", "content": "5", "tool_call_id": "123456789", "name": "probe"},
]


def shows(tokenizer: Any, messages: list[Message], word: str, tools: Any = None) -> bool:
    """Return whether a prompt with these messages or tools holds a word of them."""
    try:
        return word in tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)
    except (TemplateError, TypeError, ValueError):
        return False


def whole(value: Any) -> Any:
    """Return what JSON holds, with a question mark for half a surrogate pair, which no tokenizer takes."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def with_calls(messages: list[Message], tokenizer: Any, mark: str, close: str) -> list[Message]:
    """Return messages as a template takes the calls in them, with their tools' names in the results.

    Most want the arguments as objects, DeepSeek's as text. Those of SmolLM3, LFM2, Granite 3 and DeepSeek R1
    drop a call without a word: there it becomes text, between the marks that the model itself writes.
    """
    messages = _named(messages)
    if not any(map(_calls, messages)):
        return messages
    if shows(tokenizer, [_with_objects(message) for message in CHAT], "given"):
        return [_with_objects(message) for message in messages]
    if shows(tokenizer, CHAT, "given"):
        return messages
    return [_in_words(message, mark, close) for message in messages]


def in_words(messages: list[Message], tools: list[dict[str, Any]]) -> list[Message]:
    """Return messages with tools and results as mere text, for a template without a place for them.

    A call is shown with its result only: a small model that sees one before repeats it (SmolLM2 135M always).
    """
    calls = {call.get("id"): _as_python(call) for message in messages for call in _calls(message)}
    told = []
    for message in messages:
        if message.get("role") in ("tool", "function"):
            call = calls.get(message.get("tool_call_id")) or message.get("name")
            told.append({"role": "user", "content": f"The result of {call} is: {message['content']}"})
        elif message["content"] or not _calls(message):
            told.append({name: value for name, value in message.items() if name != "tool_calls"})
    systems = [message["content"] for message in told if message.get("role") == "system"]
    if tools:
        described = json.dumps([tool["function"] for tool in tools])
        systems.append(f"You can call these tools: {described}")
    others = [message for message in told if message.get("role") != "system"]
    return [{"role": "system", "content": "\n\n".join(filter(None, systems))}, *others]


def variants(messages: list[Message], merge_system: bool, merge_neighbours: bool) -> Iterator[list[Message]]:
    """Yield the messages as templates of several families take them, the least changed first.

    `merge_system` and `merge_neighbours` allow the changes of these names.
    """
    changes: list[Callable[[list[Message]], list[Message]]] = [one_by_one]
    changes += [merged] if merge_neighbours else []  # first: no speaker's name before what the system says
    changes += [without_system] if merge_system else []
    tried: list[list[Message]] = []
    for count in range(len(changes) + 1):
        for some in itertools.combinations(changes, count):
            variant = messages
            for change in some:
                variant = change(variant)
            if variant not in tried:
                tried.append(variant)
                yield variant


def one_by_one(messages: list[Message]) -> list[Message]:
    """Return messages with each of several calls in a message of its own, followed by its result (Llama)."""
    results = {message["tool_call_id"]: message for message in messages if message.get("tool_call_id")}
    changed: list[Message] = []
    moved = set()
    for message in messages:
        calls = _calls(message)
        if len(calls) < 2 or not all(call.get("id") in results for call in calls):
            changed += [] if message.get("tool_call_id") in moved else [message]
            continue
        for call in calls:
            changed += [{**message, "tool_calls": [call]}, results[call["id"]]]
            message = {**message, "content": ""}  # what was said, was said before the first
            moved.add(call["id"])
    return changed


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
    """Return messages with neighbours of one role in one, each text behind its speaker's name."""
    result: list[Message] = []
    for role, group in itertools.groupby(messages, lambda message: message.get("role")):
        several = list(group)
        if len(several) == 1 or role not in ("user", "assistant") or any(map(_calls, several)):
            result += several
            continue
        said = [f"{m['name']}: {m['content']}" if m.get("name") else m["content"] for m in several]
        result.append({"role": role, "content": "\n\n".join(said)})
    return result


def _calls(message: Message) -> list[dict[str, Any]]:
    return message.get("tool_calls") or []


def _named(messages: list[Message]) -> list[Message]:
    """Return messages with the tool's name in each result; AutoGen sends only the id of the call."""
    calls = [call for message in messages for call in _calls(message)]
    names = {call.get("id"): call["function"]["name"] for call in calls}
    return [
        {**message, "name": message.get("name") or names[message["tool_call_id"]]}
        if message.get("role") == "tool" and message.get("tool_call_id") in names
        else message
        for message in messages
    ]


def _with_objects(message: Message) -> Message:
    """Return a message with the arguments of its calls as objects."""
    if not _calls(message):
        return message
    calls = []
    for call in message["tool_calls"]:
        arguments = call["function"]["arguments"]
        with contextlib.suppress(json.JSONDecodeError, TypeError):  # what is no JSON is shown as it is
            arguments = whole(json.loads(arguments))
        calls.append({**call, "function": {**call["function"], "arguments": arguments}})
    return {**message, "tool_calls": calls}


def _in_words(message: Message, mark: str, close: str) -> Message:
    """Return a message with its calls as part of its text."""
    if not _calls(message):
        return message
    functions = [call["function"] for call in _with_objects(message)["tool_calls"]]
    texts = [json.dumps({key: each[key] for key in ("name", "arguments")}) for each in functions]
    said = [message["content"], *(f"{mark}{text}{close}" for text in texts)]
    return {"role": message["role"], "content": "\n".join(filter(None, said))}


def _as_python(call: dict[str, Any]) -> str:
    """Return a call as Python writes it."""
    arguments = call["function"]["arguments"]
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in json.loads(arguments).items())
    return f"{call['function']['name']}({arguments})"
