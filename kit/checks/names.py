"""Names that do not fit: which one is near, who has it, and which library refused an argument."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable
from inspect import ismodule
from pathlib import Path
from typing import Any

from kit.agents.inside import PROTOCOL, has, is_agent
from kit.checks.check_packages import version_of
from kit.checks.protocol import parameters_of


def misspelt(name: Any, names: Iterable[Any]) -> str:
    """Return the one of some names that is this one with a letter more, less or other, "" if none is."""
    known = [other for other in names if isinstance(other, str) and not other.startswith("_")]
    return next((other for other in known if _nearly(str(name), other)), "")


def _nearly(one: str, other: str) -> bool:
    """Return whether two names are the same but for a letter, two that changed places, or capitals and _."""
    one, other = (name.lower().replace("_", "") for name in (one, other))
    if one[:1] != other[:1] or max(len(one), len(other)) < 3:
        return False
    start = len(os.path.commonprefix([one, other]))
    one, other = one[start:][::-1], other[start:][::-1]
    end = len(os.path.commonprefix([one, other]))
    one, other = one[end:], other[end:]
    return max(len(one), len(other)) < 2 or len(one) == 2 and one == other[::-1]


def near(argument: str, names: list[str]) -> str:
    """Return the one of some names that is probably meant, "" if none is near."""
    parts = set(argument.split("_"))  # request_timeout: timeout
    same = [name for name in names if name and (set(name.split("_")) == parts or {name} < parts)]
    return next(iter(same or difflib.get_close_matches(argument, names, 1, 0.75)), "")


def names_of(function: Any) -> list[str]:
    """Return the names of the arguments of a function or class; "" is among them if it may take any."""
    parameters = parameters_of(function)
    if parameters is None:
        return [""]
    named = [one for one in parameters if one.kind is not one.VAR_POSITIONAL]
    return ["" if one.kind is one.VAR_KEYWORD else one.name for one in named]


def refusing(function: Any, argument: str) -> dict[str, str]:
    """Return of which library a function is that refused an argument, what it takes, and which is near."""
    if function is None:
        return {}
    package = function.__module__.partition(".")[0]
    version = version_of(importlib.metadata.packages_distributions().get(package, [package])[0])
    names = [name for name in names_of(function) if name != "self"]
    takes = ", ".join(filter(None, names[:20]))
    return {
        "library": package,
        "of": f" of {package} {version}" if version else "",
        "near": near(argument, names),
        "taken": f"; it takes {takes}" if takes else "",
    }


def attributes_of(thing: Any, name: str) -> dict[str, str]:
    """Return what an object of AutoGen's has in place of an attribute, and which of its classes has that."""
    module = thing.__name__ if ismodule(thing) else type(thing).__module__
    if module.partition(".")[0] != "autogen" or has(thing, *PROTOCOL):
        return {}
    parts = [thing, *(() if ismodule(thing) or is_agent(thing) else type(thing).__mro__[:-1])]
    listed = [part for part in parts if part is thing or part.__module__.partition(".")[0] == "autogen"]
    names = [name for part in listed for name in getattr(part, "__dict__", {})]
    own = [other for other in dict.fromkeys(names) if not other.startswith("_")]
    top = vars(sys.modules["autogen"])
    owners = sorted(cls.__name__ for cls in _owners(name) if top.get(cls.__name__) is cls)
    return {"others": ", ".join(own[:20]), "owners": " or ".join(owners[:2])}


def wanted_by(statement: str, name: str) -> dict[str, str]:
    """Return the class of AutoGen whose attribute AutoGen asked of an object of another kind.

    If several have it, it is the one that what was asked is named after: context_variables.to_dict().
    """
    owners, words = _owners(name), statement.replace("_", "").lower()
    named = owners if len(owners) == 1 else [cls for cls in owners if cls.__name__.lower() in words]
    return {"owners": named[0].__name__, "home": named[0].__module__} if len(named) == 1 else {}


def _owners(name: str) -> list[type]:
    """Return the classes of AutoGen that are loaded and have an attribute themselves, or such a field."""
    modules = [module for each, module in [*sys.modules.items()] if each.partition(".")[0] == "autogen"]
    classes = {cls for module in modules for cls in vars(module).values() if isinstance(cls, type)}
    ours = [cls for cls in classes if cls.__module__.partition(".")[0] == "autogen"]
    return [cls for cls in ours if name in {*vars(cls), *vars(cls).get("__dataclass_fields__", {})}]


@functools.cache  # it reads all of AutoGen's files
def home_of(name: str) -> str:
    """Return the module of AutoGen that defines a class or function of this name, "" if none does."""
    root = Path(sys.modules["autogen"].__file__ or "").parent if "autogen" in sys.modules else Path()
    for file in sorted(root.glob("**/*.py")) if root.name == "autogen" else ():
        if re.search(rf"^(?:class|def) {name}\b", file.read_text(encoding="utf-8"), re.MULTILINE):
            return ".".join(file.relative_to(root.parent).with_suffix("").parts)
    return ""
