"""What the builder knows of a model client class: what its constructor takes, and how to write it out."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import sys
from types import ModuleType
from typing import Any

import kit
from kit.config_list.secrets import fit

HUGGING_FACE = "HuggingFaceModelClient"
# Written down, since asking the class itself would load torch: seconds in which the form stands still.
HUGGING_FACE_ARGUMENTS = {"loaded_model": "None", "tokenizer": "None", "on_text": "None"}


def notebook() -> dict[str, Any]:
    """Return the variables of the running notebook, an empty dict outside of one."""
    from IPython import get_ipython

    shell = get_ipython()  # type: ignore[no-untyped-call]
    return shell.user_ns if shell else {}


def kit_clients() -> list[str]:
    return [name for name in kit.__all__ if name.endswith("ModelClient")]


def arguments_of(name: str, namespace: dict[str, Any]) -> dict[str, str]:
    """Return what a class takes at registration, after the config entry: names with their defaults.

    A default is the Python that stands for it, "" where there is none. The class is looked for in the
    namespace, then in the kit; of one that can't be found or inspected nothing is known.
    """
    cls = namespace.get(name)
    if not isinstance(cls, type):
        if name == HUGGING_FACE:
            return dict(HUGGING_FACE_ARGUMENTS)
        if name not in kit_clients():
            return {}
        cls = getattr(kit, name)
    try:
        parameters = [*inspect.signature(cls).parameters.values()]
    except Exception:  # a class made in C has no signature, and a metaclass may raise anything
        return {}
    if parameters and parameters[0].kind < inspect.Parameter.VAR_POSITIONAL:  # the config entry
        del parameters[0]
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: _default(p) for p in parameters if p.kind in by_name}


def is_loaded_here(name: str, namespace: dict[str, Any]) -> bool:
    """Return whether a class loads its model on this machine: the Hugging Face client, or made from it."""
    cls = namespace.get(name)
    names = [base.__name__ for base in cls.__mro__] if isinstance(cls, type) else [name]
    return HUGGING_FACE in names


def written_out(
    name: str, namespace: dict[str, Any], done: set[str] | None = None
) -> tuple[list[str], list[str]]:
    """Return the import lines and the definitions that a class of the notebook needs, its own last."""
    done = set() if done is None else done
    done.add(name)
    text = _text_around(namespace.get(name))
    node = _definition(name, text)
    if node is None:
        return [], [f"# {name} is your own: define it here, or import it"]
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    own = {part.id for part in names if isinstance(part.ctx, ast.Store)}
    own |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    imports: list[str] = []
    definitions: list[str] = []
    for other in sorted(({part.id for part in names} - own) & namespace.keys() - done):
        line = _import_line(other, namespace[other])
        more = ([line], []) if line else written_out(other, namespace, done)
        imports += more[0]
        definitions += more[1]
    first = min(part.lineno for part in [node, *node.decorator_list])
    return imports, [*definitions, "\n".join(text.splitlines()[first - 1 : node.end_lineno])]


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    # It may be a key, as in key=os.environ["MY_KEY"]; the name beside it helps to see that.
    named = fit(f"{parameter.name}={parameter.default!r}", 100)
    return named.removeprefix(f"{parameter.name}=")


def _import_line(name: str, value: Any) -> str:
    """Return the line that imports a value of the notebook, empty where it was made in the notebook."""
    module, own_name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    alias = "" if own_name == name else f" as {name}"
    if isinstance(value, ModuleType):
        return f"import {own_name}{alias}"
    if name in kit.__all__:
        return f"from kit import {name}"
    if module not in (None, "__main__") and getattr(sys.modules.get(module), str(own_name), None) is value:
        return f"from {module} import {own_name}{alias}"
    return ""


def _text_around(value: Any) -> str:
    """Return the text of the cell or file that defines a class or function, empty where there is none.

    `inspect.getsource` fails for classes of a notebook; their methods remember the cell.
    """
    for one in vars(value).values() if isinstance(value, type) else [value]:
        function = inspect.unwrap(getattr(one, "__func__", one))
        if inspect.isfunction(function) and function.__module__ == value.__module__:
            return "".join(linecache.getlines(function.__code__.co_filename))
    return ""


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
