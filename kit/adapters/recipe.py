"""Recipe: a model client as a file holds it, by the name of its class and the entry that it is made with."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pydantic import BaseModel, SecretStr

PROTOCOL = ("create", "message_retrieval", "cost", "get_usage")
# Fields that hold a secret, and texts that do under any name: https://me:password@host, ?key=...
NAMES = re.compile(r"(key|secret|credentials?|authorization|cookie|(?<!eos_)(?<!pad_)token)$|passw", re.I)
TEXTS = re.compile(r"://[^/\s]*@|[?&][\w-]*(key|token|secret|sig)[\w-]*=", re.I)
STARS = str(SecretStr("any"))


class Recipe(BaseModel):
    """What `dump_component` writes: the client's class, as "module.Class", and what it is made with.

    A secret in the entry is a SecretStr, as the keys of AutoGen's own clients are: JSON shows stars.
    """

    client: str
    entry: dict[str, Any]
    model_info: dict[str, Any]
    context_window: int | None = None

    def class_and_entry(self) -> tuple[type, dict[str, Any]]:
        """Return the class, imported, and the entry with its secrets.

        Raises:
            ImportError: the module can't be imported.
            TypeError: it has no such class, or that isn't the class of a model client.
            ValueError: a secret of the entry is only stars.
        """
        module, _, name = self.client.rpartition(".")
        cls = getattr(import_module(module), name, None)
        if not isinstance(cls, type) or not all(hasattr(cls, method) for method in PROTOCOL):
            raise TypeError(f"{self.client} isn't the class of a model client.")
        return cls, _each(self.entry, _revealed)


def recipe(cls: type, entry: dict[str, Any], model_info: dict[str, Any], window: int | None) -> Recipe:
    """Return the recipe of a client.

    Raises:
        TypeError: the class can't be imported elsewhere, or the entry can't be written as JSON.
    """
    path = f"{cls.__module__}.{cls.__qualname__}"
    if (
        cls.__module__ == "__main__"
        or getattr(sys.modules[cls.__module__], cls.__qualname__, None) is not cls
    ):
        raise TypeError(f"{path} can't be imported elsewhere: put the class into a file of its own.")
    try:
        json.dumps(entry)
    except (TypeError, ValueError) as error:
        raise TypeError(f"The entry can't be written into a file: {error}.") from None
    return Recipe(client=path, entry=_each(entry, _hidden), model_info=model_info, context_window=window)


def _each(value: Any, change: Callable[[str, Any], Any], name: str = "") -> Any:
    """Return a JSON value with `change(name of its field, value)` in place of each plain value."""
    if isinstance(value, dict):
        return {key: _each(item, change, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(item, change, name) for item in value]
    return change(name, value)


def _hidden(name: str, value: Any) -> Any:
    secret = isinstance(value, str) and (NAMES.search(name) or TEXTS.search(value))
    return SecretStr(value) if secret else value


def _revealed(name: str, value: Any) -> Any:
    if value == STARS:
        raise ValueError(
            f"The file has only stars for {name}: put the real one into its entry, then load it."
        )
    return value.get_secret_value() if isinstance(value, SecretStr) else value
