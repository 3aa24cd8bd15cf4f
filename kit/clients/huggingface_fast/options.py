"""Options: which fields of an entry or a call this client knows, and which values make sense."""

from __future__ import annotations

import difflib
import inspect
import math
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from openai import AzureOpenAI, OpenAI
from openai.resources.chat.completions import Completions
from transformers import GenerationConfig

# What would change the reply and can't be had here, and what to take instead.
REFUSED = {
    "logprobs": "",
    "top_logprobs": "",
    "frequency_penalty": "repetition_penalty",
    "presence_penalty": "repetition_penalty",
    "logit_bias": 'sequence_bias, which names tokens: {"params": {"sequence_bias": {(17,): -5.0}}}',
    "reasoning_effort": 'what the chat template knows: {"chat_template_kwargs": {"enable_thinking": false}}',
    "verbosity": "a system message that says how long replies are to be",
    "audio": "",
    "web_search_options": "a tool of your own",
    "extra_body": "its fields in the entry itself",
    **dict.fromkeys(("return_dict_in_generate", "output_scores", "output_logits"), ""),
}
# Fields of the client itself, those that AutoGen puts into an entry or a call, OpenAI's, and transformers'.
OURS = """model revision device dtype device_map quantization prefix_cache merge_system merge_neighbours
    chat_template_kwargs params price max_new_tokens messages image_folder fetch_images"""
AUTOGEN = """model_client_cls api_type api_version tags voice agent cache cache_seed filter_func context
    prompt allow_format_str_template check_every_ms routing_method response_buffer_size azure_deployment"""
FUNCTIONS = (OpenAI.__init__, AzureOpenAI.__init__, Completions.create)
OPENAI = {name for function in FUNCTIONS for name in inspect.signature(function).parameters} - {"self"}
KNOWN = {*OURS.split(), *AUTOGEN.split(), *OPENAI, *vars(GenerationConfig()), *REFUSED}

# By `generate`'s name: what OpenAI and AutoGen call it, what it must be, and the test of a number.
RANGES: dict[str, tuple[str, str, Callable[[Any], bool]]] = {
    "max_new_tokens": ("max_tokens", "a whole number of at least 1", lambda value: value >= 1),
    "num_return_sequences": ("n", "a whole number of at least 1", lambda value: value >= 1),
    "seed": ("seed", "a whole number of at most 64 bits", lambda value: -(2**63) <= value < 2**64),
    "top_k": ("top_k", "a whole number of at least 0", lambda value: value >= 0),
    "top_p": ("top_p", "a number from 0 to 1", lambda value: 0 <= value <= 1),
    "min_p": ("min_p", "a number from 0 to 1", lambda value: 0 <= value <= 1),
    "temperature": ("temperature", "a number of at least 0", lambda value: 0 <= value < math.inf),
    "repetition_penalty": ("repetition_penalty", "a number above 0", lambda value: 0 < value < math.inf),
    "max_time": ("timeout", "a number of seconds above 0", lambda value: 0 < value < math.inf),
}


def check(fields: dict[str, Any], named: set[str]) -> None:
    """Refuse what can't be had, and name in a warning what nobody reads, but for what is in `named` already.

    Raises:
        ValueError: a field would change the reply, and this client does not have it.
    """
    _refuse(fields)
    for name in fields.keys() - KNOWN - named:
        near = difflib.get_close_matches(name, KNOWN - REFUSED.keys(), 1)
        hint = f"Did you mean `{near[0]}`?" if near else "Options of `generate` belong under `params`."
        warnings.warn(f"HuggingFaceModelClient does not read the field `{name}`. {hint}", stacklevel=3)
        named.add(name)


def in_range(options: dict[str, Any]) -> dict[str, Any]:
    """Return options of `generate` as numbers of Python's own.

    Raises:
        ValueError: one is out of its range, or of another type.
    """
    _refuse(options)
    for name, (called, words, fits) in RANGES.items():
        value: Any = options.get(name)
        if value is None:
            continue
        whole = "whole" in words
        kind: Any = Integral if whole else Real  # NumPy's numbers as well
        if isinstance(value, bool) or not isinstance(value, kind) or not fits(value):
            raise ValueError(f"{called} must be {words}, not {value!r}.")
        options[name] = int(value) if whole else float(value)
    stop = options.get("stop_strings", [])
    if not isinstance(stop, (str, list, tuple, set)) or not all(isinstance(text, str) for text in stop):
        raise ValueError(f"stop must be a text or a list of texts, not {stop!r}.")
    return options


def _refuse(fields: dict[str, Any]) -> None:
    for name, instead in REFUSED.items():
        if fields.get(name):
            hint = f"Take {instead}." if instead else "Leave it out."
            raise ValueError(f"HuggingFaceModelClient has no `{name}`. {hint}")
