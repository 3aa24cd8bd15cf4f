"""HuggingFaceModelClient, the fast one: the plain client, and what makes it quick and able.

Copy this folder together with huggingface.py, the plain file, and import the class from here. Each file
holds one idea. Besides what the plain file needs, `response_format` and tools that a model has no notation
for need `llguidance`, adapters need `peft`, and images `pillow` (for some models `torchvision`, too).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.completion_usage import PromptTokensDetails
from safetensors import SafetensorError

if "." in __name__:  # in the kit, and in a package of yours
    from .. import huggingface as plain
else:  # beside the plain file in a folder that isn't a package
    import huggingface as plain  # type: ignore[import-not-found, no-redef]

from . import cpu, images, loading, options, step
from .batches import BATCH, Request, answer
from .messages import in_words, variants, with_calls
from .prefixes import KNOWN, PREFIX_TOKENS, Prefix
from .replies import TEXT, Fields, fields_of, parts, reading
from .schemas import schema_of
from .streaming import Streamer, printer
from .tools import Tools, calls, mark_of, offered

__all__ = ["BATCH", "PREFIX_TOKENS", "HuggingFaceModelClient"]


class HuggingFaceModelClient(plain.HuggingFaceModelClient):
    """Answer with a causal language model on this machine, quickly.

    Takes the entries of the plain client (`model` may also be a LoRA adapter), and these fields as well:

    - `stream`: print the reply as it grows.
    - `tools`, `tool_choice`: for models whose chat template has a place for tools, and for others.
    - `response_format`: a JSON schema or a pydantic class that the reply must fit.
    - `quantization`: "int8" or, for the fastest replies, "int4", on a CPU.
    - `merge_system`, `merge_neighbours`: by default true: where the chat template refuses them, the system
      message goes into the first one of the user, and neighbours of one role become one message.
    - `image_folder`, `fetch_images`: for images (`image_url` parts) and vision-language models: which
      folder a message may name files of (by default the working folder), and whether addresses on the net
      are fetched (by default they are refused). Data URLs always work.
    - `prefix_cache`: how many tokens of earlier prompts and replies to remember per model (8,192 by
      default; 0 switches it off).

    A field that nobody reads is named in a warning; one that would change the reply and can't be had
    (`logprobs`, say), or whose value is out of range, is refused.

    Calls that wait in several threads are answered in one batch if their options are the same.

    Args:
        config, loaded_model, tokenizer: as for the plain client; a model's processor is a tokenizer, too.
        on_text: called with each new piece of the first choice's text, in the thread that called
            `create`. An exception that it raises ends the generation.
        on_thought: called in the same way with each new piece of the model's thoughts.

    Raises:
        ValueError: the model can't be found or loaded as the entry asks.
    """

    _tokenizers, _models = images.Tokenizers, images.Models
    _loaded: ClassVar[dict[str, tuple[Any, Any]]] = {}
    _waiting: ClassVar[list[Request]] = []
    _prefixes: ClassVar[WeakKeyDictionary[Any, list[Prefix]]] = KNOWN

    def __init__(
        self,
        config: dict[str, Any],
        loaded_model: Any = None,
        tokenizer: Any = None,
        on_text: Callable[[str], Any] | None = None,
        on_thought: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise TypeError(
                "HuggingFaceModelClient takes `loaded_model`, `tokenizer`, `on_text` and `on_thought` at "
                f"registration, not {', '.join(map(repr, kwargs))}. Options belong in the config entry."
            )
        self.on_text, self.on_thought, self._named = on_text, on_thought, set[str]()
        self.prefix_tokens = config.get("prefix_cache", PREFIX_TOKENS)
        if not isinstance(self.prefix_tokens, int) or self.prefix_tokens < 0:
            raise ValueError(
                f"prefix_cache must be a number of tokens, 0 for none, not {self.prefix_tokens!r}."
            )
        super().__init__(config, loaded_model, tokenizer)
        self.processor, self.tokenizer = images.split(self.tokenizer)

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
        self._check(params)
        settings, wanted = {**self.config, **params}, self._options(params)
        ids, reader, tools, schema = self._read(settings)
        wanted["max_new_tokens"] = self._room(len(ids), wanted["max_new_tokens"])
        stops = wanted.get("stop_strings", [])
        if schema and wanted.get("num_beams", 1) > 1:
            raise ValueError("`response_format` does not work with beam search: leave out num_beams.")
        if schema and stops:
            raise ValueError(
                "`response_format` ends by itself, and a stop string could cut it: leave out stop."
            )
        fields = {"content": TEXT} if schema else fields_of(self.tokenizer, bool(tools))
        sinks = [sink for sink in (self.on_text, printer() if settings.get("stream") else None) if sink]
        if tools and tools.forced:
            sinks = []  # a call is no text
        thoughts = [self.on_thought] if self.on_thought and not schema else []
        streamer = None
        if sinks or thoughts:
            known = reading(self.tokenizer, plain._end_tokens(self.model), ids, fields)
            streamer = Streamer(self, known, wanted, sinks, thoughts)
        request = Request(self.model, ids, wanted, schema, streamer, self.prefix_tokens, reader.inputs)
        rows = self._answer(request)
        if schema and not all(self._cut(row, stops)[1] for row in rows):
            full = any(len(row) >= wanted["max_new_tokens"] for row in rows)
            limit = f"{wanted['max_new_tokens']} tokens were too few" if full else "The timeout was too short"
            raise ValueError(
                f"{limit} for a reply that fits `response_format`. "
                "Raise max_tokens, or bound the schema's texts and lists (maxLength, maxItems)."
            )
        response = self._response(
            ids, rows, stops, functools.partial(self._parts, fields=fields, tools=tools)
        )
        if streamer:
            streamer.text.send(response.choices[0].message.content or "")
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
        """Refuse fields of an entry or a call that this client lacks, and name those that nobody reads."""
        options.check(fields, self._named)

    def _merged(self, params: dict[str, Any]) -> dict[str, Any]:
        return options.in_range(super()._merged(params))

    def _load(self) -> tuple[Any, Any]:
        if quantization := self.config.get("quantization"):
            device = "device_map" if self.config.get("device_map") else self.config.get("device") or "auto"
            cpu.check(quantization, device if device == "device_map" else plain._device(device))
        return super()._load()

    def _open(self, where: str, origin: dict[str, Any], form: dict[str, Any]) -> tuple[Any, Any]:
        origin = {**origin, "local_files_only": loading.is_local(where, origin["revision"])}
        if base := loading.base_of(where, origin):
            return loading.merged(*self._open(base, {"revision": None}, form), where, origin)
        loading.check(where, origin)
        try:
            return super()._open(where, origin, form)
        except (OSError, ValueError, SafetensorError) as error:
            raise ValueError(loading.reason(where, error)) from None

    def _prepare(self, model: Any, device: str | None) -> None:
        if device == "cpu":
            cpu.prepare(model, self.config.get("quantization"))
            step.install(model)

    def _answer(self, request: Request) -> list[list[int]]:
        """Return the new tokens of each choice."""
        return answer(self, request)

    def prompt(self, params: dict[str, Any]) -> list[int]:
        return self._read({**self.config, **params})[0]

    def _read(self, settings: dict[str, Any]) -> tuple[list[int], images.Reader, Tools | None, Any]:
        """Return the prompt's token ids, and what it was read with: images, tools, the schema to fit."""
        tools = offered(self, settings)
        schema = tools.schema() if tools and tools.forced else schema_of(settings.get("response_format"))
        reader = images.Reader(self, settings)
        messages, template_kwargs = settings["messages"], settings.get("chat_template_kwargs") or {}
        if schema:  # what has to fit it from the first token has no room for thoughts
            template_kwargs = {"enable_thinking": False, **template_kwargs}
        messages = [{**message, "content": plain._text_of(reader.marked(message))} for message in messages]
        if tools and not tools.seen:
            messages = in_words(messages, tools.offered if tools.forced else [])
        else:
            messages = with_calls(messages, self.tokenizer, *mark_of(self.tokenizer))
            template_kwargs = {**template_kwargs, "tools": tools.offered} if tools else template_kwargs
        allowed = (self.config.get(name, True) for name in ("merge_system", "merge_neighbours"))
        refused: Exception | None = None
        for variant in variants(messages, *allowed):
            try:
                return self._encode(variant, template_kwargs, reader), reader, tools, schema
            except ValueError as error:
                refused = refused or error
        raise refused or AssertionError

    def _thinks(self) -> bool:
        return "reasoning_content" in fields_of(self.tokenizer, tools=False)

    def _parts(
        self, row: list[int], ids: list[int], fields: Fields | None = None, tools: Tools | None = None
    ) -> dict[str, Any]:
        """Return what a row says after a prompt: text, thoughts, and calls as OpenAI has them."""
        if tools and tools.forced:
            text = self.tokenizer.decode(row, skip_special_tokens=True)
            return {"content": None, "tool_calls": calls([{"name": "", "body": text}], tools)}
        fields, ends = fields or fields_of(self.tokenizer, tools=False), plain._end_tokens(self.model)
        without = {name: field for name, field in fields.items() if name != "tool_calls"}
        try:
            found = parts(self.tokenizer, ends, row, ids, fields)
        except ValueError as error:  # of a tokenizer's own response template
            warnings.warn(f"A tool call in the reply can't be read, so it stays text: {error}", stacklevel=3)
            return parts(self.tokenizer, ends, row, ids, without)
        called = found.pop("tool_calls", [])
        if tools and (read := calls(called, tools, complete=row[-1] in ends)):
            return {**found, "content": found["content"] or None, "tool_calls": read}
        return parts(self.tokenizer, ends, row, ids, without) if called else found
