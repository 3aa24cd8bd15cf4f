"""Streaming: the text of a reply while it grows, without its thoughts and tool calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from transformers.generation import BaseStreamer
from transformers.utils.chat_parsing import ResponseParser

MARKS = ("open", "open_pattern", "close", "close_pattern")  # where a part of a reply begins and ends


class Growing:
    """A text that grows, and the functions that get what is new in it."""

    def __init__(self, sinks: list[Callable[[str], Any]]) -> None:
        self.sinks, self.sent = sinks, ""

    def send(self, text: str) -> None:
        """Hand out what is new in the text so far."""
        if len(text) > len(self.sent) and text.startswith(self.sent):
            piece, self.sent = text[len(self.sent) :], text
            for sink in self.sinks:
                sink(piece)


class Streamer(BaseStreamer):
    """Hand out the text of the first choice piece by piece; `generate` calls `put` for every token.

    What may still change waits for the next token: half a character, the beginning of a stop string or of
    a mark, and blanks before one.
    """

    def __init__(
        self,
        client: Any,
        notation: tuple[dict[str, Any], str, set[int]],
        options: dict[str, Any],
        texts: list[Callable[[str], Any]],
        thoughts: list[Callable[[str], Any]],
    ) -> None:
        template, opening, self.hidden = notation
        fields = template["fields"]
        regions = {name: _region(field) for name, field in fields.items()}
        self.parser = ResponseParser({**template, "fields": regions}, prefix=opening)
        # Blanks that `_parts` cuts off at the beginning of a reply
        own = fields.get("content", {}).get("content_args", {}).get("strip", True)
        self.strip = own or "reasoning_content" in fields
        self.tokenizer, self.text, self.thoughts = client.tokenizer, Growing(texts), Growing(thoughts)
        self.choices, self.stops = options["num_return_sequences"], options.get("stop_strings", [])
        self.row: list[int] | None = None
        self.read = self.content = self.thought = ""

    def put(self, value: torch.Tensor) -> None:
        if self.row is None:  # the first call brings the prompt
            self.row = []
            return
        # A token for each choice, or several for the only one, with prompt lookup.
        tokens = value.reshape(-1)[: 1 if self.choices > 1 else None].tolist()
        self.row += [token for token in tokens if token not in self.hidden]
        text = self.tokenizer.decode(self.row).rstrip("\ufffd")
        for event in self.parser.feed(text[len(self.read) :]):
            if event["field"] == "reasoning_content":
                self.thought += event.get("text", "\n" if event["type"] == "region_open" else "")
            elif event["type"] == "region_chunk" and event["field"] == "content":
                self.content += event["text"]
        self.read = text
        self.thoughts.send(self.thought.strip())
        ends = [self.content.find(stop) for stop in self.stops if stop in self.content]
        text = self.content[: min(ends, default=None)]
        text = text.lstrip() if self.strip else text
        starts = {stop[:length] for stop in self.stops for length in range(1, len(stop))}
        held = max((len(start) for start in starts if text.endswith(start)), default=0)
        self.text.send(text[: len(text) - held].rstrip())

    def end(self) -> None:
        """Nothing: `create` sends what is left of the text."""


def _region(field: dict[str, Any]) -> dict[str, Any]:
    """Return a field of a response template without the reading of what it holds, which may be broken."""
    marks: dict[str, Any] = {name: field[name] for name in MARKS if name in field}
    opened = "open" in marks or "open_pattern" in marks
    return {**marks, "repeats": True, "transform": "{content}"} if opened else field


def printer() -> Callable[[str], Any]:
    """Return what prints a piece of text as AutoGen's OpenAI client does."""
    try:
        from autogen.io.base import IOStream
    except ImportError:  # without AutoGen
        return functools.partial(print, end="", flush=True)
    stream = IOStream.get_default()
    try:
        from autogen.events.client_events import StreamEvent
    except ImportError:  # AutoGen 0.2
        return functools.partial(stream.print, end="", flush=True)
    return lambda piece: stream.send(StreamEvent(content=piece))
