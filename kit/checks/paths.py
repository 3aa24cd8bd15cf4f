"""What the paths in a line of code lead to, such as `self.answer["choices"][0]`, where it failed."""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
from typing import Any

from kit.checks.names import misspelt

TEXTS = ("content", "text", "generated_text", "response", "output_text")  # what servers call a reply's text


def lacking(line: str, names: dict[str, Any], key: Any) -> dict[str, str]:
    """Return what is known of the dict of which a line read a key that it lacks.

    That is a key in it that is nearly the same, and whether the dict is what AutoGen passes to a client's
    constructor, an "entry", or to create, "params".
    """
    for path in re.findall(
        rf"([A-Za-z_][\w.]*(?:\[[^][]*\])*)\[\s*['\"]{re.escape(str(key))}['\"]\s*\]", line
    ):
        value = _at(path, names)
        if isinstance(value, dict):
            whose = "params" if "messages" in value else "entry"
            lacking = whose if "model_client_cls" in value else ""
            return {"near": misspelt(key, value), "lacking": lacking, "deeper": _path_to(key, value, path)}
    return {}


def emptied(line: str, names: dict[str, Any]) -> str:
    """Return the list of which a line read an item by its number, if it is empty: `chunk["choices"]`."""
    paths = re.findall(r"([A-Za-z_][\w.]*(?:\[\s*['\"][^][]*\])*)\[\s*-?\d+\s*\]", line)
    return next((path for path in paths if _at(path, names) == []), "")


def _path_to(key: Any, value: Any, path: str, depth: int = 3) -> str:
    """Return where a key is within the dicts of a dict: `answer["message"]["content"]`, "" if nowhere."""
    for name, part in value.items():
        inner = f"{path}[{name!r}]"
        if isinstance(part, dict):
            if key in part:
                return f"{inner}[{key!r}]"
            if depth and (deeper := _path_to(key, part, inner, depth - 1)):
                return deeper
    return ""


def class_asked(line: str, names: dict[str, Any], method: str) -> str:
    """Return what a line of code calls a method of objects on, if that is a class, else ""."""
    for path in re.findall(rf"([A-Za-z_][\w.]*)\.{method}\(", line):
        cls = _at(path, names)
        if isinstance(cls, type) and inspect.isfunction(inspect.getattr_static(cls, method, None)):
            return path
    return ""


def _at(path: str, names: dict[str, Any]) -> Any:
    """Return what a path such as `self.answer["choices"][0]` leads to from some names; None if nothing."""
    value: Any = names
    for attribute, index in re.findall(r"([A-Za-z_]\w*)(?![^[]*\])|\[([^][]*)\]", path):
        value = _part(value, attribute, index)
    return value


def _part(value: Any, attribute: str, index: str) -> Any:
    """Return what an object has under an attribute's name, or a literal in brackets; None if nothing."""
    with contextlib.suppress(Exception):
        if attribute:
            return value[attribute] if isinstance(value, dict) else vars(value)[attribute]
        return value[ast.literal_eval(index)]
    return None


def text_path(answer: Any, path: str = "") -> str:
    """Return where the text of a reply stands in a server's answer: "['message']['content']", or ""."""
    if isinstance(answer, dict):
        text = next((name for name in TEXTS if isinstance(answer.get(name), str)), "")
        sent = "role" in answer and not path.endswith(("['message']", "['delta']"))  # of what was asked
        if text or sent:
            return "" if sent else f"{path}[{text!r}]"
        parts = [*answer.items()][:50]
    else:
        parts = [*enumerate(answer[:1])] if isinstance(answer, list) else []
    return next(filter(None, (text_path(part, f"{path}[{name!r}]") for name, part in parts)), "")
