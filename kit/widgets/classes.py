"""What can be known of a model client class by reading its source: what it takes, and how to write it out."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import linecache
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import kit

# Given by AutoGen or with every call, so that they are no fields to fill in.
NOT_IN_ENTRIES = {"messages", "tools", "functions", "model_client_cls"}


@dataclass
class ClassFacts:
    """What a class takes: `arguments` of its constructor (at registration), and `fields` of its entry.

    Both map names to the default as it is written, "" where there is none. A field in an object has
    a path: `("params", "max_length")`.
    """

    arguments: dict[str, str] = field(default_factory=dict)
    fields: dict[tuple[str, ...], str] = field(default_factory=dict)


def notebook() -> dict[str, Any]:
    """Return the variables of the running notebook, an empty dict outside of one."""
    from IPython import get_ipython

    shell = get_ipython()  # type: ignore[no-untyped-call]
    return shell.user_ns if shell else {}


def kit_clients() -> list[str]:
    return [name for name in kit.__all__ if name.endswith("ModelClient")]


def facts(name: str, namespace: dict[str, Any]) -> ClassFacts | None:
    """Return what the class of this name takes, None where there is no such class.

    The class is looked for in the namespace, then in the kit. Its source is read, not run.
    """
    found = namespace.get(name)
    if isinstance(found, type):  # what it inherits comes first
        texts = [(cls.__name__, _text_around(cls)) for cls in reversed(found.__mro__)]
    elif (text := _source_in_kit(name)) is not None:
        texts = [(name, text)]
    else:
        return None
    known = ClassFacts()
    for class_name, text in texts:
        node = _definition(class_name, text or "")
        for method in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(method, ast.FunctionDef):
                if method.name == "__init__":
                    known.arguments = _arguments(method)
                known.fields = {**known.fields, **_reads(method)}
    return known


def written_out(
    name: str, namespace: dict[str, Any], done: set[str] | None = None
) -> tuple[list[str], list[str]]:
    """Return the import lines and the definitions that a class of the notebook needs, its own last."""
    done = set() if done is None else done
    done.add(name)
    text = _text_around(namespace.get(name))
    node = _definition(name, text or "")
    if node is None:
        return [], [f"# {name} is your own: define it here, or import it"]
    imports: list[str] = []
    definitions: list[str] = []
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    own = {part.id for part in names if isinstance(part.ctx, ast.Store)}
    own |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    used = {part.id for part in names} - own
    for other in sorted(used & namespace.keys() - done):
        value = namespace[other]
        module, own_name = getattr(value, "__module__", None), getattr(value, "__name__", None)
        alias = "" if own_name == other else f" as {other}"
        if isinstance(value, ModuleType):
            imports.append(f"import {own_name}{alias}")
        elif other in kit.__all__:
            imports.append(f"from kit import {other}")
        elif (
            module not in (None, "__main__")
            and getattr(sys.modules.get(module), str(own_name), None) is value
        ):
            imports.append(f"from {module} import {own_name}{alias}")
        else:
            more = written_out(other, namespace, done)
            imports += more[0]
            definitions += more[1]
    lines = (text or "").splitlines()[
        min([node, *node.decorator_list], key=_line).lineno - 1 : node.end_lineno
    ]
    return imports, [*definitions, "\n".join(lines)]


def _text_around(value: Any) -> str | None:
    """Return the text of the cell or file that defines a class or function.

    `inspect.getsource` fails for classes of a notebook; their methods remember the cell.
    """
    for one in vars(value).values() if isinstance(value, type) else [value]:
        function = inspect.unwrap(getattr(one, "__func__", one))
        if inspect.isfunction(function) and function.__module__ == value.__module__:
            return "".join(linecache.getlines(function.__code__.co_filename)) or None
    return None


def _definition(name: str, text: str) -> ast.ClassDef | ast.FunctionDef | None:
    nodes = (node for node in _tree(text).body if isinstance(node, (ast.ClassDef, ast.FunctionDef)))
    return next((node for node in reversed([*nodes]) if node.name == name), None)


@functools.lru_cache(maxsize=16)
def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError:  # a cell with a %magic in it
        return ast.parse(
            "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in text.split("\n"))
        )


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _source_in_kit(name: str) -> str | None:
    """Return the text of the kit's file that defines a model client, without importing it."""
    if name not in kit_clients():
        return None
    spec = importlib.util.find_spec(kit._HOME[name])
    return Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else None


def _arguments(init: ast.FunctionDef) -> dict[str, str]:
    """Return the arguments that come after `self` and `config`, with their defaults."""
    positional = init.args.posonlyargs + init.args.args
    defaults = [None] * (len(positional) - len(init.args.defaults)) + init.args.defaults
    pairs = [*zip(positional, defaults, strict=True)][2:]
    pairs += zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return {argument.arg: ast.unparse(default) if default else "" for argument, default in pairs}


def _reads(method: ast.FunctionDef) -> dict[tuple[str, ...], str]:
    """Return what a method reads of the entry: `config["x"]`, `self.config.get("x", 1)`, `params["x"]`.

    In `create` the second argument holds the entry's fields too. Names that stand for a part of the
    entry (`options = config["params"]`) are followed; whatever else happens to it is not.
    """
    arguments = [argument.arg for argument in method.args.args]
    roots: dict[str, tuple[str, ...]] = {}
    if method.name in ("__init__", "create") and len(arguments) > 1:
        roots[arguments[1]] = ()
    found: dict[tuple[str, ...], str] = {}

    def path(node: ast.expr) -> tuple[str, ...] | None:
        if isinstance(node, ast.Name):
            return roots.get(node.id)
        if isinstance(node, ast.Attribute):
            return () if node.attr in ("config", "_config") else None
        if isinstance(node, ast.BoolOp):  # (config.get("params") or {})
            return path(node.values[0])
        key: ast.expr | None = None
        start = None
        if isinstance(node, ast.Subscript):
            key, start = node.slice, path(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            key, start = next(iter(node.args), None), path(node.func.value)
        if start is None or not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            return None
        return (*start, key.value)

    nodes = [*ast.walk(method)]
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            meant = path(node.value)
            roots |= {} if meant is None else {node.targets[0].id: meant}
    for node in nodes:
        read = path(node) if isinstance(node, (ast.Subscript, ast.Call)) else None
        if read and not set(read) & NOT_IN_ENTRIES:
            default = node.args[1] if isinstance(node, ast.Call) and len(node.args) > 1 else None
            found[read] = found.get(read) or (ast.unparse(default) if default else "")
    return {
        read: default for read, default in found.items() if not any(_inside(other, read) for other in found)
    }


def _inside(path: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer
