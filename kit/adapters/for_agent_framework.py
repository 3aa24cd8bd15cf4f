"""A model client of the four methods as the chat client of Microsoft's Agent Framework."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent_framework import (
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    FunctionTool,
    Message,
    ResponseStream,
    UsageDetails,
    normalize_messages,
    prepend_instructions_to_messages,
)
from agent_framework.observability import ChatTelemetryLayer

from .bridge import Asking, Bridge, Thought
from .reply import Call, Reply

# What the framework itself sees to. All other options go to the client, under the names that they have.
NOT_OPTIONS = {
    "instructions",
    "tools",
    "tool_choice",
    "allow_multiple_tool_calls",
    "store",
    "conversation_id",
}


class ModelClientForAgentFramework(
    FunctionInvocationLayer, ChatMiddlewareLayer, ChatTelemetryLayer, BaseChatClient
):
    """Use it as the chat client of an `agent_framework.Agent`.

        Agent(ModelClientForAgentFramework(MyModelClient(entry)), instructions="Be brief.")

    Args:
        client: a model client, or its class, which is made with `config`.
        config: the entry of a config list; by default the one that the client keeps. Options of a call
            (`agent.run(..., options={"temperature": 0.2})`) win over it.

    The first choice is the reply; the response with all of them is its `raw_representation`. The model's
    thoughts are contents of the type "text_reasoning", in a stream piece by piece if the client has
    `on_thought`. The response's `id` and `created` come along, if the client gives them. Each call is a
    span of OpenTelemetry, which sees words only where the framework's own setting allows it.

    Raises:
        TypeError: a class came without its entry.
        ValueError: tools that are not functions, contents other than text, function calls and their results,
            or a conversation that the service would keep (`store`, `conversation_id`): a model client keeps
            none.
    """

    OTEL_PROVIDER_NAME = "model_client"

    def __init__(self, client: Any, config: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._bridge = Bridge(client, config)

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Awaitable[ChatResponse] | ResponseStream[ChatResponseUpdate, ChatResponse]:
        if stream:
            updates = self._updates(messages, options)
            return self._build_response_stream(updates, response_format=options.get("response_format"))
        return self._response(messages, options)

    async def _response(self, messages: Sequence[Message], options: Mapping[str, Any]) -> ChatResponse:
        reply = await (await self._ask(messages, options, False)).reply()
        text = [Content.from_text(reply.text)] if reply.text or not reply.calls else []
        return ChatResponse(
            messages=Message("assistant", [*_thoughts(reply.thoughts), *text, *_calls(reply)]),
            response_id=reply.id,
            created_at=_time(reply),
            model=reply.model,
            finish_reason=_reason(reply),
            usage_details=_usage(reply),
            response_format=options.get("response_format"),
            raw_representation=reply.response,
        )

    async def _updates(
        self, messages: Sequence[Message], options: Mapping[str, Any]
    ) -> AsyncIterator[ChatResponseUpdate]:
        async for item in await self._ask(messages, options, True):
            if isinstance(item, str):
                piece = _thoughts(item) if isinstance(item, Thought) else [Content.from_text(item)]
                yield ChatResponseUpdate(contents=piece, role="assistant")
                continue
            yield ChatResponseUpdate(
                contents=[*_calls(item), Content.from_usage(_usage(item))],
                role="assistant",
                response_id=item.id,
                created_at=_time(item),
                model=item.model,
                finish_reason=_reason(item),
                raw_representation=item.response,
            )

    async def _ask(self, messages: Sequence[Message], options: Mapping[str, Any], streams: bool) -> Asking:
        """Return a call of the client, with messages and options as OpenAI names them."""
        options = await self._validate_options(options)
        for name in ("store", "conversation_id"):
            if options.get(name):
                raise ValueError(f"A model client keeps no conversation: leave out {name}, use a session.")
        whole = prepend_instructions_to_messages(normalize_messages(messages), options.get("instructions"))
        values = {name: value for name, value in options.items() if name not in NOT_OPTIONS}
        if tools := [_function(tool) for tool in options.get("tools") or []]:
            values |= {"tools": tools, "tool_choice": _tool_choice(options.get("tool_choice"))}
            values["parallel_tool_calls"] = options.get("allow_multiple_tool_calls")
        return self._bridge.ask([part for message in whole for part in _message(message)], values, streams)


def _function(tool: Any) -> dict[str, Any]:
    if isinstance(tool, FunctionTool):
        return tool.to_json_schema_spec()
    raise ValueError(f"A model client can be shown functions, and {tool!r} isn't one.")


def _tool_choice(choice: Any) -> Any:
    mode = choice.get("mode") if isinstance(choice, Mapping) else choice
    if isinstance(choice, Mapping) and (name := choice.get("required_function_name")):
        return {"type": "function", "function": {"name": name}}
    return None if mode == "auto" else mode


def _message(message: Message) -> list[dict[str, Any]]:
    """Return a message in OpenAI's form; several results of functions are a message each."""
    texts, calls, results = [], [], []
    for content in message.contents:
        if content.type == "text":
            texts.append(content.text or "")
        elif content.type == "function_call":
            arguments = content.arguments
            arguments = arguments if isinstance(arguments, str) else json.dumps(dict(arguments or {}))
            calls.append(Call(str(content.call_id), str(content.name), arguments).as_dict())
        elif content.type == "function_result":
            if odd := {item.type for item in content.items or []} - {"text"}:
                raise ValueError(
                    f"A function returned {', '.join(odd)}, and this model client gets text only."
                )
            results.append({"role": "tool", "tool_call_id": content.call_id, "content": content.result or ""})
        elif content.type not in ("text_reasoning", "usage"):  # which a model does not get back
            raise ValueError(f"A message holds {content.type}, and this model client gets text only.")
    converted: dict[str, Any] = {"role": str(message.role), "content": "".join(texts)}
    if message.author_name:
        converted["name"] = message.author_name
    if calls:
        converted["tool_calls"] = calls
    return [*([converted] if texts or calls or not results else []), *results]


def _thoughts(thoughts: str) -> list[Content]:
    return [Content.from_text_reasoning(text=str(thoughts))] if thoughts else []


def _calls(reply: Reply) -> list[Content]:
    return [Content.from_function_call(call.id, call.name, arguments=call.arguments) for call in reply.calls]


def _time(reply: Reply) -> str | None:
    """Return when a response was made, written as the framework's own clients write it."""
    if reply.created is None:
        return None
    return datetime.fromtimestamp(reply.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _reason(reply: Reply) -> Any:  # a text, where the framework's annotations list the known ones
    return reply.finish_reason


def _usage(reply: Reply) -> UsageDetails:
    return UsageDetails(
        input_token_count=reply.prompt_tokens,
        output_token_count=reply.completion_tokens,
        total_token_count=reply.prompt_tokens + reply.completion_tokens,
    )
