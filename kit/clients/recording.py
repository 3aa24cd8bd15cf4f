"""RecordingModelClient: keep what another model client answers in a file, and answer from that file later.

Copy this file into your own project. It needs only the `openai` package, which AutoGen's OpenAIWrapper
needs anyway, and to record anything, the client of the real model.
"""

from __future__ import annotations

import json
import re
import textwrap
import threading
import time
import uuid
from collections import Counter
from difflib import SequenceMatcher, unified_diff
from itertools import groupby
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
    What fails is not recorded.

    Raises:
        ValueError: the recording can't be read; the message names the line.
    """

    _lock: ClassVar[threading.RLock] = threading.RLock()  # one thread at a time in a file

    def __init__(self, config: dict[str, Any], path: str | Path, client: Any = None, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(
                f"RecordingModelClient takes `path` and `client`, not {', '.join(map(repr, kwargs))}. For a "
                "client that takes more, pass a ready-made one: client=ItsClass(config, ...)."
            )
        if client is not None and not hasattr(client, "create"):
            raise TypeError(f"`client` must be a model client's class or a ready-made one, not {client!r}.")
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
        with self._lock:
            known = [response for other, response in self._read() if _key(other) == key]
            times = self._asked[key]  # how often it was asked before
            self._asked[key] += 1
        if times < len(known):
            return known[times]
        try:
            if self.client is None:
                raise LookupError(self._why_unknown(request, len(known)))
            response = self._ask(params)
            self._write(request, response)
        except BaseException:
            with self._lock:
                self._asked[key] -= 1
            raise
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
        with self._lock:
            if isinstance(self.client, type):
                self.client = self.client(self.config)
        response = self.client.create(params)
        response.cost = self.client.cost(response) or 0  # as AutoGen does: `get_usage` may read it
        messages = [_message(item) for item in self.client.message_retrieval(response)]
        if not isinstance(response, ChatCompletion):
            return self._completion(response, messages)
        for choice, message in zip(response.choices, messages, strict=False):
            if choice.message.tool_calls or message.content != (choice.message.content or ""):
                choice.message = message  # what AutoGen would have got
        return response

    def _completion(self, response: Any, messages: list[ChatCompletionMessage]) -> ChatCompletion:
        """Return a response of another type as OpenAI's, with these messages as its choices."""
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        used = self.client.get_usage(response) or {}
        usage: dict[str, Any] = {name: used.get(name) or 0 for name in names}
        choices = [
            Choice(index=index, finish_reason="tool_calls" if message.tool_calls else "stop", message=message)
            for index, message in enumerate(messages)
        ]
        completion = ChatCompletion(
            id=f"chatcmpl-{uuid.uuid4().hex}",
            object="chat.completion",
            created=int(time.time()),
            model=response.model,
            choices=choices,
            usage=CompletionUsage(**usage),
        )
        completion.cost = response.cost  # type: ignore[attr-defined] # the model keeps it as an extra
        return completion

    # The file -----------------------------------------------------------------------------------

    def _read(self) -> list[tuple[dict[str, Any], ChatCompletion]]:
        """Return the recorded requests with their responses, an empty list where there is no file yet."""
        with self._lock:
            content = self.path.read_bytes() if self.path.exists() else b""
        recorded = []
        for number, line in enumerate(content.split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                entry["request"]["messages"]
                recorded.append((entry["request"], ChatCompletion.model_validate(entry["response"])))
            except (ValueError, TypeError, KeyError):
                raise ValueError(
                    f"{self.path}, line {number} isn't a recorded request: delete the line, or the file to "
                    "record anew."
                ) from None
        return recorded

    def _write(self, request: dict[str, Any], response: ChatCompletion) -> None:
        """Add a line to the file; one that an editor left without an end gets it first."""
        answer = response.model_dump(mode="json", exclude_none=True, warnings=False)
        line = json.dumps({"request": request, "response": answer}, ensure_ascii=False) + "\n"
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                file.seek(0)
                ended = file.read()[-1:] in (b"", b"\n")
                file.write(line.encode() if ended else b"\n" + line.encode())

    def _why_unknown(self, request: dict[str, Any], known: int) -> str:
        """Return what the message of a LookupError says: how the request differs from what is recorded."""
        fix = "Register with client= to record it, or change the program back."
        if known:
            return f"This request is recorded {known} time(s) in {self.path} and was asked once more. {fix}"
        recorded = [other for other, _ in self._read()]
        if not recorded:
            return f"There is no recording in {self.path} yet. {fix}"
        key = _key(request)
        nearest = max(recorded, key=lambda other: SequenceMatcher(None, key, _key(other)).quick_ratio())
        what = f"This request is not in {self.path}. It differs from the nearest one there:"
        return f"{what}\n{_diff(nearest, request)}\n{fix}"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: pydantic models as objects, their classes as schemas."""

    def other(item: Any) -> Any:
        if isinstance(item, type):
            return item.model_json_schema() if hasattr(item, "model_json_schema") else item.__qualname__
        if hasattr(item, "model_dump"):
            return item.model_dump(mode="json")
        return re.sub(r" at 0x\w+", "", repr(item))  # the address differs from run to run

    return json.loads(json.dumps(value, default=other))


def _key(request: dict[str, Any]) -> str:
    return json.dumps(request, sort_keys=True)


def _message(item: Any) -> ChatCompletionMessage:
    """Return what `message_retrieval` gave for one choice as OpenAI's message."""
    if isinstance(item, ChatCompletionMessage):
        return item
    fields = {"content": item} if isinstance(item, str) else item if isinstance(item, dict) else vars(item)
    return ChatCompletionMessage.model_validate({"role": "assistant", **fields}, from_attributes=True)


def _diff(recorded: dict[str, Any], request: dict[str, Any]) -> str:
    """Return the lines in which two requests differ, with one around them; of many, the first few."""
    names = "nearest recorded request", "this request"
    lines = unified_diff(_lines(recorded), _lines(request), *names, n=1, lineterm="")
    shown: list[str] = []
    for _, group in groupby(lines, key=lambda line: line[0]):
        run = list(group)
        shown += [*run[:4], "..."] if len(run) > 4 else run
    return "\n".join(shown[:20])


def _lines(request: dict[str, Any]) -> list[str]:
    """Return a request as lines of JSON, long ones broken."""
    lines = json.dumps(request, ensure_ascii=False, indent=1, sort_keys=True).split("\n")
    return [part for line in lines for part in textwrap.wrap(line, 100, drop_whitespace=False)]
