"""Reply: what a model client answers, read in one form.

A model client is any object with the four methods of AutoGen's protocol. Its replies take many forms.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import uuid
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any


@dataclass(frozen=True)
class Call:
    """A tool call; `arguments` is a JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str

    def as_dict(self) -> dict[str, Any]:
        """Return the call in OpenAI's form."""
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


@dataclass(frozen=True)
class Reply:
    """The first choice of a response, and the `response` itself.

    `finish_reason` is "stop", "length", "tool_calls", or another text that the client gave. `thoughts` are
    the message's `reasoning_content`, or `reasoning`, as newer servers name it: no part of the text.
    `created` is in seconds since 1970. A response that is a dict is read as an object is.
    """

    text: str
    calls: list[Call] = field(default_factory=list)
    thoughts: str = ""
    finish_reason: str = "stop"
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    id: str | None = None
    created: float | None = None
    response: Any = None


def answer(client: Any, params: dict[str, Any], model: str) -> Reply:
    """Return what a client answers, asked as AutoGen asks it; `model` is the name if it tells none."""
    response = create(client, params)
    cost = client.cost(response)
    with contextlib.suppress(AttributeError, ValueError, TypeError):
        response.cost = cost  # AutoGen does so before it asks for the usage
    reply = choices(client, response)[0]
    usage = client.get_usage(response) or {}
    reason = get((get(response, "choices") or [None])[0], "finish_reason") or "stop"
    own, created = get(response, "id"), get(response, "created")
    return replace(
        reply,
        finish_reason="tool_calls" if reply.calls else "stop" if reason == "tool_calls" else str(reason),
        model=str(usage.get("model") or model),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        id=own if isinstance(own, str) else None,
        created=created if isinstance(created, (int, float)) else None,
        response=response,
    )


def create(client: Any, params: dict[str, Any]) -> Any:
    """Return the client's response; a TypeError says that `create` is async, and a client's is not."""
    response = client.create(params)
    if inspect.isawaitable(response):
        if inspect.iscoroutine(response):
            response.close()  # or Python warns that it was never awaited
        raise TypeError(f"{type(client).__name__}.create is async: the create of a model client is not.")
    return response


def choices(client: Any, response: Any) -> list[Reply]:
    """Return text, tool calls and thoughts of each choice.

    What `message_retrieval` leaves out, thoughts and refusals, comes from the response's own messages.

    Raises:
        TypeError: the protocol does not allow what the client returned.
    """
    found = client.message_retrieval(response)
    if not isinstance(found, (list, tuple)) or not found:
        raise TypeError(
            f"{type(client).__name__}.message_retrieval must return a list with the text (or the message) of "
            f"each choice, not {found!r}."
        )
    own = [get(choice, "message") for choice in get(response, "choices") or []]
    return [_read(choice, message) for choice, message in zip_longest(found, own[: len(found)])]


def get(thing: Any, name: str) -> Any:
    """Return a field of a dict, or an attribute of an object; None if there is none."""
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)


def _read(choice: Any, own: Any) -> Reply:
    """Return what a choice says; `own` is its message in the response, if there is one."""
    message = {"content": choice} if isinstance(choice, (str, list)) else choice
    text = _text(get(message, "content")) or _text(get(message, "refusal") or get(own, "refusal"))
    known = [get(one, name) for one in (message, own) for name in ("reasoning_content", "reasoning")]
    thoughts = [one for one in known if one and isinstance(one, str)]
    older = get(message, "function_call")  # OpenAI's form before there were tools
    calls: list[Call] = []
    for item in get(message, "tool_calls") or ([{"function": older}] if older else []):
        function = get(item, "function")
        arguments, taken = get(function, "arguments"), {other.id for other in calls}
        if not isinstance(arguments, str):
            arguments = json.dumps({} if arguments is None else arguments)
        id = get(item, "id")
        if not isinstance(id, str) or not id or id in taken:  # frameworks hang or mix up results
            id = f"call_{uuid.uuid4().hex[:24]}"
        calls.append(Call(id, str(get(function, "name") or ""), arguments))
    return Reply(text, calls, thoughts[0] if thoughts else "")


def _text(content: Any) -> str:
    """Return a content as one text; OpenAI also has None, and a list of parts."""
    texts: list[Any] = []
    for part in content if isinstance(content, list) else [content or ""]:
        known = [part, get(part, "text"), get(part, "refusal")]
        texts += [one for one in known if isinstance(one, str)][:1] or [None]
    if None in texts:
        raise TypeError(
            f"The content of a reply must be a text, or a list of parts of text, not {content!r}."
        )
    return "".join(texts)
