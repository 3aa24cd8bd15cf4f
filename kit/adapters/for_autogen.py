"""A model client of the four methods as the model client of Microsoft's AutoGen 0.4 to 0.7."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken, Component, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema

from .bridge import Asking, Bridge, Thought
from .recipe import Recipe, recipe
from .reply import Call, Reply

REASONS = {name: name for name in ("stop", "length", "content_filter")} | {"tool_calls": "function_calls"}
WINDOW = 4096  # tokens that are assumed where nobody knows: a history cut too early is the lesser evil


class ModelClientForAutoGen(ChatCompletionClient, Component[Recipe]):
    """Use it as the `model_client` of an `autogen_agentchat` agent or team.

        AssistantAgent("assistant", model_client=ModelClientForAutoGen(MyModelClient(entry)))

    Args:
        client: a model client, or its class, which is made with `config`.
        config: the entry of a config list; by default the one that the client keeps. Agents of 0.7 pass no
            options with a call, so `temperature` and the like stand here; those of `create` win.
        model_info: what the model can do. By default function calling and structured output, no images.
        context_window: how many tokens prompt and reply may have together. By default what the client's
            `model.config` says (transformers' `max_position_embeddings`), or else 4,096.

    The first choice counts. The model's thoughts are the `thought` of a reply in words. Beside tool calls
    that is the text which came with them, as in AutoGen's own client, for it goes back to the model; if none
    came, the thoughts, which don't. The pieces of a stream are those of the text alone. A `family` of
    ModelFamily.R1 means that the thoughts stand before a `</think>` in the text.

    `json_output` reaches the client as `response_format`. An image is refused with a ValueError (agents put
    the word <image> in its place before that).

    A class and its entry can be written into a file and loaded again; `dump_component` refuses an object with
    a NotImplementedError, and a class that can't be imported with a TypeError. Secrets of the entry become
    stars: whoever loads the file puts them back first, or gets a ValueError.

        saved = ModelClientForAutoGen(MyModelClient, entry).dump_component().model_dump_json()
        ChatCompletionClient.load_component(json.loads(saved))

    Raises:
        TypeError: a class came without its entry.
    """

    component_type = "model"
    component_config_schema = Recipe

    def __init__(
        self,
        client: Any,
        config: dict[str, Any] | None = None,
        model_info: ModelInfo | None = None,
        context_window: int | None = None,
    ) -> None:
        self._bridge = Bridge(client, config)
        self._made_of = (client, dict(config or {})) if isinstance(client, type) else None
        self._window = context_window
        self._total = RequestUsage(0, 0)
        self._thoughts: set[str] = set()  # those beside tool calls, which must not go back to the model
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
            if not isinstance(item, Thought):
                yield self._result(item) if isinstance(item, Reply) else item

    def _ask(
        self, messages: Sequence[LLMMessage], options: dict[str, Any], token: Any, streams: bool
    ) -> Asking:
        asking = self._bridge.ask(self._converted(messages), options, streams)
        if token is not None:
            token.add_callback(asking.cancel)
        return asking

    def _converted(self, messages: Sequence[LLMMessage]) -> list[dict[str, Any]]:
        return [part for message in messages for part in _message(message, self._thoughts)]

    def _result(self, reply: Reply) -> CreateResult:
        self._total.prompt_tokens += reply.prompt_tokens
        self._total.completion_tokens += reply.completion_tokens
        calls = [FunctionCall(id=call.id, name=call.name, arguments=call.arguments) for call in reply.calls]
        reason: Any = REASONS.get(reply.finish_reason, "unknown")
        text, thoughts = reply.text, reply.thoughts
        if calls:
            self._thoughts |= set() if text else {thoughts}
            thoughts = text or thoughts
        elif self._model_info["family"] == ModelFamily.R1 and "</think>" in text and not thoughts:
            before, _, text = map(str.strip, text.partition("</think>"))
            thoughts = before.removeprefix("<think>").strip()
        return CreateResult(
            finish_reason=reason,
            content=calls or text,
            usage=RequestUsage(reply.prompt_tokens, reply.completion_tokens),
            cached=False,
            thought=thoughts or None,
        )

    async def close(self) -> None:
        """Do nothing: the client belongs to whoever made it."""

    def actual_usage(self) -> RequestUsage:
        """Return the tokens of all replies so far."""
        return RequestUsage(self._total.prompt_tokens, self._total.completion_tokens)

    total_usage = actual_usage

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = (), **kwargs: Any
    ) -> int:
        """Return how many tokens the prompt of these messages has.

        Exact for a client with a method `prompt(params)` that returns the list of token ids, as both
        HuggingFaceModelClient have it; it may be called while `create` runs. Of any other, and of messages
        that such a client refuses, an estimate: a token for every three bytes, and three for each message.
        For English that is up to a third too many, for Chinese about half of what it should be.
        """
        params = self._bridge.params(self._converted(messages), _options(tools, "auto", None, None))
        prompt = getattr(self._bridge.client, "prompt", None)
        if messages and callable(prompt):
            with contextlib.suppress(Exception):  # a history that is being cut need not be one to answer
                if isinstance(ids := prompt(params), list):
                    return len(ids)
        shown = [part.get(name) for part in params["messages"] for name in ("content", "tool_calls")]
        words = "".join(str(one) for one in [*shown, params.get("tools")] if one)
        return len(words.encode(errors="replace")) // 3 + 3 * len(messages)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = (), **kwargs: Any
    ) -> int:
        """Return how many tokens of the context window these messages leave; below 0 they don't fit.

        It is as exact as `count_tokens` and the window are: see `context_window`.
        """
        config: Any = getattr(getattr(self._bridge.client, "model", None), "config", None)
        if hasattr(config, "get_text_config"):  # the window of a model that sees images
            config = config.get_text_config()
        window = self._window or getattr(config, "max_position_embeddings", None) or WINDOW
        return window - self.count_tokens(messages, tools=tools)

    def _to_config(self) -> Recipe:
        if not self._made_of:
            name = type(self._bridge.client).__name__
            raise NotImplementedError(
                f"An object can't be written into a file, and this {name} is one. Pass its class and its "
                f"entry: {type(self).__name__}({name}, entry)."
            )
        return recipe(*self._made_of, dict(self._model_info), self._window)

    @classmethod
    def _from_config(cls, config: Recipe) -> ModelClientForAutoGen:
        info: Any = config.model_info
        return cls(*config.class_and_entry(), info, config.context_window)

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


def _message(message: LLMMessage, thoughts: set[str]) -> list[dict[str, Any]]:
    """Return a message, without the thoughts, in OpenAI's form; several results of tools are one each."""
    if isinstance(message, FunctionExecutionResultMessage):
        return [
            {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
            for result in message.content
        ]
    if isinstance(message, AssistantMessage):
        fields: dict[str, Any] = {"role": "assistant", "name": message.source}
        if isinstance(message.content, str):
            return [{**fields, "content": message.content}]
        calls = [Call(call.id, call.name, call.arguments).as_dict() for call in message.content]
        text = "" if message.thought in thoughts else message.thought or ""
        return [{**fields, "content": text, "tool_calls": calls}]
    if isinstance(message, SystemMessage):
        return [{"role": "system", "content": message.content}]
    assert isinstance(message, UserMessage)
    parts = [message.content] if isinstance(message.content, str) else message.content
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("A message holds an image, and this model client gets text only.")
    return [{"role": "user", "name": message.source, "content": "\n".join(map(str, parts))}]
