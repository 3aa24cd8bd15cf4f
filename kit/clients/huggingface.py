"""HuggingFaceModelClient: a local language model, loaded with transformers, as an AutoGen model client.

Copy this file into your own project. It needs `transformers`, `torch`, and the `openai` package that
AutoGen itself needs; `device_map` also needs `accelerate`, and `response_format` needs `llguidance`.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.util
import json
import os
import threading
import time
import uuid
import warnings
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from jinja2 import TemplateError
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.completion_usage import CompletionUsage, PromptTokensDetails
from pydantic import TypeAdapter
from safetensors import SafetensorError
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    LogitsProcessor,
)
from transformers.cache_utils import DynamicLayer
from transformers.generation import BaseStreamer, GenerationMode
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

# What AutoGen and OpenAI call an option, and what transformers' `generate` calls it.
ALIASES = {
    "max_length": "max_new_tokens",  # as in the published notebook: new tokens, beyond the prompt
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "n": "num_return_sequences",
    "stop": "stop_strings",
}
# Taken from the top level of an entry or call; `params` may hold any option of `generate`.
OPTIONS = {*ALIASES, "max_new_tokens", "temperature", "top_p", "top_k", "do_sample", "seed"}
DTYPES = ("auto", "float32", "bfloat16", "float16")
PREFIX_TOKENS = 8192  # of prompts and replies, remembered per model
BATCH = 8  # choices that are generated together, at most

# How models write tool calls, by a mark in their chat template, in the notation of transformers'
# `parse_response`. A tokenizer that has a `response_template` of its own needs none of this.
TOOL_CALLS: dict[str, dict[str, Any]] = {
    "<tool_call>": {  # Qwen 2.5 and 3, Hermes, SmolLM3: each call a JSON object between two tags
        "open_pattern": r"\s*<tool_call>",
        "close": "</tool_call>",
        "repeats": True,
        "content": "json",
        "transform": {"type": "function", "function": "{content}"},
    },
    "[TOOL_CALLS]": {  # Mistral: a mark, then a JSON list of calls
        "open": "[TOOL_CALLS]",
        "content": "json",
        "transform_each": True,
        "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{arguments}"}},
    },
}
TEXT_AROUND = {"content": "text", "content_args": {"strip": False}, "repeats": True, "join": ""}


class HuggingFaceModelClient:
    """Answer with a causal language model on this machine.

        {"model": "models/SmolLM2-135M-Instruct", "model_client_cls": "HuggingFaceModelClient",
         "device": "cpu", "n": 1, "params": {"max_length": 100}}

        agent.register_model_client(HuggingFaceModelClient)
        agent.register_model_client(HuggingFaceModelClient, loaded_model=model, tokenizer=tokenizer)

    Args:
        config: the entry of the config list. To load: `model` (a folder, or a name on the model
            hub), `revision`, `device` ("auto", "cpu", "cuda", "cuda:1", "mps"), `dtype` ("auto",
            "float32", "bfloat16", "float16"), `device_map`, `quantization` ("int8", on a CPU). To
            answer: `n`, `max_tokens` (or `max_new_tokens`; 256 new tokens by default),
            `temperature`, `top_p`, `top_k`, `seed`, `stop`, and under `params` these and any other
            option of `generate`. The options of a call to `create` win over the entry's (AutoGen's
            wrapper lets an entry's field win over a call's of the very same name). What nobody sets
            is up to the model's `generation_config.json`, most often greedy decoding. Besides:
            `stream` (print the reply as it grows), `response_format` (a JSON schema or a pydantic
            class that the reply must fit), `prefix_cache` (how many tokens of earlier prompts and
            replies to remember per model, 8,192 by default; 0 switches it off).
        loaded_model, tokenizer: a transformers model and its tokenizer, used as they are.
        on_text: called with each new piece of the first choice's text, in the thread that called
            `create`. An exception that it raises ends the generation.

    Clients whose entries name the same model, revision, device, dtype and quantization share one
    copy of the weights; `unload()` lets go of all of them.

    Raises:
        ValueError: the model can't be found or loaded as the entry asks.
        ImportError: `device_map` without the package `accelerate`.
    """

    _loaded: ClassVar[dict[str, tuple[Any, Any]]] = {}
    _prefixes: ClassVar[WeakKeyDictionary[Any, list[_Prefix]]] = WeakKeyDictionary()  # by model
    _waiting: ClassVar[list[_Request]] = []
    _lock: ClassVar[threading.RLock] = threading.RLock()  # one load, and one generation, at a time

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
        if (loaded_model is None) != (tokenizer is None):
            raise ValueError("Pass `loaded_model` and `tokenizer` together, or neither.")
        self.config, self.on_text = dict(config), on_text
        self.prefix_tokens = self.config.get("prefix_cache", PREFIX_TOKENS)
        if not isinstance(self.prefix_tokens, int) or self.prefix_tokens < 0:
            raise ValueError(
                f"prefix_cache must be a number of tokens, 0 for none, not {self.prefix_tokens!r}."
            )
        if loaded_model is None:
            loaded_model, tokenizer = self._load()
        self.model, self.tokenizer = loaded_model, tokenizer

    def create(self, params: dict[str, Any]) -> ChatCompletion:
        """Return the model's answer to `params["messages"]`, in `n` choices.

        `usage` is exact: the tokens of the rendered prompt, counted once; how many of them came out of
        the prefix cache (`prompt_tokens_details.cached_tokens`); those generated over all choices,
        end-of-text tokens included. `finish_reason` is "tool_calls" where the reply calls tools, else
        "stop" where the model ended its turn or met a stop string, "length" where it ran into the limit.

        Raises:
            ValueError: the prompt does not fit the context window, the tokenizer has no chat template
                or its template refuses the messages, an option makes no sense, or the limit cut off
                a reply that has to fit a `response_format`.
            ImportError: `response_format` without the package `llguidance`.
        """
        settings = {**self.config, **params}
        options, tools = self._options(params), self._tools(settings)
        ids = self._encode(params["messages"], tools)
        options["max_new_tokens"] = self._room(len(ids), options["max_new_tokens"])
        stops = options.get("stop_strings", [])
        sinks = [sink for sink in (self.on_text, _printer() if settings.get("stream") else None) if sink]
        streamer = _Streamer(self, options, tools, sinks) if sinks else None
        schema = _schema(settings.get("response_format"))
        if schema and options.get("num_beams", 1) > 1:
            raise ValueError("`response_format` does not work with beam search: leave out num_beams.")
        if schema and stops:
            raise ValueError(
                "`response_format` ends by itself, and a stop string could cut it: leave out stop."
            )
        request = _Request(self.model, ids, options, schema, streamer, self.prefix_tokens)
        rows = self._answer(request)
        answers = [self._finish(row, stops) for row in rows]
        if request.schema and not all(stopped for _, _, stopped in answers):
            raise ValueError(
                f"{options['max_new_tokens']} tokens were too few for a reply that fits `response_format`. "
                "Raise max_tokens, or bound the schema's texts and lists (maxLength, maxItems)."
            )
        choices = []
        for index, (row, (text, _, stopped)) in enumerate(zip(rows, answers, strict=True)):
            called = self._tool_calls(row, ids, tools, stops) if tools else None
            message = called or ChatCompletionMessage(role="assistant", content=text)
            reason: Any = "tool_calls" if called else "stop" if stopped else "length"
            choices.append(Choice(index=index, finish_reason=reason, message=message))
        if streamer:
            streamer.send(choices[0].message.content or "")
        completion_tokens = sum(tokens for _, tokens, _ in answers)
        return ChatCompletion(
            # AutoGen 0.14 calls message_retrieval only for a response that has an `id`.
            id=f"chatcmpl-{uuid.uuid4().hex}",
            object="chat.completion",
            created=int(time.time()),
            model=self.config["model"],
            choices=choices,
            usage=CompletionUsage(
                prompt_tokens=len(ids),
                completion_tokens=completion_tokens,
                total_tokens=len(ids) + completion_tokens,
                prompt_tokens_details=PromptTokensDetails(cached_tokens=request.cached),
            ),
        )

    def message_retrieval(self, response: ChatCompletion) -> list[str | ChatCompletionMessage]:
        """Return each choice's text, or its whole message if it calls tools; AutoGen takes the first."""
        messages = [choice.message for choice in response.choices]
        return [message if message.tool_calls else message.content or "" for message in messages]

    def cost(self, response: ChatCompletion) -> float:
        """Return the price of a response, 0 where the entry names no `price` per 1,000 tokens."""
        prompt_price, completion_price = self.config.get("price") or (0, 0)
        usage = response.usage
        if usage is None:
            return 0
        return (usage.prompt_tokens * prompt_price + usage.completion_tokens * completion_price) / 1000

    @staticmethod
    def get_usage(response: ChatCompletion) -> dict[str, Any]:
        """Return the five keys of AutoGen's usage summary; with one missing, it would drop them all."""
        usage = response.usage
        return {
            "prompt_tokens": usage.prompt_tokens if usage else 0,
            "completion_tokens": usage.completion_tokens if usage else 0,
            "total_tokens": usage.total_tokens if usage else 0,
            "cost": getattr(response, "cost", 0),  # AutoGen stores what `cost` returned here
            "model": response.model,
        }

    @classmethod
    def unload(cls) -> None:
        """Forget the shared models and all prefixes.

        A model's memory is freed once no client holds it. AutoGen 0.14 itself keeps the last 128 clients
        that answered: `autogen.oai.client.log_cache_seed_value.cache_clear()` lets go of them.
        """
        with cls._lock:
            cls._loaded.clear()
            cls._prefixes.clear()

    # Loading ----------------------------------------------------------------------------------

    def _load(self) -> tuple[Any, Any]:
        """Return the model and tokenizer that the entry names, loaded once per process."""
        name, revision = self.config["model"], self.config.get("revision")
        device_map, quantization = self.config.get("device_map"), self.config.get("quantization")
        device = None if device_map else _device(self.config.get("device") or "auto")
        dtype = _dtype(self.config.get("dtype") or "auto", device)
        if quantization and (quantization != "int8" or device != "cpu"):
            raise ValueError(
                f"No quantization {quantization!r} on {device or 'device_map'!r}: there is 'int8', on 'cpu'. "
                "For others load the model yourself (transformers' quantization_config) and register with "
                "loaded_model= and tokenizer=."
            )
        if device_map and importlib.util.find_spec("accelerate") is None:
            raise ImportError("`device_map` needs accelerate: pip install accelerate. Or name a `device`.")
        source = Path(name).expanduser()
        where = str(source.resolve()) if source.is_dir() else name
        key = json.dumps([where, revision, device, dtype, device_map, quantization], default=str)
        with self._lock:
            if key not in self._loaded:
                origin = {"revision": revision, "local_files_only": _is_local(name, source, revision)}
                try:
                    tokenizer = AutoTokenizer.from_pretrained(where, **origin)
                    model = AutoModelForCausalLM.from_pretrained(
                        where, **origin, dtype=dtype, device_map=device_map, use_safetensors=True
                    )
                except (OSError, ValueError, SafetensorError) as error:
                    raise ValueError(f"Can't load a language model from {name!r}: {error}") from None
                if quantization:
                    _to_int8(model)
                if device == "cpu" and model.config._attn_implementation == "sdpa":
                    model.set_attn_implementation("sdpa_packed")
                self._loaded[key] = (model if device is None else model.to(device)), tokenizer
            return self._loaded[key]

    # The prompt -------------------------------------------------------------------------------

    def _options(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the options for `generate`: the entry's, then those that only the call has."""
        call = {name: value for name, value in params.items() if self.config.get(name) != value}
        options: dict[str, Any] = {"max_new_tokens": 256, "num_return_sequences": 1}
        for source in (self.config, call):
            nested = source.get("params") or {}
            if not isinstance(nested, dict):
                raise ValueError(f"`params` must hold options by name: {{...}}, not {nested!r}.")
            named = {name: value for name, value in source.items() if name in OPTIONS}
            for name, value in {**nested, **named}.items():
                if value is not None:
                    options[ALIASES.get(name, name)] = value
        for name, called in (("max_new_tokens", "max_tokens"), ("num_return_sequences", "n")):
            if not isinstance(options[name], int) or options[name] < 1:
                raise ValueError(f"{called} must be a whole number of at least 1, not {options[name]!r}.")
        if "stop_strings" in options:
            stop = options.pop("stop_strings")
            stops = [text for text in ([stop] if isinstance(stop, str) else stop) if text]
            if stops:  # transformers has no answer to an empty list
                options["stop_strings"] = stops
        if options.get("temperature") == 0:  # OpenAI's way to ask for greedy decoding
            options["do_sample"] = False
        elif {"temperature", "top_p", "top_k"} & options.keys():
            options.setdefault("do_sample", True)
        sampling = options.get("do_sample", self.model.generation_config.do_sample)
        if not sampling:
            for name in ("temperature", "top_p", "top_k"):
                options[name] = None  # or transformers warns that they have no effect
        if not sampling and options["num_return_sequences"] > 1 and options.get("num_beams", 1) == 1:
            raise ValueError(
                f"n={options['num_return_sequences']} choices of greedy decoding would all be the same "
                "text. Set a temperature above 0 (0.7, say), or n to 1."
            )
        return options

    def _tools(self, settings: dict[str, Any]) -> list[dict[str, Any]] | None:
        """Return the tools to show to the model, None where there are none or it could not see them."""
        tools = settings.get("tools") if settings.get("tool_choice") != "none" else None
        unseen = "client takes `tools`, not the older `functions`" if settings.get("functions") else None
        if tools and "tools" not in str(self.tokenizer.chat_template):
            unseen = "chat template has no place for them"
        if unseen:
            warnings.warn(f"{self.config['model']!r} does not see the tools: its {unseen}.", stacklevel=3)
        return None if unseen else tools

    def _encode(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> list[int]:
        """Return the token ids of the rendered prompt."""
        if not self.tokenizer.chat_template:
            raise ValueError(
                f"The tokenizer of {self.config['model']!r} has no chat template, so it is probably not a "
                "chat model. Take its instruct version, or set tokenizer.chat_template and register with "
                "loaded_model= and tokenizer=."
            )
        messages = [_for_template(message) for message in messages]
        # An agent with system_message='' still sends one, without text: it means none.
        messages = [message for message in messages if message.get("role") != "system" or message["content"]]
        try:
            return self.tokenizer.apply_chat_template(
                messages,
                tools=tools,
                add_generation_prompt=True,
                return_dict=False,
                sanitize_control_tokens=True,  # a "<|im_end|>" in a message stays text and ends no turn
            )
        except TemplateError as error:  # the template itself raises it, to refuse roles or their order
            roles = ", ".join(str(message.get("role")) for message in messages)
            raise ValueError(
                f"The chat template of {self.config['model']!r} refuses these messages: {error} "
                f"(their roles: {roles}). A model without a system role needs system_message='' on the agent."
            ) from None

    def _room(self, prompt_tokens: int, max_new_tokens: int) -> int:
        """Return how many tokens may follow the prompt: the wish, or what the context window leaves."""
        window = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if window is None:
            return max_new_tokens
        if prompt_tokens >= window:
            raise ValueError(
                f"The prompt has {prompt_tokens} tokens, and the context window of {self.config['model']!r} "
                f"holds {window}. Shorten the system message or the history (max_turns, clear_history)."
            )
        return min(max_new_tokens, window - prompt_tokens)

    # Generating -------------------------------------------------------------------------------

    def _answer(self, request: _Request) -> list[list[int]]:
        """Return the new tokens of each choice, once it is this request's turn or another took it along."""
        self._waiting.append(request)
        try:
            with self._lock:
                if request.rows is None:
                    others = [other for other in self._waiting if other.can_join(request)]
                    self._run([request, *others][: max(1, BATCH // request.options["num_return_sequences"])])
        finally:
            self._waiting.remove(request)
        return request.rows or []

    @torch.inference_mode()
    def _run(self, group: list[_Request]) -> None:
        """Answer requests that have the same options in one batch, each with its own prefix."""
        options = dict(group[0].options)
        seed, count = options.pop("seed", None), options["num_return_sequences"]
        pad = self.tokenizer.pad_token_id
        if pad is None:  # many models have none; it only fills rows that ended earlier
            pad = (_end_tokens(self.model) or [0])[0]
        plain = self._is_plain(options) and min(len(request.ids) for request in group) > 1
        group = group if plain else group[:1]
        rows = [request for request in group for _ in range(count if plain else 1)]
        if plain:
            cache = self._recall(rows[0]) if len(rows) == 1 else self._batch(rows)
            options |= {"num_return_sequences": 1, "past_key_values": cache}
        if group[0].schema:
            size, limit = self.model.config.get_text_config().vocab_size, options["max_new_tokens"]
            schema = _JsonOnly(self.tokenizer, size, group[0].schema, limit)
            options["logits_processor"] = [*options.get("logits_processor", []), schema]
        width = max(len(row.ids) for row in rows)
        prompts = [[pad] * (width - len(row.ids)) + row.ids for row in rows]
        masks = [[0] * (width - len(row.ids)) + [1] * len(row.ids) for row in rows]
        with contextlib.ExitStack() as stack:
            if seed is not None:  # leave the notebook's own random state as it was
                stack.enter_context(torch.random.fork_rng())
                torch.manual_seed(seed)
            output = self.model.generate(
                input_ids=torch.tensor(prompts, device=self.model.device),
                attention_mask=torch.tensor(masks, device=self.model.device),
                **{"pad_token_id": pad, **options},
                tokenizer=self.tokenizer,
                streamer=group[0].streamer,
            )
        for index, request in enumerate(group):
            choices = output[index * count : (index + 1) * count, width:].tolist()
            if plain and request.prefix_tokens and cache.get_seq_length() == output.shape[1] - 1:
                self._remember(request, choices[0], cache, index * count)
            request.rows = choices

    def _is_plain(self, options: dict[str, Any]) -> bool:
        """Return whether prefixes and batches work: greedy or sampled tokens, and a cache that can be cut.

        Sliding-window, recurrent and hybrid models keep a state that has already forgotten, and beam
        search reorders its cache. They get `generate`'s own way: one request at a time, all of it computed.
        """
        settings = copy.deepcopy(self.model.generation_config)
        settings.update(**options)
        return (
            settings.get_generation_mode() in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE)
            and settings.use_cache is not False
            and settings.cache_implementation is None
            and self.model._supports_default_dynamic_cache()
            and all(type(layer) is DynamicLayer for layer in DynamicCache(config=self.model.config).layers)
        )

    def _recall(self, request: _Request) -> DynamicCache:
        """Return a KV cache with the longest beginning of the prompt that an earlier request has left."""
        cache = DynamicCache(config=self.model.config)
        known = self._prefixes.get(self.model, []) if request.prefix_tokens else []
        best = max(known, key=lambda old: _shared(old.ids, request.ids), default=None)
        if best:  # the last token is always computed: its logits say how the reply begins
            request.cached = min(_shared(best.ids, request.ids), len(request.ids) - 1)
        for layer, (keys, values) in enumerate(best.states if best and request.cached else []):
            cache.update(keys[:, :, : request.cached], values[:, :, : request.cached], layer)
        return cache

    def _batch(self, rows: list[_Request]) -> DynamicCache:
        """Return a KV cache for several rows: all but the last token of each prompt, padded on the left.

        What is not remembered is computed here, once for all choices of a request.
        """
        caches = {request: self._recall(request) for request in dict.fromkeys(rows)}
        for request, cache in caches.items():
            rest = torch.tensor([request.ids[request.cached : -1]], device=self.model.device)
            if rest.numel():
                self.model.base_model(rest, past_key_values=cache, use_cache=True)
        batch = DynamicCache(config=self.model.config)
        width = max(len(row.ids) for row in rows)
        for layer in range(len(batch.layers)):
            pairs = [(caches[row].layers[layer], (0, 0, width - len(row.ids), 0)) for row in rows]
            keys = torch.cat([torch.nn.functional.pad(states.keys, left) for states, left in pairs])
            values = torch.cat([torch.nn.functional.pad(states.values, left) for states, left in pairs])
            batch.update(keys, values, layer)
        return batch

    def _remember(self, request: _Request, choice: list[int], cache: DynamicCache, row: int) -> None:
        """Keep one row of a cache for the prompts to come."""
        length = cache.get_seq_length()
        left = length + 1 - len(request.ids) - len(choice)  # its padding
        ids = (request.ids + self._until_end(choice))[: length - left]
        cut = (slice(row, row + 1), slice(None), slice(left, left + len(ids)))
        states = [(layer.keys[cut].clone(), layer.values[cut].clone()) for layer in cache.layers]
        known = self._prefixes.get(self.model, [])
        # Where a conversation went on, its new state holds the old one.
        known = [old for old in known if _shared(old.ids, ids) < old.prompt_tokens]
        known.append(_Prefix(ids, len(request.ids), states))
        while sum(len(prefix.ids) for prefix in known) > request.prefix_tokens:
            del known[0]  # the one that has waited longest
        self._prefixes[self.model] = known

    # The reply --------------------------------------------------------------------------------

    def _until_end(self, row: list[int]) -> list[int]:
        """Return a row of new tokens up to its end token; behind that, `generate` fills it up."""
        ends = [row.index(token) for token in _end_tokens(self.model) if token in row]
        return row[: min(ends) + 1] if ends else row

    def _finish(self, row: list[int], stops: list[str]) -> tuple[str, int, bool]:
        """Return the text of one row of new tokens, how many the model made, and if it ended by itself."""
        row = self._until_end(row)

        def decode(count: int) -> str:
            return self.tokenizer.decode(row[:count], skip_special_tokens=True)

        def met(text: str) -> bool:
            return any(stop in text for stop in stops)

        text = decode(len(row))
        if not met(text):
            return text, len(row), row[-1] in _end_tokens(self.model)
        # A row that met its stop string is filled up with padding: count to the token that met it.
        tokens = bisect_left(range(len(row)), True, key=lambda count: met(decode(count)))
        cut = min(text.find(stop) for stop in stops if stop in text)
        return text[:cut], tokens, True

    def _tool_calls(
        self, row: list[int], ids: list[int], tools: list[Any], stops: list[str]
    ) -> ChatCompletionMessage | None:
        """Return the message of a reply that calls tools, None for one that is mere text."""
        template, prompt = getattr(self.tokenizer, "response_template", None), self.tokenizer.decode(ids)
        hidden = set(_end_tokens(self.model))
        marks = [mark for mark in TOOL_CALLS if mark in str(self.tokenizer.chat_template)]
        if template is None and marks:
            fields = {"tool_calls": TOOL_CALLS[marks[0]], "content": TEXT_AROUND}
            template, prompt = {"start_anchor": "\0", "fields": fields}, ""
            shown = (marks[0], marks[0].replace("<", "</"))
            special = self.tokenizer.all_special_ids
            hidden = {token for token in special if self.tokenizer.decode([token]) not in shown}
        try:
            if template is None:
                raise ValueError("the tokenizer has no response_template, which says how they are written")
            reply = self.tokenizer.decode([token for token in self._until_end(row) if token not in hidden])
            message = self.tokenizer.parse_response(reply, template, prefix=prompt, tools=tools)
            for call in message.get("tool_calls") or []:
                arguments = call["function"].get("arguments") or {}
                if isinstance(arguments, str):
                    arguments = json.loads(arguments)
                if not isinstance(arguments, dict):
                    raise ValueError(f"arguments must be an object, not {arguments!r}")
                call["function"]["arguments"] = json.dumps(arguments)
                call["id"] = uuid.uuid4().hex[:9]  # nine characters, as Mistral's template demands
            content = message.get("content") or ""
            cut = min((content.find(stop) for stop in stops if stop in content), default=len(content))
            message |= {"role": "assistant", "content": content[:cut] or None}
            return ChatCompletionMessage.model_validate(message) if message.get("tool_calls") else None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            warnings.warn(f"Tool calls in the reply can't be read, so it stays text: {error}.", stacklevel=3)
            return None


@dataclass(eq=False)
class _Request:
    """One call of `create` on its way through `generate`."""

    model: Any
    ids: list[int]  # the prompt
    options: dict[str, Any]
    schema: str | None
    streamer: _Streamer | None
    prefix_tokens: int  # how many tokens to remember
    cached: int = 0  # how many tokens of the prompt came out of the prefix cache
    rows: list[list[int]] | None = None  # the new tokens of each choice, once they are there

    def can_join(self, other: _Request) -> bool:
        """Return whether this request can be answered in one batch with `other`."""
        names = ("model", "options", "schema", "prefix_tokens")
        same = all(getattr(self, name) == getattr(other, name) for name in names)
        alone = self.streamer or other.streamer or "seed" in self.options
        return same and not alone and self.rows is None and self is not other


@dataclass(eq=False)
class _Prefix:
    """What a model computed for a prompt and its reply: keys and values, by layer.

    Each is a tensor of shape (1, heads, tokens, head size).
    """

    ids: list[int]
    prompt_tokens: int
    states: list[tuple[torch.Tensor, torch.Tensor]]


def _shared(one: list[int], other: list[int]) -> int:
    """Return how many tokens two lists have in common from the start."""
    return len(os.path.commonprefix([one, other]))


class _Streamer(BaseStreamer):
    """Hand out the text of the first choice piece by piece; `generate` calls `put` for every token.

    What may still change waits for the next token: half a character, the beginning of a stop string or
    of a tool call, and blanks before one.
    """

    def __init__(
        self, client: HuggingFaceModelClient, options: dict[str, Any], tools: Any, sinks: list[Any]
    ) -> None:
        self.client, self.sinks = client, sinks
        self.choices = options["num_return_sequences"]
        self.marks = TOOL_CALLS if tools else ()
        self.own_notation = tools and getattr(client.tokenizer, "response_template", None)
        self.stops = [*options.get("stop_strings", []), *self.marks]
        self.row: list[int] | None = None
        self.sent = ""

    def put(self, value: torch.Tensor) -> None:
        if self.row is None:  # the first call brings the prompt
            self.row = []
            return
        # A token for each choice, or several for the only one, with prompt lookup.
        self.row += value.reshape(-1)[: 1 if self.choices > 1 else None].tolist()
        if self.own_notation:
            return  # only the whole reply tells what is a tool call in the tokenizer's own notation
        if self.marks and any(mark in self.client.tokenizer.decode(self.row) for mark in self.marks):
            return  # a tool call is not shown as text
        text = self.client._finish(self.row, self.stops)[0].rstrip("\ufffd")
        starts = {stop[:length] for stop in self.stops for length in range(1, len(stop))}
        held = max((len(start) for start in starts if text.endswith(start)), default=0)
        self.send(text[: len(text) - held].rstrip())

    def send(self, text: str) -> None:
        if len(text) > len(self.sent):
            piece, self.sent = text[len(self.sent) :], text
            for sink in self.sinks:
                sink(piece)

    def end(self) -> None:
        """Nothing: `create` sends what is left of the text."""


def _printer() -> Callable[[str], Any]:
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


def _schema(wanted: Any) -> str | None:
    """Return the JSON schema of a `response_format`: a pydantic class, a schema, or OpenAI's dictionary."""
    if wanted is None or wanted == {"type": "text"}:
        return None
    try:
        if isinstance(wanted, str):
            raise TypeError  # pydantic would evaluate it as Python
        schema = wanted if isinstance(wanted, dict) else TypeAdapter(wanted).json_schema()
        if schema.get("type") == "json_schema":
            schema = dict(schema["json_schema"]["schema"])
        return json.dumps({"type": "object"} if schema.get("type") == "json_object" else schema)
    except (TypeError, ValueError, LookupError, RuntimeError):  # pydantic's own are RuntimeErrors
        raise ValueError(
            f"`response_format` must be a pydantic class or a JSON schema, not {wanted!r}."
        ) from None


class _JsonOnly(LogitsProcessor):
    """Allow only tokens with which the text can still become JSON of a schema; llguidance knows which.

    A small model would often write one long string until the limit cuts it off. So in the second half of
    the limit only what brings the text to its end is allowed, where there is a choice.
    """

    def __init__(self, tokenizer: Any, size: int, schema: str, limit: int) -> None:
        try:
            from llguidance import LLMatcher
        except ImportError:
            raise ImportError("`response_format` needs llguidance: pip install llguidance") from None
        vocabulary, self.masks, self.letter = _vocabulary(tokenizer, size)
        # Free whitespace would be another way to write until the limit.
        compact: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar = LLMatcher.grammar_from_json_schema(schema, defaults=compact)
        self.matcher = LLMatcher(vocabulary, grammar)
        if self.matcher.is_error():
            raise ValueError(
                f"`response_format` holds a schema that can't be followed: {self.matcher.get_error()}"
            )
        self.matchers: list[Any] = []
        self.left, self.hurry = limit, limit // 2

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not self.matchers:
            self.matchers = [self.matcher.deep_copy() for _ in input_ids]
        else:
            for matcher, token in zip(self.matchers, input_ids[:, -1].tolist(), strict=True):
                matcher.consume_token(token)
        bias = b"".join(matcher.compute_logit_bias() for matcher in self.matchers)
        allowed = torch.frombuffer(bytearray(bias), dtype=torch.uint8).view(len(self.matchers), -1) > 0
        self.left -= 1
        if self.left < self.hurry:
            allowed = torch.stack([self._closing(row) for row in allowed])
        return scores.masked_fill(~allowed.to(scores.device), float("-inf"))

    def _closing(self, allowed: torch.Tensor) -> torch.Tensor:
        """Return those of the allowed tokens that bring the text nearest to its end."""
        inside_a_string = allowed[self.letter]
        for name in ("end", '"') if inside_a_string else ("end", "}", "]", ",", '"', "no comma"):
            if (allowed & self.masks[name]).any():
                return allowed & self.masks[name]
        return allowed


@functools.lru_cache(maxsize=2)  # it takes a second
def _vocabulary(tokenizer: Any, size: int) -> tuple[Any, dict[str, torch.Tensor], int]:
    """Return llguidance's view of a tokenizer, which tokens help to end a JSON text, and a letter's token."""
    from llguidance.hf import from_tokenizer

    texts = tokenizer.batch_decode([[token] for token in range(size)])
    masks = {mark: torch.tensor([text == mark for text in texts]) for mark in '}],"'}
    masks["no comma"] = torch.tensor(["," not in text for text in texts])
    masks["end"] = torch.arange(size) == tokenizer.eos_token_id
    return from_tokenizer(tokenizer, n_vocab=size), masks, texts.index("z")


def _packed_attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **kwargs: Any
) -> Any:
    """PyTorch's attention, with the query heads that share a key packed into one, for one new token.

    On a CPU, `enable_gqa` (what transformers 5.23 takes without a mask) is several times slower there in
    bfloat16: 313 µs against 55 µs, for 9 heads over 3 and 700 tokens.
    """
    special = any(kwargs.get(name) is not None for name in ("softcap", "position_bias", "cache"))
    if special or query.shape[2] > 1 or mask is not None or query.dtype == torch.float32:
        return sdpa_attention_forward(module, query, key, value, mask, **kwargs)
    batch, heads, _, size = query.shape
    packed = query.reshape(batch, key.shape[1], -1, size)
    output = torch.nn.functional.scaled_dot_product_attention(packed, key, value, scale=kwargs.get("scaling"))
    return output.reshape(batch, 1, heads, -1), None


AttentionInterface.register("sdpa_packed", _packed_attention)
AttentionMaskInterface.register("sdpa_packed", sdpa_mask)


class _Int8Linear(torch.nn.Module):
    """A linear layer with 8 bits per weight and one scale per output; activations stay as they are."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().to(torch.float32, copy=True)  # embeddings may share the original
        scale = torch.linalg.vector_norm(weight, torch.inf, 1, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("weight", weight.div_(scale).round_().to(torch.int8))
        self.register_buffer("scale", scale.squeeze(1).bfloat16())
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= 24:  # while decoding: PyTorch's own operator, which reads the weights as they are
            y = torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self.scale).to(x.dtype)
        else:  # for a prompt, where that is slower than to widen the weights once
            y = torch.nn.functional.linear(rows, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], -1)


def _to_int8(model: Any) -> None:
    """Give the linear layers 8-bit weights. Other layers, embeddings among them, stay as they are."""
    for name, module in list(model.named_modules()):
        if type(module) is torch.nn.Linear:
            model.set_submodule(name, _Int8Linear(module))
    for parameter in model.parameters():  # or the whole file that was loaded stays in memory
        parameter.data = parameter.data.clone()


def _device(name: str) -> str:
    """Return the device to use, for "auto" the fastest one that is there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    kind, _, index = str(name).partition(":")
    if not there.get(kind) or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        names = ", ".join(kind for kind, yes in there.items() if yes)
        raise ValueError(f"There is no device {name!r} here, only {names}. Change `device`, or leave it out.")
    return name


def _dtype(name: str, device: str | None) -> str:
    """Return the dtype to load with; "auto" is the one stored with the model, where that is fast.

    A CPU without bfloat16 instructions takes four times as long to read a prompt in bfloat16 as in
    float32 (measured on 135M parameters with oneDNN held to AVX2), so "auto" means float32 there.
    """
    if name not in DTYPES:
        raise ValueError(f"Unknown dtype {name!r}. Choose one of {', '.join(DTYPES)}.")
    cpu = torch.cpu.get_capabilities()
    if name == "auto" and device == "cpu" and not (cpu.get("avx512_bf16") or cpu.get("bf16")):
        return "float32"
    return name


def _is_local(name: str, source: Path, revision: str | None) -> bool:
    """Return whether to load without the model hub: from a folder, or from its cache if it is out of reach.

    A name that is neither a folder with a model in it nor one that the model hub gives us is refused.
    """
    if source.is_dir():
        if not (source / "config.json").is_file():
            raise ValueError(
                f"The folder {name!r} has no config.json, so it holds no transformers model. A GGUF file "
                "has to be converted first; of a download, name the folder that holds config.json."
            )
        return True
    try:  # the hub's own answer, in a second: from_pretrained would retry for minutes
        HfApi().model_info(name, revision=revision, timeout=10)
        return False
    except HFValidationError:
        reason = "and can't be a name on the model hub"
    except Exception as error:  # no network, no such model, a model with terms to accept: all end here
        if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
            return True
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        reason = f"and the model hub does not give it: {first_line}"
    raise ValueError(
        f"{name!r} is not a folder (looked from {Path.cwd().name!r}), {reason}. Check the spelling. Without "
        "a network, name the folder of a model that you have."
    )


def _end_tokens(model: Any) -> list[int]:
    """Return the ids of the tokens that end the model's turn."""
    ids = model.generation_config.eos_token_id
    return [] if ids is None else ids if isinstance(ids, list) else [ids]


def _for_template(message: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAI message as chat templates read it: one text, and a tool call's arguments parsed."""
    content = message.get("content")
    if isinstance(content, list):  # OpenAI allows None and a list of parts
        others = sorted({str(part.get("type")) for part in content} - {"text"})
        if others:
            raise ValueError(f"This model reads text only; a message holds {', '.join(others)}.")
        content = "\n".join(part["text"] for part in content)
    calls = []
    for call in message.get("tool_calls") or []:
        arguments = call["function"]["arguments"]
        with contextlib.suppress(json.JSONDecodeError):  # what is no JSON is shown as it is
            arguments = json.loads(arguments)
        calls.append({**call, "function": {**call["function"], "arguments": arguments}})
    return {**message, "content": content or "", **({"tool_calls": calls} if calls else {})}
