"""Reply: what a model client answers, read in one form.

A model client is any object with the four methods of AutoGen's protocol. Its replies take many forms.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import uuid
from dataclasses import dataclass, field
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
    the message's `reasoning_content`, as vLLM names it: no part of the text.
    """

    text: str
    calls: list[Call] = field(default_factory=list)
    thoughts: str = ""
    finish_reason: str = "stop"
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    response: Any = None


def answer(client: Any, params: dict[str, Any], model: str) -> Reply:
    """Return what a client answers, asked as AutoGen asks it; `model` is the name if it tells none."""
    response = create(client, params)
    cost = client.cost(response)
    with contextlib.suppress(AttributeError, ValueError, TypeError):
        response.cost = cost  # AutoGen does so before it asks for the usage
    text, calls = choices(client, response)[0]
    usage = client.get_usage(response) or {}
    first = (getattr(response, "choices", None) or [None])[0]
    reason = getattr(first, "finish_reason", None) or "stop"
    thoughts = getattr(getattr(first, "message", None), "reasoning_content", None)
    return Reply(
        text=text,
        calls=calls,
        thoughts=thoughts if isinstance(thoughts, str) else "",
        finish_reason="tool_calls" if calls else "stop" if reason == "tool_calls" else str(reason),
        model=str(usage.get("model") or model),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
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


def choices(client: Any, response: Any) -> list[tuple[str, list[Call]]]:
    """Return text and tool calls of each choice; a TypeError says what the protocol does not allow."""
    found = client.message_retrieval(response)
    if not isinstance(found, (list, tuple)) or not found:
        raise TypeError(
            f"{type(client).__name__}.message_retrieval must return a list with the text (or the message) of "
            f"each choice, not {found!r}."
        )
    return [_read(choice) for choice in found]


def _read(choice: Any) -> tuple[str, list[Call]]:
    if choice is None or isinstance(choice, str):
        return choice or "", []
    message = _fields(choice, "content", "tool_calls", "function_call")
    content = message.get("content") or ""
    if not isinstance(content, str):
        raise TypeError(f"The content of a reply must be a text, not {content!r}.")
    older = message.get("function_call")  # OpenAI's form before there were tools
    calls: list[Call] = []
    for item in message.get("tool_calls") or ([{"function": older}] if older else []):
        call = _fields(item, "id", "function")
        function = _fields(call.get("function"), "name", "arguments")
        arguments, known = function.get("arguments"), {other.id for other in calls}
        if not isinstance(arguments, str):
            arguments = json.dumps({} if arguments is None else arguments)
        own = call.get("id")
        if not isinstance(own, str) or not own or own in known:  # frameworks hang or mix up results
            own = f"call_{uuid.uuid4().hex[:24]}"
        calls.append(Call(own, str(function.get("name") or ""), arguments))
    return content, calls


def _fields(value: Any, *names: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    return value.model_dump() if hasattr(value, "model_dump") else {n: getattr(value, n, None) for n in names}
