"""HuggingFaceModelClient, the fast one: the plain client, and what makes it quick and able.

Copy this folder together with huggingface.py, the plain file, and import the class from here. Each file
holds one idea. Besides what the plain file needs, `response_format` and tools that a model has no notation
for need `llguidance`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.completion_usage import PromptTokensDetails

try:  # in the kit, and in a package of yours
    from .. import huggingface as plain
except ImportError:  # beside the plain file in a folder that is no package
    import huggingface as plain  # type: ignore[import-not-found, no-redef]

from . import cpu, step
from .batches import BATCH, Request, answer
from .messages import in_words, variants
from .prefixes import KNOWN, PREFIX_TOKENS, Prefix
from .schemas import schema_of
from .streaming import Streamer, printer
from .tools import Tools, calls, notation, offered

__all__ = ["BATCH", "PREFIX_TOKENS", "HuggingFaceModelClient"]


class HuggingFaceModelClient(plain.HuggingFaceModelClient):
    """Answer with a causal language model on this machine, quickly.

    Takes the entries of the plain client, and these fields as well:

    - `stream`: print the reply as it grows.
    - `tools`, `tool_choice`: for models whose chat template has a place for tools, and for others.
    - `response_format`: a JSON schema or a pydantic class that the reply must fit.
    - `quantization`: "int8" or, for the fastest replies, "int4", on a CPU.
    - `merge_system`, `merge_neighbours`: by default true: where the chat template refuses them, the system
      message goes into the first one of the user, and neighbours of one role become one message.
    - `prefix_cache`: how many tokens of earlier prompts and replies to remember per model (8,192 by
      default; 0 switches it off).

    Calls that wait in several threads are answered in one batch if their options are the same.

    Args:
        config, loaded_model, tokenizer: as for the plain client.
        on_text: called with each new piece of the first choice's text, in the thread that called
            `create`. An exception that it raises ends the generation.

    Raises:
        ValueError: the model can't be found or loaded as the entry asks.
    """

    _waiting: ClassVar[list[Request]] = []
    _prefixes: ClassVar[WeakKeyDictionary[Any, list[Prefix]]] = KNOWN

    def __init__(
        self,
        config: dict[str, Any],
        loaded_model: Any = None,
        tokenizer: Any = None,
        on_text: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise TypeError(
                "HuggingFaceModelClient takes `loaded_model`, `tokenizer` and `on_text` at registration, "
                f"not {', '.join(map(repr, kwargs))}. Options belong in the config entry."
            )
        self.on_text = on_text
        self.prefix_tokens = config.get("prefix_cache", PREFIX_TOKENS)
        if not isinstance(self.prefix_tokens, int) or self.prefix_tokens < 0:
            raise ValueError(
                f"prefix_cache must be a number of tokens, 0 for none, not {self.prefix_tokens!r}."
            )
        super().__init__(config, loaded_model, tokenizer)

    def create(self, params: dict[str, Any]) -> ChatCompletion:
        """Return the model's answer to `params["messages"]`, in `n` choices.

        As the plain client does. `usage` also tells how many tokens of the prompt came out of the prefix
        cache (`prompt_tokens_details.cached_tokens`), and `finish_reason` is "tool_calls" where the reply
        calls tools.

        Raises:
            ValueError: as in the plain client; or the limit cut off a reply that has to fit a
                `response_format`.
            ImportError: `response_format` without the package `llguidance`.
        """
        settings = {**self.config, **params}
        wanted, tools = self._options(params), offered(self, settings)
        schema = tools.schema() if tools and tools.forced else schema_of(settings.get("response_format"))
        template_kwargs = settings.get("chat_template_kwargs") or {}
        if schema:  # what has to fit it from the first token has no room for thoughts
            template_kwargs = {"enable_thinking": False, **template_kwargs}
        ids = self._encode(params["messages"], template_kwargs, tools)
        wanted["max_new_tokens"] = self._room(len(ids), wanted["max_new_tokens"])
        stops = wanted.get("stop_strings", [])
        if schema and wanted.get("num_beams", 1) > 1:
            raise ValueError("`response_format` does not work with beam search: leave out num_beams.")
        if schema and stops:
            raise ValueError(
                "`response_format` ends by itself, and a stop string could cut it: leave out stop."
            )
        fields = {"content": plain.TEXT} if schema else self._fields(tools)
        sinks = [sink for sink in (self.on_text, printer() if settings.get("stream") else None) if sink]
        if tools and tools.forced:
            sinks = []  # a call is no text
        streamer = Streamer(self, self._notation(ids, fields), wanted, sinks) if sinks else None
        request = Request(self.model, ids, wanted, schema, streamer, self.prefix_tokens)
        rows = answer(self, request)
        if schema and not all(self._cut(row, stops)[1] for row in rows):
            raise ValueError(
                f"{wanted['max_new_tokens']} tokens were too few for a reply that fits `response_format`. "
                "Raise max_tokens, or bound the schema's texts and lists (maxLength, maxItems)."
            )
        response = self._response(
            ids, rows, stops, functools.partial(self._parts, fields=fields, tools=tools)
        )
        if streamer:
            streamer.send(response.choices[0].message.content or "")
        if response.usage:
            response.usage.prompt_tokens_details = PromptTokensDetails(cached_tokens=request.cached)
        return response

    def message_retrieval(self, response: ChatCompletion) -> list[Any]:
        """Return each choice's text, or its whole message if it calls tools; AutoGen takes the first.

        Thoughts stay in the response: nobody else is to read them.
        """
        return [
            ChatCompletionMessage(role="assistant", content=message.content, tool_calls=message.tool_calls)
            if message.tool_calls
            else message.content or ""
            for message in (choice.message for choice in response.choices)
        ]

    @classmethod
    def unload(cls) -> None:
        """Forget the shared models, as the plain client does, and all prefixes."""
        with cls._lock:
            super().unload()
            cls._prefixes.clear()

    def _check(self, fields: dict[str, Any]) -> None:
        """Nothing: this client has what the plain one lacks."""

    def _load(self) -> tuple[Any, Any]:
        if quantization := self.config.get("quantization"):
            device = "device_map" if self.config.get("device_map") else self.config.get("device") or "auto"
            cpu.check(quantization, device if device == "device_map" else plain._device(device))
        return super()._load()

    def _prepare(self, model: Any, device: str | None) -> None:
        if device == "cpu":
            cpu.prepare(model, self.config.get("quantization"))
            step.install(model)

    def _encode(
        self, messages: list[dict[str, Any]], template_kwargs: dict[str, Any], tools: Tools | None = None
    ) -> list[int]:
        """Return the token ids of the rendered prompt, as the model's template takes it."""
        messages = [{**message, "content": plain._text_of(message)} for message in messages]
        if tools and tools.seen:
            template_kwargs = {**template_kwargs, "tools": tools.offered}
        elif tools:
            messages = in_words(messages, tools.offered)
        allowed = (self.config.get(name, True) for name in ("merge_system", "merge_neighbours"))
        refused: Exception | None = None
        for variant in variants(messages, *allowed):
            try:
                return super()._encode(variant, template_kwargs)
            except (ValueError, TypeError) as error:
                refused = refused or error
        raise refused or AssertionError

    def _fields(self, tools: Tools | None = None) -> dict[str, dict[str, Any]]:
        """Return the parts of this model's replies, calls among them if there are tools."""
        called = notation(self.tokenizer) if tools else None
        return {**({"tool_calls": called} if called else {}), **super()._fields()}

    def _notation(self, ids: list[int], fields: dict[str, Any]) -> tuple[dict[str, Any], str, set[int]]:
        """As in the plain client, unless the tokenizer brings a response template of its own."""
        template, opening, hidden = super()._notation(ids, fields)
        if (own := getattr(self.tokenizer, "response_template", None)) and len(fields) > 1:
            return own, self.tokenizer.decode(ids), set(plain._end_tokens(self.model))
        return template, opening, hidden

    def _parts(
        self, row: list[int], ids: list[int], fields: dict[str, Any] | None = None, tools: Tools | None = None
    ) -> dict[str, Any]:
        """As in the plain client, with the calls as OpenAI has them."""
        if not tools:
            return super()._parts(row, ids, fields)
        if tools.forced:
            text = self.tokenizer.decode(row, skip_special_tokens=True)
            return {"content": None, "tool_calls": calls([{"name": "", "body": text}], tools)}
        parts = super()._parts(row, ids, fields)
        complete = row[-1] in plain._end_tokens(self.model)
        if read := calls(parts.pop("tool_calls", []), tools, complete):
            return {**parts, "content": parts["content"] or None, "tool_calls": read}
        return super()._parts(row, ids, super()._fields())
