"""HuggingFaceModelClient: a local language model, loaded with transformers, as an AutoGen model client.

Copy this file into your own project. It needs `transformers`, `torch`, and the `openai` package that
AutoGen itself needs; `device_map` also needs `accelerate`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import threading
import time
import uuid
import warnings
from bisect import bisect_left
from pathlib import Path
from typing import Any, ClassVar

import torch
from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from jinja2 import TemplateError
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.completion_usage import CompletionUsage
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

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
            `max_new_tokens`; 256 new tokens by default), `temperature`, `top_p`, `top_k`, `seed`,
            `stop`, and under `params` these and any other option of `generate`. The options of a
            call to `create` win over the entry's (AutoGen's wrapper lets an entry's field win over
            a call's of the very same name). What nobody sets is up to the model's
            `generation_config.json`, most often greedy decoding.
        loaded_model, tokenizer: a transformers model and its tokenizer, used as they are.

    Clients whose entries name the same model, revision, device and dtype share one copy of the
    weights; `unload()` lets go of all of them.

    Raises:
        ValueError: the model can't be found or loaded as the entry asks.
        ImportError: `device_map` without the package `accelerate`.
    """

    _loaded: ClassVar[dict[str, tuple[Any, Any]]] = {}
    _lock: ClassVar[threading.RLock] = threading.RLock()  # one load, and one generation, at a time

    def __init__(
        self, config: dict[str, Any], loaded_model: Any = None, tokenizer: Any = None, **kwargs: Any
    ) -> None:
        if kwargs:
            raise TypeError(
                "HuggingFaceModelClient takes `loaded_model` and `tokenizer` at registration, "
                f"not {', '.join(map(repr, kwargs))}. Options belong in the config entry."
            )
        if (loaded_model is None) != (tokenizer is None):
            raise ValueError("Pass `loaded_model` and `tokenizer` together, or neither.")
        self.config = dict(config)
        if loaded_model is None:
            loaded_model, tokenizer = self._load()
        self.model, self.tokenizer = loaded_model, tokenizer

    def create(self, params: dict[str, Any]) -> ChatCompletion:
        """Return the model's answer to `params["messages"]`: one `generate` call, `n` choices.

        `usage` is exact: the tokens of the rendered prompt, counted once, and those generated over
        all choices, end-of-text tokens included. `finish_reason` is "stop" where the model ended its
        turn or met a stop string, "length" where it ran into the limit.

        Raises:
            ValueError: the prompt does not fit the context window, the tokenizer has no chat
                template or its template refuses the messages, or an option makes no sense.
        """
        if params.get("tools") or params.get("functions"):
            warnings.warn("HuggingFaceModelClient does not show tools to the model.", stacklevel=2)
        options = self._options(params)
        inputs = self._encode(params["messages"])
        prompt_tokens = inputs["input_ids"].shape[1]
        options["max_new_tokens"] = self._room(prompt_tokens, options["max_new_tokens"])
        rows = self._generate(inputs, dict(options))[:, prompt_tokens:].tolist()
        answers = [self._finish(row, options.get("stop_strings", [])) for row in rows]
        completion_tokens = sum(tokens for _, tokens, _ in answers)
        return ChatCompletion(
            # AutoGen 0.14 calls message_retrieval only for a response that has an `id`.
            id=f"chatcmpl-{uuid.uuid4().hex}",
            object="chat.completion",
            created=int(time.time()),
            model=self.config["model"],
            choices=[
                Choice(
                    index=index,
                    finish_reason="stop" if stopped else "length",
                    message=ChatCompletionMessage(role="assistant", content=text),
                )
                for index, (text, _, stopped) in enumerate(answers)
            ],
            usage=CompletionUsage(
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                total_tokens=prompt_tokens + completion_tokens,
            ),
        )

    def message_retrieval(self, response: ChatCompletion) -> list[str]:
        """Return the text of every choice; AutoGen replies with the first."""
        return [choice.message.content or "" for choice in response.choices]

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
        """Forget the shared models; memory is freed once no client uses them."""
        with cls._lock:
            cls._loaded.clear()

    # Loading ----------------------------------------------------------------------------------

    def _load(self) -> tuple[Any, Any]:
        """Return the model and tokenizer that the entry names, loaded once per process."""
        name, revision = self.config["model"], self.config.get("revision")
        device_map = self.config.get("device_map")
        device = None if device_map else _device(self.config.get("device") or "auto")
        dtype = _dtype(self.config.get("dtype") or "auto", device)
        if device_map and importlib.util.find_spec("accelerate") is None:
            raise ImportError("`device_map` needs accelerate: pip install accelerate. Or name a `device`.")
        source = Path(name).expanduser()
        where = str(source.resolve()) if source.is_dir() else name
        key = json.dumps([where, revision, device, dtype, device_map], default=str)
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
                self._loaded[key] = (model if device is None else model.to(device)), tokenizer
            return self._loaded[key]

    # Answering --------------------------------------------------------------------------------

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

    def _encode(self, messages: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return the rendered prompt as `input_ids` and `attention_mask`, each of shape (1, tokens)."""
        if not self.tokenizer.chat_template:
            raise ValueError(
                f"The tokenizer of {self.config['model']!r} has no chat template, so it is probably not a "
                "chat model. Take its instruct version, or set tokenizer.chat_template and register with "
                "loaded_model= and tokenizer=."
            )
        messages = [{**message, "content": _text(message)} for message in messages]
        # An agent with system_message='' still sends one, without text: it means none.
        messages = [message for message in messages if message.get("role") != "system" or message["content"]]
        try:
            encoded = self.tokenizer.apply_chat_template(
                messages,
                add_generation_prompt=True,
                return_tensors="pt",
                return_dict=True,
                sanitize_control_tokens=True,  # a "<|im_end|>" in a message stays text and ends no turn
            )
        except TemplateError as error:  # the template itself raises it, to refuse roles or their order
            roles = ", ".join(str(message.get("role")) for message in messages)
            raise ValueError(
                f"The chat template of {self.config['model']!r} refuses these messages: {error} "
                f"(their roles: {roles}). A model without a system role needs system_message='' on the agent."
            ) from None
        return {name: encoded[name].to(self.model.device) for name in ("input_ids", "attention_mask")}

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

    def _generate(self, inputs: dict[str, torch.Tensor], options: dict[str, Any]) -> torch.Tensor:
        """Return prompt and answers as token ids of shape (n, tokens)."""
        seed = options.pop("seed", None)
        pad = self.tokenizer.pad_token_id
        if pad is None:  # many models have none; it only fills rows that ended earlier
            pad = (_end_tokens(self.model) or [0])[0]
        with self._lock, contextlib.ExitStack() as stack:
            if seed is not None:  # leave the notebook's own random state as it was
                stack.enter_context(torch.random.fork_rng())
                torch.manual_seed(seed)
            return self.model.generate(**inputs, **options, pad_token_id=pad, tokenizer=self.tokenizer)

    def _finish(self, row: list[int], stops: list[str]) -> tuple[str, int, bool]:
        """Return the text of one row of new tokens, how many the model made, and if it ended by itself."""
        ends = [row.index(token) for token in _end_tokens(self.model) if token in row]
        tokens = min(ends) + 1 if ends else len(row)

        def decode(count: int) -> str:
            return self.tokenizer.decode(row[:count], skip_special_tokens=True)

        def met(text: str) -> bool:
            return any(stop in text for stop in stops)

        text = decode(tokens)
        if not met(text):
            return text, tokens, bool(ends)
        # A row that met its stop string is filled up with padding: count to the token that met it.
        tokens = bisect_left(range(tokens), True, key=lambda count: met(decode(count)))
        cut = min(text.find(stop) for stop in stops if stop in text)
        return text[:cut], tokens, True


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

    A name that is no folder with a model in it, and nothing the model hub gives us, is refused.
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
        f"{name!r} is no folder (looked from {Path.cwd().name!r}), {reason}. Check the spelling. Without a "
        "network, name the folder of a model that you have."
    )


def _end_tokens(model: Any) -> list[int]:
    """Return the ids of the tokens that end the model's turn."""
    ids = model.generation_config.eos_token_id
    return [] if ids is None else ids if isinstance(ids, list) else [ids]


def _text(message: dict[str, Any]) -> str:
    """Return a message's content as one text; OpenAI allows None and a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        others = sorted({str(part.get("type")) for part in content} - {"text"})
        if others:
            raise ValueError(f"This model reads text only; a message holds {', '.join(others)}.")
        return "\n".join(part["text"] for part in content)
    return content or ""
