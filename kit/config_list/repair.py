"""Fix the text of a config list that is not JSON: to be shown as a diff and taken only if wanted."""

from __future__ import annotations

import ast
import contextlib
import difflib
import json
import warnings
from typing import Any

import json_repair

from kit.config_list.lists import OLD_NAMES, ConfigList, ConfigListError, parse_config_list, to_json
from kit.config_list.secrets import hide_secrets


def repair(text: str) -> ConfigList | None:
    """Return the entries that a text was probably meant to hold, None if that can't be told.

    Python literals and assignments, missing or surplus commas and brackets, comments, curly quotes,
    entries without a list around them, and the field names of older versions.
    """
    text = text.strip().removeprefix("\ufeff")
    for read in (_from_python, _from_broken_json):
        with (
            contextlib.suppress(ValueError, SyntaxError, TypeError, LookupError, MemoryError, RecursionError),
            warnings.catch_warnings(action="ignore"),  # of a backslash in a path
        ):
            value = read(text)
            if isinstance(value, dict):
                value = value.get("config_list", [value])
            if (
                isinstance(value, (list, tuple))
                and value
                and all(item and isinstance(item, dict) for item in value)
            ):
                renamed = [{OLD_NAMES.get(name, name): item[name] for name in item} for item in value]
                return parse_config_list(json.dumps(renamed))
    return None


def diff(before: str, entries: list[dict[str, Any]]) -> str:
    """Return what saving the entries changes in a text, line by line, secrets masked."""
    after = to_json(entries)
    known = list(entries)
    with contextlib.suppress(ConfigListError):
        known += parse_config_list(before)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    return hide_secrets("\n".join([*lines][3:]), *known)  # without file names and the first place


def _from_python(text: str) -> Any:
    """Return the value of a Python literal, or of the last assignment of one."""
    *others, last = ast.parse(text).body
    if others and isinstance(last, ast.Expr):
        return None  # several objects, one below the other
    return ast.literal_eval(last.value) if isinstance(last, (ast.Assign, ast.Expr)) else None


def _from_broken_json(text: str) -> Any:
    # Of several objects in a row it would keep the last, unless there is a list around them.
    return json_repair.loads(f"[{text}]" if text.startswith("{") else text)
