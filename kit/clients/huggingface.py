"""HuggingFaceModelClient: a local language model, loaded with transformers, as an AutoGen model client.

The plain file, to read in one sitting, to copy and to change. It needs `transformers`, `torch`, and the
`openai` package that AutoGen itself needs; `device_map` also needs `accelerate`. The folder huggingface_fast
has a class of the same name on top of it: tools, streaming, structured output, quantization, images, and a
cache of what was computed before. The four methods are those of AutoGen's blog post on custom models:
https://microsoft.github.io/autogen/0.2/blog/2024/01/26/Custom-Models/
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
import transformers
from jinja2 import TemplateError
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.completion_usage import CompletionUsage
from packaging.version import Version
from safetensors import SafetensorError

if Version(transformers.__version__) < Version("5.20"):  # there, a "<|im_end|>" in a message ends a turn
    raise ImportError(
        f"This needs transformers 5.20, not {transformers.__version__}: pip install -U transformers"
    )

from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils.peft_utils import find_adapter_config_file

# What AutoGen and OpenAI call an option, and what transformers' `generate` calls it.
ALIASES = {
    "max_length": "max_new_tokens",  # as in the published notebook: new tokens, beyond the prompt
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "n": "num_return_sequences",
    "stop": "stop_strings",
    "timeout": "max_time",  # in seconds
}
# Taken from the top level of an entry or call; `params` may hold any option of `generate`.
OPTIONS = {"seed", *ALIASES, *vars(GenerationConfig())}
# These only say how to sample: transformers warns of them in greedy decoding.
SAMPLING = {"temperature", "top_p", "top_k", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"}
DTYPES = ("auto", "float32", "bfloat16", "float16")
# What this client lacks, and the one in the folder huggingface_fast has.
LACKS = ("stream", "quantization", "response_format", "tools", "prefix_cache")


class HuggingFaceModelClient:
    """Answer with a causal language model on this machine.

        {"model": "models/SmolLM2-135M-Instruct", "model_client_cls": "HuggingFaceModelClient",
         "device": "cpu", "n": 1, "params": {"max_length": 100}}

        agent.register_model_client(HuggingFaceModelClient)
        agent.register_model_client(HuggingFaceModelClient, loaded_model=model, tokenizer=tokenizer)

    Args:
        config: the entry of the config list. To load: `model` (a folder, or a name on the model
            hub), `revision`, `device` ("auto", "cpu", "cuda", "cuda:1", "mps"), `dtype` ("auto",
            "float32", "bfloat16", "float16"), `device_map`. To answer: `n`, `max_tokens` (or
            `max_new_tokens`; by default 256, for a model that thinks 2,048), `temperature`, `top_p`,
            `top_k`, `seed`, `stop`, `timeout` (in seconds; it cuts the reply off) and all else that
            transformers' GenerationConfig has, also under `params`, which may hold any other option of
            `generate`; `chat_template_kwargs` ({"enable_thinking": False}, say). A call's options win
            over the entry's (AutoGen's wrapper lets an entry's field win over a call's of the very
            same name). What nobody sets is up to the model's `generation_config.json`.
        loaded_model, tokenizer: a transformers model and its tokenizer, used as they are.

    Clients whose entries name the same model, revision, device and dtype share one copy of the
    weights; `unload()` lets go of all of them.

    Raises:
        ValueError: the model can't be found or loaded as the entry asks.
    """

    _tokenizers: ClassVar[Any] = AutoTokenizer  # what loads them
    _models: ClassVar[Any] = AutoModelForCausalLM
    _loaded: ClassVar[dict[str, tuple[Any, Any]]] = {}
    _lock: ClassVar[threading.RLock] = threading.RLock()  # one load, and one generation, at a time

    def __init__(self, config: dict[str, Any], loaded_model: Any = None, tokenizer: Any = None) -> None:
        if (loaded_model is None) != (tokenizer is None):
            raise ValueError("Pass `loaded_model` and `tokenizer` together, or neither.")
        self.config = dict(config)
        self._check(self.config)
        if loaded_model is None:
            loaded_model, tokenizer = self._load()
        self.model, self.tokenizer = loaded_model, tokenizer

    def create(self, params: dict[str, Any]) -> ChatCompletion:
        """Return the model's answer to `params["messages"]`, in `n` choices.

        `usage` is exact: the tokens of the rendered prompt, counted once, and those generated over all
        choices, end-of-text tokens included. `finish_reason` is "stop" where the model ended its turn or
        met a stop string, "length" where it ran into the limit. A model's thoughts are no part of the
        reply: they are the message's `reasoning_content`, as vLLM and `transformers serve` have it.

        Raises:
            ValueError: the prompt does not fit the context window, the tokenizer has no chat template
                or its template refuses the messages, an option makes no sense, this client lacks what
                is asked for, or the reply ended inside the thoughts.
        """
        self._check(params)
        options = self._options(params)
        ids = self.prompt(params)
        options["max_new_tokens"] = self._room(len(ids), options["max_new_tokens"])
        with self._lock:
            rows = self._generate([ids], options)
        return self._response(ids, rows, options.get("stop_strings", []), self._parts)

    def prompt(self, params: dict[str, Any]) -> list[int]:
        """Return the token ids of the prompt that `create` answers, as the chat template writes it."""
        return self._encode(params["messages"], {**self.config, **params}.get("chat_template_kwargs") or {})

    def message_retrieval(self, response: ChatCompletion) -> list[Any]:
        """Return each choice's text; AutoGen takes the first."""
        return [choice.message.content or "" for choice in response.choices]

    def cost(self, response: ChatCompletion) -> float:
        """Return the price of a response, 0 where the entry names no `price` per 1,000 tokens."""
        prompt_price, completion_price = self.config.get("price") or (0, 0)
        used = self.get_usage(response)
        return (used["prompt_tokens"] * prompt_price + used["completion_tokens"] * completion_price) / 1000

    @staticmethod
    def get_usage(response: ChatCompletion) -> dict[str, Any]:
        """Return the five keys of AutoGen's usage summary; with one missing, it would drop them all."""
        tokens = ("prompt_tokens", "completion_tokens", "total_tokens")
        cost = getattr(response, "cost", 0)  # AutoGen stores what `cost` returned here
        used = {name: getattr(response.usage, name, 0) for name in tokens}
        return {**used, "cost": cost, "model": response.model}

    @classmethod
    def unload(cls) -> None:
        """Forget the shared models.

        A model's memory is freed once no client holds it. AutoGen 0.14 itself keeps the last 128 clients
        that answered: `autogen.oai.client.log_cache_seed_value.cache_clear()` lets go of them.
        """
        with cls._lock:
            cls._loaded.clear()

    def _check(self, fields: dict[str, Any]) -> None:
        """Refuse fields of an entry or a call that this client lacks."""
        for name in LACKS:
            if fields.get(name):
                raise ValueError(
                    f"The plain HuggingFaceModelClient has no `{name}`. The one that has it is the folder "
                    "huggingface_fast: copy it beside this file, and import the class from there."
                )

    # Loading ----------------------------------------------------------------------------------

    def _load(self) -> tuple[Any, Any]:
        """Return the model and tokenizer that the entry names, loaded once per process."""
        name, revision, device_map = (self.config.get(field) for field in ("model", "revision", "device_map"))
        device = None if device_map else _device(self.config.get("device") or "auto")
        form = {"dtype": _dtype(self.config.get("dtype") or "auto", device), "device_map": device_map}
        folder = Path(str(name)).expanduser()
        where = str(folder.resolve() if folder.exists() else name)  # a folder, or a name on the hub
        key = repr((where, revision, device, form, self.config.get("quantization")))
        with self._lock:
            if key not in self._loaded:
                try:
                    model, tokenizer = self._open(where, {"revision": revision}, form)
                except (OSError, ValueError, RuntimeError, SafetensorError) as error:
                    raise ValueError(f"Can't load a language model from {name!r}: {error}") from None
                self._prepare(model, device)
                self._loaded[key] = (model if device is None else model.to(device)), tokenizer
            return self._loaded[key]

    def _open(self, where: str, origin: dict[str, Any], form: dict[str, Any]) -> tuple[Any, Any]:
        """Return the model and tokenizer of a folder or of a name on the hub."""
        if Path(where).exists() and not Path(where, "config.json").exists():
            raise ValueError("it has no config.json. A GGUF file has to be converted first.")
        if find_adapter_config_file(where, **origin):
            raise ValueError("it holds an adapter, which the client in the folder huggingface_fast can load.")
        origin, form = {**origin, "trust_remote_code": False}, {**form, "use_safetensors": True}
        model, info = self._models.from_pretrained(where, **origin, **form, output_loading_info=True)
        if missing := sorted(info["missing_keys"]):  # transformers has filled them in at random
            raise ValueError(f"its files lack {len(missing)} of its weights ({missing[0]}, ...).")
        return model, self._tokenizers.from_pretrained(where, **origin)

    def _prepare(self, model: Any, device: str | None) -> None:
        """Change a model that was just loaded, before others share it."""

    # The prompt -------------------------------------------------------------------------------

    def _merged(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return options as `generate` calls them: the entry's, then those that only the call has."""
        call = {name: value for name, value in params.items() if self.config.get(name) != value}
        limit = 2048 if self._thinks() else 256
        options: dict[str, Any] = {"max_new_tokens": limit, "num_return_sequences": 1}
        for source in (self.config, call):
            nested = source.get("params") or {}
            if not isinstance(nested, dict):
                raise ValueError(f"`params` must hold options by name: {{...}}, not {nested!r}.")
            named = {name: value for name, value in source.items() if name in OPTIONS}
            for name, value in {**nested, **named}.items():
                if value is not None:
                    options[ALIASES.get(name, name)] = value
        return options

    def _options(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the options for `generate`."""
        options = self._merged(params)
        for name, called in (("max_new_tokens", "max_tokens"), ("num_return_sequences", "n")):
            if not isinstance(options[name], int) or options[name] < 1:
                raise ValueError(f"{called} must be a whole number of at least 1, not {options[name]!r}.")
        stop = options.pop("stop_strings", [])
        if stops := [text for text in ([stop] if isinstance(stop, str) else stop) if text]:
            options["stop_strings"] = stops  # transformers has no answer to an empty list
        if options.get("temperature") == 0:  # OpenAI's way to ask for greedy decoding
            options["do_sample"] = False
        elif SAMPLING & options.keys():
            options.setdefault("do_sample", True)
        if not options.get("do_sample", self.model.generation_config.do_sample):
            options |= dict.fromkeys(SAMPLING)
            if options["num_return_sequences"] > 1 and options.get("num_beams", 1) == 1:
                raise ValueError(
                    f"n={options['num_return_sequences']} choices of greedy decoding would all be the same "
                    "text. Set a temperature above 0 (0.7, say), or n to 1."
                )
        return options

    def _encode(self, messages: list[Any], template_kwargs: dict[str, Any], reader: Any = None) -> list[int]:
        """Return the token ids of the rendered prompt, by the tokenizer or what reads in its place."""
        if not self.tokenizer.chat_template:
            raise ValueError(
                f"The tokenizer of {self.config['model']!r} has no chat template, so it is probably not a "
                "chat model. Take its instruct version, or set tokenizer.chat_template and register with "
                "loaded_model= and tokenizer=."
            )
        messages = [{**message, "content": _text_of(message)} for message in messages]
        # An agent with system_message='' still sends one, without text: it means none.
        messages = [message for message in messages if message.get("role") != "system" or message["content"]]
        try:
            return (reader or self.tokenizer).apply_chat_template(
                messages,
                add_generation_prompt=True,
                return_dict=False,
                sanitize_control_tokens=True,  # a "<|im_end|>" in a message stays text and ends no turn
                **template_kwargs,
            )
        except (TemplateError, TypeError) as error:  # to refuse roles or their order, it raises the first
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

    @torch.inference_mode()
    def _generate(self, prompts: list[list[int]], options: dict[str, Any], **inputs: Any) -> list[list[int]]:
        """Return the new tokens of each row that `generate` makes of the prompts, `n` rows for each.

        Shorter prompts are padded on the left; a row that ends before the others is filled up with padding.
        """
        options = dict(options)
        seed, pad = options.pop("seed", None), self.tokenizer.pad_token_id
        if pad is None:  # many models have none
            pad = (_end_tokens(self.model) or [0])[0]
        width = max(map(len, prompts))
        ids = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]  # (rows, width)
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        with contextlib.ExitStack() as stack:
            if seed is not None:  # leave the notebook's own random state as it was
                stack.enter_context(torch.random.fork_rng())
                torch.manual_seed(seed)
            output = self.model.generate(
                input_ids=torch.tensor(ids, device=self.model.device),
                attention_mask=torch.tensor(mask, device=self.model.device),
                **{"pad_token_id": pad, **options, **inputs},
                tokenizer=self.tokenizer,
            )
        return output[:, width:].tolist()

    # The reply --------------------------------------------------------------------------------

    def _cut(self, row: list[int], stops: list[str]) -> tuple[list[int], bool]:
        """Return a row without the filling behind its end, and whether it ended by itself."""
        ends = [row.index(token) for token in _end_tokens(self.model) if token in row]
        row = row[: min(ends) + 1] if ends else row

        def met(count: int) -> bool:
            text = self.tokenizer.decode(row[:count], skip_special_tokens=True)
            return any(stop in text for stop in stops)

        if stops and met(len(row)):  # no end token follows: count to the one that met the stop string
            return row[: bisect_left(range(len(row)), True, key=met)], True
        return row, bool(ends)

    def _thinks(self) -> bool:
        """Return whether this model writes thoughts."""
        return "</think>" in str(self.tokenizer.chat_template)

    def _parts(self, row: list[int], ids: list[int]) -> dict[str, Any]:
        """Return what a row says after a prompt: its text, and the thoughts before that.

        Qwen, DeepSeek, SmolLM3, GLM and Nemotron write them in <think> tags, the first of which may stand in
        the prompt. For models with other marks there is the folder huggingface_fast.
        """
        text = self.tokenizer.decode(row, skip_special_tokens=True)
        before, closed, after = text.partition("</think>")
        opened = "<think>" in before or self.tokenizer.decode(ids[-16:]).rstrip().endswith("<think>")
        if not self._thinks() or not (closed or opened):
            return {"content": text}
        return {"content": after.lstrip(), "reasoning_content": before.replace("<think>", "").strip()}

    def _response(
        self, ids: list[int], rows: list[list[int]], stops: list[str], read: Callable[..., dict[str, Any]]
    ) -> ChatCompletion:
        """Return OpenAI's response for a prompt and the rows that followed it, as `read` reads them."""
        choices, completion_tokens = [], 0
        for index, row in enumerate(rows):
            row, stopped = self._cut(row, stops)
            parts, completion_tokens = read(row, ids), completion_tokens + len(row)
            ended = row[-1] in _end_tokens(self.model)
            if text := parts["content"]:
                parts["content"] = text[
                    : min((text.find(stop) for stop in stops if stop in text), default=None)
                ]
            elif not ended and "tool_calls" not in parts and self._thinks():
                change = "Leave out the stop string" if stopped else "Raise max_tokens"
                raise ValueError(
                    f"The reply ended inside the model's thoughts, after {len(row)} tokens. {change}, or ask "
                    'for no thoughts: "chat_template_kwargs": {"enable_thinking": false} in the entry.'
                )
            message = ChatCompletionMessage(role="assistant", **parts)
            reason: Any = "tool_calls" if message.tool_calls else "stop" if stopped else "length"
            choices.append(Choice(index=index, finish_reason=reason, message=message))
        return ChatCompletion(
            id=f"chatcmpl-{uuid.uuid4().hex}",  # AutoGen 0.14 calls message_retrieval only where there is one
            object="chat.completion",
            created=int(time.time()),
            model=self.config["model"],
            choices=choices,
            usage=CompletionUsage(
                prompt_tokens=len(ids),
                completion_tokens=completion_tokens,
                total_tokens=len(ids) + completion_tokens,
            ),
        )


def _device(name: str) -> str:
    """Return the device to use, for "auto" the fastest one that is there."""
    kind = getattr(torch.accelerator.current_accelerator(check_available=True), "type", "cpu")
    count = 0 if kind == "cpu" else torch.accelerator.device_count()
    there = dict.fromkeys([kind, "cpu", *(f"{kind}:{index}" for index in range(count))])
    if name != "auto" and name not in there:
        raise ValueError(
            f"There is no device {name!r} here, only {', '.join(there)}. Change `device`, or leave it out."
        )
    return kind if name == "auto" else name


def _dtype(name: str, device: str | None) -> str:
    """Return the dtype to load with; "auto" is the one stored with the model, where that is fast.

    A CPU without bfloat16 instructions reads a prompt four times as fast in float32 (measured on AVX2).
    """
    if name not in DTYPES:
        raise ValueError(f"Unknown dtype {name!r}. Choose one of {', '.join(DTYPES)}.")
    cpu = torch.cpu.get_capabilities()
    slow = device == "cpu" and not (cpu.get("avx512_bf16") or cpu.get("bf16"))
    return "float32" if name == "auto" and slow else name


def _end_tokens(model: Any) -> list[int]:
    """Return the ids of the tokens that end the model's turn."""
    ids = model.generation_config.eos_token_id
    return [] if ids is None else ids if isinstance(ids, list) else [ids]


def _text_of(message: dict[str, Any]) -> str:
    """Return a message's content as one text; OpenAI also allows None and a list of parts."""
    content = message.get("content") or ""
    try:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        others = sorted({part["type"] for part in parts} - {"text"})
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        text.encode()  # half a surrogate pair, as a broken emoji leaves it, is no text
    except (TypeError, KeyError, UnicodeEncodeError):
        raise ValueError(
            f"A message's content must be a text, or a list of parts with a type and a text, not {content!r}."
        ) from None
    if others:
        raise ValueError(f"This model reads text only; a message holds {', '.join(others)}.")
    return text
