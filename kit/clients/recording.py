"""RecordingModelClient: keep what another model client answers in a file, and answer from that file later.

Copy this file into your own project. It needs only the `openai` package, which AutoGen's OpenAIWrapper
needs anyway, and to record anything, the client of the real model.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.completion_usage import CompletionUsage

# What decides a reply. All else in the params (a device, tags, a price) may differ on another machine.
REQUEST = {"model", "messages", "tools", "tool_choice", "functions", "response_format", "n", "params"}
REQUEST |= {"max_tokens", "temperature", "top_p", "top_k", "seed", "stop"}


class RecordingModelClient:
    """Answer a request that is in the recording from there, and any other with another client.

    Name it in an entry that holds the fields of the other client, and register it with that:

        {"model": "models/SmolLM2-135M-Instruct", "model_client_cls": "RecordingModelClient"}

        agent.register_model_client(RecordingModelClient, path="talk.jsonl", client=HuggingFaceModelClient)
        agent.register_model_client(RecordingModelClient, path="talk.jsonl")  # from now on without a model

    Args:
        config: the entry of the config list, passed on to the other client.
        path: the recording, one JSON object a line. Read it before you share it: it holds all that was
            said. Delete it to record anew.
        client: the class (or a ready-made instance) that answers what is not recorded yet; made when it
            is first needed. Without it, only what was recorded is answered.

    A request is the same if `REQUEST` is: the model, its messages, tools and options. Asked again, it
    gets the reply that came next when it was recorded. Clients with the same `path` share the file.

    Raises:
        ValueError: the recording can't be read; the message names the line.
    """

    _writing: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, config: dict[str, Any], path: str | Path, client: Any = None, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(
                f"RecordingModelClient takes `path` and `client`, not {', '.join(map(repr, kwargs))}. For a "
                "client that takes more, pass a ready-made one: client=ItsClass(config, ...)."
            )
        self.config, self.path, self.client = dict(config), Path(path), client
        self._asked: Counter[str] = Counter()
        self._read()

    def create(self, params: dict[str, Any]) -> ChatCompletion:
        """Return the recorded response, or the other client's, which is recorded before it is returned.

        Raises:
            LookupError: the request is not in the recording, and there is no other client.
        """
        request = _plain({name: value for name, value in params.items() if name in REQUEST})
        key = _key(request)
        times = self._asked[key]  # how often it was asked before
        known = [line for line in self._read() if _key(line["request"]) == key]
        if times < len(known):
            response = ChatCompletion.model_validate(known[times]["response"])
        elif self.client is None:
            raise LookupError(self._why_unknown(request, len(known)))
        else:
            response = self._ask(params)
            answer = response.model_dump(mode="json", exclude_none=True, warnings=False)
            self._write({"request": request, "response": answer})
        self._asked[key] += 1
        return response

    def message_retrieval(self, response: ChatCompletion) -> list[str | ChatCompletionMessage]:
        """Return each choice's text, or its whole message if it calls tools; AutoGen takes the first."""
        messages = [choice.message for choice in response.choices]
        return [message if message.tool_calls else message.content or "" for message in messages]

    def cost(self, response: ChatCompletion) -> float:
        """Return what the response cost when it was recorded."""
        return getattr(response, "cost", 0)

    @staticmethod
    def get_usage(response: ChatCompletion) -> dict[str, Any]:
        """Return the five keys of AutoGen's usage summary, as they were recorded."""
        usage = response.usage
        return {
            "prompt_tokens": usage.prompt_tokens if usage else 0,
            "completion_tokens": usage.completion_tokens if usage else 0,
            "total_tokens": usage.total_tokens if usage else 0,
            "cost": getattr(response, "cost", 0),
            "model": response.model,
        }

    # The other client ---------------------------------------------------------------------------

    def _ask(self, params: dict[str, Any]) -> ChatCompletion:
        """Return what the other client answers, as an OpenAI response that knows its cost."""
        if isinstance(self.client, type):
            self.client = self.client(self.config)
        response = self.client.create(params)
        cost = self.client.cost(response) or 0
        if not isinstance(response, ChatCompletion):
            response = self._completion(response)
        response.cost = cost  # type: ignore[attr-defined] # as AutoGen does; the model keeps it as an extra
        return response

    def _completion(self, response: Any) -> ChatCompletion:
        """Return a response of another type as OpenAI's: its choices, and its usage."""
        messages = [
            ChatCompletionMessage.model_validate({"role": "assistant", **_message(item)})
            for item in self.client.message_retrieval(response)
        ]
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        usage = self.client.get_usage(response) or {}
        return ChatCompletion(
            id=f"chatcmpl-{uuid.uuid4().hex}",
            object="chat.completion",
            created=int(time.time()),
            model=response.model,
            choices=[
                Choice(
                    index=index, finish_reason="tool_calls" if message.tool_calls else "stop", message=message
                )
                for index, message in enumerate(messages)
            ],
            usage=CompletionUsage(**{name: usage.get(name, 0) for name in names}),
        )

    # The file -----------------------------------------------------------------------------------

    def _read(self) -> list[dict[str, Any]]:
        """Return the recorded requests with their responses, an empty list where there is no file yet."""
        if not self.path.exists():
            return []
        recorded = []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                recorded.append(json.loads(line))
                _key(recorded[-1]["request"]), recorded[-1]["response"]
            except (ValueError, TypeError, KeyError):
                raise ValueError(
                    f"{self.path}, line {number} is no recorded request: delete the line, or the file to "
                    "record anew."
                ) from None
        return recorded

    def _write(self, line: dict[str, Any]) -> None:
        with self._writing, self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _why_unknown(self, request: dict[str, Any], known: int) -> str:
        """Return what the message of a LookupError says: how the request differs from what is recorded."""
        mend = "Register with client= to record it, or change the program back."
        if known:
            return f"This request is recorded {known} time(s) in {self.path} and was asked once more. {mend}"
        recorded = [line["request"] for line in self._read()]
        if not recorded:
            return f"There is no recording in {self.path} yet. {mend}"
        nearest = max(recorded, key=lambda other: _alike(request, other))
        return f"This request is not in {self.path}: {_difference(request, nearest)} {mend}"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: pydantic models as objects, tuples as lists, types by their name."""

    def other(item: Any) -> Any:
        return item.model_dump(mode="json") if hasattr(item, "model_dump") else f"{item!r}"

    return json.loads(json.dumps(value, default=other))


def _key(request: dict[str, Any]) -> str:
    return json.dumps(request, sort_keys=True)


def _message(item: Any) -> dict[str, Any]:
    """Return what `message_retrieval` gave for one choice as a message's fields."""
    if isinstance(item, str):
        return {"content": item}
    return item if isinstance(item, dict) else item.model_dump()


def _alike(request: dict[str, Any], other: dict[str, Any]) -> tuple[int, int]:
    """Return how many messages two requests have in common from the first on, and how many fields."""
    pairs = list(zip(request["messages"], other["messages"], strict=False))
    common = next((index for index, (one, two) in enumerate(pairs) if one != two), len(pairs))
    return common, sum(request[name] == other.get(name) for name in request)


def _difference(request: dict[str, Any], other: dict[str, Any]) -> str:
    """Return in words what first sets a request apart from the recorded one that is nearest."""
    common = _alike(request, other)[0]
    messages, recorded = request["messages"], other["messages"]
    if common < len(messages) and common < len(recorded):
        return f"message {common} is {messages[common]!r}, recorded was {recorded[common]!r}."
    if len(messages) != len(recorded):
        return f"it has {len(messages)} messages, the nearest recorded one {len(recorded)}."
    names = sorted(name for name in request.keys() | other.keys() if request.get(name) != other.get(name))
    return f"{names[0]!r} is {request.get(names[0])!r}, recorded was {other.get(names[0])!r}."
