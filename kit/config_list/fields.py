"""What the builder's form is made of, as data: the fields of an entry, and presets to start from.

A new field or preset is one line here. Which values a field may have is AutoGen's to say: its own
models are asked (`limits`), and its own validator judges (kit/config_list.py).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kit.config_list.secrets import NO_KEY
from kit.models import NAME, SHARED, models_folder, portable

CUSTOM, OPENAI, AZURE = "custom", "openai", "azure"


@dataclass(frozen=True)
class Field:
    """A field of an entry: its name, its label in the form, the kind of its value, a line of help.

    `kinds_of_entry` are those it belongs to; `group` is the fold that it is in, "" if it is always shown.
    """

    name: str
    label: str
    kind: str  # a name in VALUES
    help: str
    kinds_of_entry: tuple[str, ...] = (CUSTOM, OPENAI, AZURE)
    group: str = ""


HOSTED, ALL = (OPENAI, AZURE), (CUSTOM, OPENAI, AZURE)
SAMPLING, CONNECTION, MORE = "Sampling", "Connection", "Streaming, price, tags"
FIELDS = [
    Field("model", "Model", "text", "a folder, a name on the model hub, or the server's name"),
    Field("model_client_cls", "Client class", "text", "your class's name; empty: AutoGen's own"),
    Field("base_url", "Server address", "text", "where the server is, up to /v1", HOSTED),
    Field("api_version", "API version", "text", "of Azure, such as 2024-10-21", (AZURE,)),
    Field("max_tokens", "Max tokens", "whole number", "most new tokens in an answer"),
    Field("temperature", "Temperature", "number", "how much chance is in the answer"),
    Field(
        "n", "Choices (n)", "whole number", "answers per call; AutoGen takes the first", (CUSTOM,), SAMPLING
    ),
    Field("top_p", "Top p", "number", "choose among the most likely tokens of this share", ALL, SAMPLING),
    Field("stop", "Stop", "texts", 'end the answer at this text, or at one of ["a", "b"]', ALL, SAMPLING),
    Field("seed", "Seed", "whole number", "the same chance again at each run", ALL, SAMPLING),
    Field("frequency_penalty", "Frequency penalty", "number", "against repeating; -2 to 2", HOSTED, SAMPLING),
    Field("presence_penalty", "Presence penalty", "number", "for new topics; -2 to 2", HOSTED, SAMPLING),
    Field("timeout", "Timeout", "number", "seconds to wait for the server", HOSTED, CONNECTION),
    Field("max_retries", "Retries", "whole number", "how often to try again", HOSTED, CONNECTION),
    Field("organization", "Organization", "text", "OpenAI's id of it: org-...", (OPENAI,), CONNECTION),
    Field("azure_deployment", "Deployment", "text", "if not named like the model", (AZURE,), CONNECTION),
    Field("api_type", "API type", "text", "AutoGen's own client: openai, azure, ollama", HOSTED, CONNECTION),
    Field("stream", "Stream", "yes or no", "print the answer as it grows", ALL, MORE),
    Field("price", "Price", "JSON", "[prompt, completion], for 1,000 tokens each", ALL, MORE),
    Field("tags", "Tags", "texts", 'words for filters to choose entries by: ["small", "fast"]', ALL, MORE),
]
KEY = "api_key"  # has inputs of its own in the form
IN_FORM = {field.name for field in FIELDS} | {KEY}


def presets() -> dict[str, dict[str, Any]]:
    """Return the entries to start from, each complete but for what only you know (a key, an address)."""
    return {
        "Dummy (no model)": {
            "model": "dummy",
            "model_client_cls": "DummyModelClient",
            "params": {"replies": "Hello from the dummy!"},
        },
        "Local Hugging Face model": {
            "model": portable(models_folder() / NAME),
            "model_client_cls": "HuggingFaceModelClient",
            "device": "auto",
            "n": 1,
            "params": {"max_length": 100},
        },
        "A class of your own": {"model": "any-name", "model_client_cls": "MyModelClient"},
        "OpenAI": {"model": "gpt-4o-mini", "api_key": "${OPENAI_API_KEY}"},
        "Azure OpenAI": {
            "model": "name-of-the-deployment",
            "api_type": "azure",
            "base_url": "https://name-of-the-resource.openai.azure.com",
            "api_version": "2024-10-21",
            "api_key": "${AZURE_OPENAI_API_KEY}",
        },
        "OpenAI-compatible server": {  # vLLM and transformers serve use this port
            "model": "name-of-the-served-model",
            "base_url": "http://localhost:8000/v1",
            "api_key": NO_KEY,
        },
        "One model for the class": {  # as `python -m kit serve` prints it; the address is the instructor's
            "model": SHARED,
            "base_url": "http://localhost:8000/v1",
            "api_key": "${CLASS_KEY}",
            "price": [0, 0],
            "max_tokens": 128,
        },
        "Ollama": {"model": "llama3.2", "base_url": "http://localhost:11434/v1", "api_key": NO_KEY},
    }


def kind_of_entry(entry: dict[str, Any]) -> str:
    """Return which fields an entry has: those of a custom client, of Azure, or of OpenAI's API."""
    if "model_client_cls" in entry:
        return CUSTOM
    return AZURE if entry.get("api_type") == AZURE else OPENAI


@functools.cache
def limits(name: str) -> str:
    """Return the range that AutoGen allows for a field, in words; "" where there is none, or no AutoGen."""
    try:
        from autogen.oai.client import OpenAILLMConfigEntry
    except ImportError:  # the list's check says how to get it
        return ""

    field = OpenAILLMConfigEntry.model_fields.get(name)
    bounds = {type(bound).__name__: bound for bound in field.metadata} if field else {}
    low, high = getattr(bounds.get("Ge"), "ge", None), getattr(bounds.get("Le"), "le", None)
    if low is None:
        return ""
    return f"at least {low}" if high is None else f"{low} to {high}"


# From what a person typed to a value, and back --------------------------------------------------


def _yes_or_no(text: str) -> bool:
    return {"yes": True, "true": True, "no": False, "false": False}[text.lower()]


def _texts(text: str) -> Any:
    value = json.loads(text) if text.startswith("[") else text
    if not isinstance(value, str) and not all(isinstance(item, str) for item in value):
        raise ValueError
    return value


def _number(text: str) -> float:
    value = json.loads(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError
    json.dumps(value, allow_nan=False)
    return value


def _json(text: str) -> Any:
    value = json.loads(text)
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # refuses NaN, and 1e999
    return value


# Each raises ValueError or KeyError for a text that does not fit.
VALUES: dict[str, Callable[[str], Any]] = {
    "text": str,
    "whole number": int,
    "number": _number,
    "yes or no": _yes_or_no,
    "texts": _texts,
    "JSON": _json,
}


def value_of(kind: str, text: str) -> Any:
    """Return the value that a text stands for.

    Raises:
        ValueError: the text does not fit; the message says what is needed.
    """
    try:
        return VALUES[kind](text if kind == "text" else text.strip())
    except (ValueError, KeyError, RecursionError):
        article = "" if kind in ("texts", "JSON", "yes or no") else "a "
        needed = 'a text, or a list: ["one", "two"]' if kind == "texts" else article + kind
        raise ValueError(f"This must be {needed}.") from None


def text_of(value: Any) -> str:
    """Return how a value is shown in an input; `value_of` with its kind gives the value back."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
