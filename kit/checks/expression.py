"""The expression that failed, such as `self.answer["choices"][0]`, and what its parts stood for.

Python keeps which part of a line each instruction was made of (PEP 657); nothing is run to evaluate it.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import itertools
import linecache
from types import TracebackType
from typing import Any

from kit.checks.names import misspelt

TEXTS = ("content", "text", "generated_text", "response", "output_text")  # what servers call a reply's text


def failed(error: BaseException) -> tuple[ast.expr | None, dict[str, Any]]:
    """Return the expression at which an exception was raised, and the names that were known there.

    It is None where the source isn't there, or where no expression failed, but a statement.
    """
    trace = getattr(error, "__traceback__", None)
    if not isinstance(trace, TracebackType):
        return None, {}
    while trace.tb_next:
        trace = trace.tb_next
    code, names = trace.tb_frame.f_code, {**trace.tb_frame.f_globals, **trace.tb_frame.f_locals}
    place = next(itertools.islice(code.co_positions(), trace.tb_lasti // 2, None), (None,) * 4)
    first, last, start, end = place
    if first is None or last is None or start is None or end is None:
        return None, names
    lines = [linecache.getline(code.co_filename, number).encode() for number in range(first, last + 1)]
    lines[-1] = lines[-1][:end]  # the columns are those of bytes
    lines[0] = lines[0][start:]
    with contextlib.suppress(SyntaxError, ValueError):
        return ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body, names
    return None, names


def value_of(node: Any, names: dict[str, Any]) -> Any:
    """Return what an expression stands for, of names, attributes and items; None if that can't be told."""
    with contextlib.suppress(Exception):
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return names[node.id]
            case ast.Attribute(value=ast.Call(func=maker)):  # what a class makes has the methods of the class
                cls = value_of(maker, names)
                return inspect.getattr_static(cls, node.attr) if isinstance(cls, type) else None
            case ast.Attribute():
                return inspect.getattr_static(value_of(node.value, names), node.attr)
            case ast.Subscript():
                items, key = value_of(node.value, names), value_of(node.slice, names)
                if isinstance(items, dict):
                    return dict.get(items, key)  # a defaultdict would make what it lacks
                return items[key] if isinstance(items, (list, tuple)) else None
    return None


def container_of(node: Any, names: dict[str, Any]) -> tuple[str, Any]:
    """Return what an expression takes an item out of, as it is written and what it is; "", None if none."""
    match node:
        case ast.Subscript(value=whole) | ast.Call(func=ast.Attribute(value=whole, attr="pop")):
            return ast.unparse(whole), value_of(whole, names)
    return "", None


def callee_of(node: Any, names: dict[str, Any], name: str) -> Any:
    """Return the function that a call failed to call, by the name that Python gives it; None if unknown.

    That is what is written there, its constructor, or what a base class of `self` has under that name.
    """
    written = value_of(node.func, names) if isinstance(node, ast.Call) else None
    bases = type(names.get("self")).__mro__
    of_bases = [vars(base).get(name.rpartition(".")[2]) for base in bases]  # super().__init__(...)
    own = [inspect.getattr_static(written, part, None) for part in ("__init__", "__new__", "__call__")]
    candidates = [getattr(one, "__func__", one) for one in (written, *own, *of_bases)]
    return next((one for one in candidates if getattr(one, "__qualname__", "") == name), None)


def class_asked(node: Any, names: dict[str, Any]) -> str:
    """Return the class on which a call calls a method of its objects, as it is written; else ""."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=method)):
            cls = value_of(owner, names)
            if isinstance(cls, type) and inspect.isfunction(inspect.getattr_static(cls, method, None)):
                return ast.unparse(owner)
    return ""


def lacking(path: str, value: dict[Any, Any], key: Any) -> dict[str, str]:
    """Return what is known of a key that a dict lacks.

    That is a key in it that is nearly the same, where it is deeper, and whether the dict is what AutoGen
    passes to a client's constructor, an "entry", or to create, "params".
    """
    whose = "params" if "messages" in value else "entry"
    known = whose if "model_client_cls" in value else ""
    return {"near": misspelt(key, value), "lacking": known, "deeper": _path_to(key, value, path)}


def _path_to(key: Any, value: dict[Any, Any], path: str, depth: int = 3) -> str:
    """Return where a key is within the dicts of a dict: `answer["message"]["content"]`, "" if nowhere."""
    for name, part in value.items():
        inner = f"{path}[{name!r}]"
        if isinstance(part, dict):
            if key in part:
                return f"{inner}[{key!r}]"
            if depth and (deeper := _path_to(key, part, inner, depth - 1)):
                return deeper
    return ""


def text_path(answer: Any, path: str) -> str:
    """Return where the text of a reply stands in a server's answer: "a['message']['content']", or ""."""
    if isinstance(answer, dict):
        text = next((name for name in TEXTS if isinstance(answer.get(name), str)), "")
        sent = "role" in answer and not path.endswith(("['message']", "['delta']"))  # of what was asked
        if text or sent:
            return "" if sent else f"{path}[{text!r}]"
        parts = [*answer.items()][:50]
    else:
        parts = [*enumerate(answer[:1])] if isinstance(answer, list) else []
    return next(filter(None, (text_path(part, f"{path}[{name!r}]") for name, part in parts)), "")
