"""A model client of the four methods as the model of an AG2 1.x agent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ag2.compact import CompactionSummary
from ag2.config import ModelConfig, ModelProvider
from ag2.events import (
    BaseEvent,
    DataInput,
    Input,
    ModelMessage,
    ModelMessageChunk,
    ModelReasoning,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolResultsEvent,
    Usage,
)
from ag2.exceptions import UnsupportedInputError, UnsupportedToolError
from ag2.tools.final import FunctionToolSchema

from .bridge import Bridge, Thought
from .reply import Call, Reply

NAME = "model client"


class ModelClientForAG2(ModelConfig):
    """Use it as the `config` of an `ag2.Agent`.

        Agent("assistant", config=ModelClientForAG2(MyModelClient(entry)))

    Args:
        client: a model client, or its class, which is made with `config`.
        config: the entry of a config list; by default the one that the client keeps. AG2 passes no
            options with a call, so `temperature` and the like stand here.
        max_tool_rounds: AG2 itself lets a model call tools without an end. After so many rounds in a row
            the client gets no tools, and has to answer in words.

    The first choice counts. The model's thoughts go to the stream before the text, as ModelReasoning events,
    piece by piece if the client has `on_thought`. A response schema reaches the client as `response_format`.
    Tools that are not functions, and inputs that are neither text nor data, are refused with AG2's own
    errors.

    Raises:
        TypeError: a class came without its entry.
        RuntimeError: the client calls tools, though it got none any more.
    """

    def __init__(self, client: Any, config: dict[str, Any] | None = None, max_tool_rounds: int = 20) -> None:
        self._bridge = Bridge(client, config)
        self._max_tool_rounds = max_tool_rounds

    @property
    def provider(self) -> ModelProvider:
        raise NotImplementedError(f"{type(self).__name__} has no provider.")  # as the configs of ag2.testing

    @property
    def model(self) -> str:
        return self._bridge.model

    def copy(self) -> ModelClientForAG2:
        return self

    def create(self) -> ModelClientForAG2:
        return self

    async def __call__(
        self,
        messages: Sequence[BaseEvent],
        context: Any,
        *,
        tools: Iterable[Any],
        response_schema: Any,
        serializer: Any,
    ) -> ModelResponse:
        """Return the client's reply, and send its thoughts and text to whoever watches the stream."""
        converted = [part for message in messages for part in _message(message, serializer)]
        prompt = [*context.prompt, getattr(response_schema, "system_prompt", None)]
        if text := "\n".join(filter(None, prompt)):
            converted.insert(0, {"role": "system", "content": text})
        over = _tool_rounds(messages) >= self._max_tool_rounds
        options = {
            "tools": None if over else [_function(tool) for tool in tools] or None,
            "response_format": _format(response_schema),
        }
        async for item in self._bridge.ask(converted, options, streams=True):
            if isinstance(item, Thought):
                await context.send(ModelReasoning(str(item)))
            elif isinstance(item, str):
                await context.send(ModelMessageChunk(item))
            elif over and item.calls:
                raise RuntimeError(
                    f"The model called tools in {self._max_tool_rounds} rounds, and does it again."
                )
            else:
                return await _response(item, context)
        raise AssertionError("a call ends in a Reply")


async def _response(reply: Reply, context: Any) -> ModelResponse:
    message = ModelMessage(reply.text) if reply.text or not reply.calls else None
    if message:
        await context.send(message)
    calls = [ToolCallEvent(call.name, id=call.id, arguments=call.arguments) for call in reply.calls]
    total = reply.prompt_tokens + reply.completion_tokens
    return ModelResponse(
        message,
        tool_calls=ToolCallsEvent(calls),
        usage=Usage(reply.prompt_tokens, reply.completion_tokens, total),
        model=reply.model,
        provider=NAME,
        finish_reason=reply.finish_reason,
        response_id=reply.id,
    )


def _format(response_schema: Any) -> dict[str, Any] | None:
    """Return the schema that a reply must fit, in OpenAI's form."""
    schema = getattr(response_schema, "json_schema", None)
    known = {"name": getattr(response_schema, "name", None) or "reply", "schema": schema}
    return {"type": "json_schema", "json_schema": known} if schema else None


def _function(tool: Any) -> dict[str, Any]:
    if not isinstance(tool, FunctionToolSchema):
        raise UnsupportedToolError(tool.type, NAME)
    about = tool.function
    known = {"name": about.name, "description": about.description, "parameters": about.parameters}
    return {"type": "function", "function": known}


def _tool_rounds(messages: Sequence[BaseEvent]) -> int:
    """Return how often in a row the model has called tools since somebody spoke."""
    rounds = 0
    for message in messages:
        rounds = 0 if isinstance(message, ModelRequest) else rounds + isinstance(message, ToolResultsEvent)
    return rounds


def _message(event: BaseEvent, serializer: Any) -> list[dict[str, Any]]:
    """Return what an event of the log adds to the messages; many only repeat what others hold."""
    if isinstance(event, ModelRequest):
        return [{"role": "user", "content": _text(event.parts, serializer)}]
    if isinstance(event, CompactionSummary):
        return [{"role": "user", "content": f"[Summary of the conversation so far]\n{event.summary}"}]
    if isinstance(event, ToolResultsEvent):
        return [
            {"role": "tool", "tool_call_id": one.parent_id, "content": _text(one.result.parts, serializer)}
            for one in event.results
        ]
    if not isinstance(event, ModelResponse):
        return []
    if event.files:
        raise UnsupportedInputError("file", NAME)
    message: dict[str, Any] = {"role": "assistant", "content": event.content or ""}
    if event.tool_calls.calls:
        calls = (Call(call.id, call.name, call.arguments) for call in event.tool_calls.calls)
        message["tool_calls"] = [call.as_dict() for call in calls]
    return [message]


def _text(parts: Iterable[Input], serializer: Any) -> str:
    texts = []
    for part in parts:
        if isinstance(part, TextInput):
            texts.append(part.content)
        elif isinstance(part, DataInput):
            texts.append(serializer.encode(part.data).decode())
        else:
            raise UnsupportedInputError(type(part).__name__, NAME)
    return "\n".join(texts)
