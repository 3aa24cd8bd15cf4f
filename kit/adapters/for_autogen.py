"""A model client of the four methods as the model client of Microsoft's AutoGen 0.4 to 0.7."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema

from .bridge import Asking, Bridge
from .reply import Call, Reply

REASONS = {name: name for name in ("stop", "length", "content_filter")} | {"tool_calls": "function_calls"}


class ModelClientForAutoGen(ChatCompletionClient):
    """Use it as the `model_client` of an `autogen_agentchat` agent or team.

        AssistantAgent("assistant", model_client=ModelClientForAutoGen(MyModelClient(entry)))

    Args:
        client: a model client, or its class, which is made with `config`.
        config: the entry of a config list; by default the one that the client keeps. Agents of 0.7 pass no
            options with a call, so `temperature` and the like stand here; those of `create` win.
        model_info: what the model can do. By default function calling and structured output, no images.

    The first choice counts. The model's thoughts are the `thought` of a reply in words; beside tool calls, as
    in AutoGen's own client, that is the text that came with them, for it goes back to the model.

    `json_output` reaches the client as `response_format`. An image is refused with a ValueError (agents put
    the word <image> in its place before that), counting the tokens of a prompt with a NotImplementedError,
    and so is `dump_component`: an object can't be written into a file.
    """

    component_type = "model"

    def __init__(
        self, client: Any, config: dict[str, Any] | None = None, model_info: ModelInfo | None = None
    ) -> None:
        self._bridge = Bridge(client, config)
        self._total = RequestUsage(0, 0)
        self._model_info = model_info or ModelInfo(
            vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True
        )

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Return the client's reply."""
        options = _options(tools, tool_choice, json_output, extra_create_args)
        return self._result(await self._ask(messages, options, cancellation_token, False).reply())

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Yield the pieces of the text, then the reply."""
        options = _options(tools, tool_choice, json_output, extra_create_args)
        async for item in self._ask(messages, options, cancellation_token, True):
            yield self._result(item) if isinstance(item, Reply) else item

    def _ask(
        self, messages: Sequence[LLMMessage], options: dict[str, Any], token: Any, streams: bool
    ) -> Asking:
        converted = [part for message in messages for part in _message(message)]
        asking = self._bridge.ask(converted, options, streams)
        if token is not None:
            token.add_callback(asking.cancel)
        return asking

    def _result(self, reply: Reply) -> CreateResult:
        self._total.prompt_tokens += reply.prompt_tokens
        self._total.completion_tokens += reply.completion_tokens
        calls = [FunctionCall(id=call.id, name=call.name, arguments=call.arguments) for call in reply.calls]
        reason: Any = REASONS.get(reply.finish_reason, "unknown")
        return CreateResult(
            finish_reason=reason,
            content=calls or reply.text,
            usage=RequestUsage(reply.prompt_tokens, reply.completion_tokens),
            cached=False,
            thought=(reply.text if calls else reply.thoughts) or None,
        )

    async def close(self) -> None:
        """Do nothing: the client belongs to whoever made it."""

    def actual_usage(self) -> RequestUsage:
        """Return the tokens of all replies so far."""
        return RequestUsage(self._total.prompt_tokens, self._total.completion_tokens)

    total_usage = actual_usage

    def count_tokens(self, messages: Sequence[LLMMessage], **kwargs: Any) -> int:
        raise NotImplementedError("The four methods of a model client don't count the tokens of a prompt.")

    def remaining_tokens(self, messages: Sequence[LLMMessage], **kwargs: Any) -> int:
        raise NotImplementedError("The four methods of a model client don't tell its context window.")

    @property
    def model_info(self) -> ModelInfo:
        return self._model_info

    @property
    def capabilities(self) -> Any:
        return self._model_info


def _options(tools: Any, tool_choice: Any, json_output: Any, extra: Any) -> dict[str, Any]:
    """Return the options of a call as OpenAI names them."""
    schemas = [tool.schema if isinstance(tool, Tool) else tool for tool in tools]
    if isinstance(tool_choice, Tool):
        tool_choice = {"type": "function", "function": {"name": tool_choice.name}}
    return {
        "tools": [{"type": "function", "function": dict(schema)} for schema in schemas] or None,
        "tool_choice": tool_choice if schemas and tool_choice != "auto" else None,
        "response_format": {"type": "json_object"} if json_output is True else json_output or None,
        **dict(extra or {}),
    }


def _message(message: LLMMessage) -> list[dict[str, Any]]:
    """Return a message in OpenAI's form; several results of tools are a message each."""
    if isinstance(message, FunctionExecutionResultMessage):
        return [
            {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
            for result in message.content
        ]
    if isinstance(message, AssistantMessage):
        thought = message.thought or ""
        fields: dict[str, Any] = {"role": "assistant", "name": message.source, "content": thought}
        if isinstance(message.content, str):
            return [{**fields, "content": message.content}]
        calls = [Call(call.id, call.name, call.arguments).as_dict() for call in message.content]
        return [{**fields, "tool_calls": calls}]
    if isinstance(message, SystemMessage):
        return [{"role": "system", "content": message.content}]
    assert isinstance(message, UserMessage)
    parts = [message.content] if isinstance(message.content, str) else message.content
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("A message holds an image, and this model client gets text only.")
    return [{"role": "user", "name": message.source, "content": "\n".join(map(str, parts))}]
