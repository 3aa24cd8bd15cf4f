"""What the builder knows of a model client class: what its constructor takes, and how to write it out."""

from __future__ import annotations

import inspect
import linecache
import re
from typing import Any

import kit
from kit.checks.protocol import parameters_of
from kit.config_list.secrets import fit

HUGGING_FACE = "HuggingFaceModelClient"
# Written down, since asking the class itself would load torch: seconds in which the form stands still.
HUGGING_FACE_ARGUMENTS = {
    "loaded_model": "None",
    "tokenizer": "None",
    "on_text": "None",
    "on_thought": "None",
}


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
    parameters = parameters_of(cls) or []
    if parameters and parameters[0].kind < inspect.Parameter.VAR_POSITIONAL:  # the config entry
        del parameters[0]
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: _default(p) for p in parameters if p.kind in by_name}


def is_loaded_here(name: str, namespace: dict[str, Any]) -> bool:
    """Return whether a class loads its model on this machine: the Hugging Face client, or made from it."""
    cls = namespace.get(name)
    names = [base.__name__ for base in cls.__mro__] if isinstance(cls, type) else [name]
    return HUGGING_FACE in names


def how_to_get(name: str, namespace: dict[str, Any]) -> str:
    """Return the Python that gives a program the class of this name: an import, or the cell that defines it.

    A cell may need others, with imports for example: what stands in them is the notebook's to add.
    """
    cls = namespace.get(name)
    module = getattr(cls, "__module__", "__main__")
    if name in kit_clients() and (cls is None or module != "__main__"):
        return f"from kit import {name}"
    if module != "__main__":
        return f"from {module} import {name}"
    cell = re.sub(r"^(?=get_ipython\(\))", "# ", _cell_of(cls), flags=re.MULTILINE)  # once magics
    return cell.strip() or f"# {name} is your own: define it here, or import it"


def _cell_of(cls: Any) -> str:
    """Return the text of the cell that defines a class of the notebook, empty where it can't be found.

    `inspect.getsource` fails for such classes; their methods remember the cell.
    """
    for value in vars(cls).values() if isinstance(cls, type) else ():
        function = inspect.unwrap(getattr(value, "__func__", value))
        if inspect.isfunction(function) and function.__module__ == "__main__":
            return "".join(linecache.getlines(function.__code__.co_filename))
    return ""


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    # It may be a key, as in key=os.environ["MY_KEY"]; the name beside it helps to see that.
    named = fit(f"{parameter.name}={parameter.default!r}", 100)
    return named.removeprefix(f"{parameter.name}=")
