"""What is wrong with a model client class, as far as it can be seen without running it."""

from __future__ import annotations

import difflib
import dis
import inspect
import re
from typing import Any

from kit.agents.inside import PROTOCOL
from kit.checks.catalogue import found
from kit.checks.report import Finding

_PASSED = {"create": "params", "message_retrieval": "response", "cost": "response", "get_usage": "response"}
# What a client calls that hands its messages to a server or a model.
PASSED_ON = {"post", "request", "urlopen", "generate", "generate_content", "invoke"}
PASSED_ON |= {"completions", "chat", "predict"}
_BY_PLACE = {
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
}


def methods_of(cls: type) -> list[Finding]:
    """Return what is wrong with the four methods of a class, as far as it can be seen."""
    findings = []
    missing = [name for name in PROTOCOL if _missing(cls, name)]
    if missing:
        others = [name for name in vars(cls) if name not in PROTOCOL]
        close = difflib.get_close_matches(missing[0], others, 1)
        named = {"name": cls.__name__, "methods": ", ".join(missing), "method": missing[0]}
        but = f" Is {close[0]!r} meant?" if close else ""
        findings.append(found("missing-method", **named, but=but, arguments=f"self, {_PASSED[missing[0]]}"))
    for method, passed in _PASSED.items():
        given = inspect.getattr_static(cls, method, None)
        function = getattr(given, "__func__", given)
        facts = {"name": f"{cls.__name__}.{method}", "method": method, "passed": passed}
        if method in missing or not inspect.isfunction(function):
            continue
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            findings.append(found("coroutine", **facts, kind="coroutine"))
        elif isinstance(given, staticmethod) and not _takes(function, 1):
            takes_self = [*inspect.signature(function).parameters][:1] == ["self"]
            wrong = "static-method" if takes_self and method != "get_usage" else "signature"
            findings.append(found(wrong, **facts, arguments=passed))
        elif isinstance(given, staticmethod) or _takes(function, 2):
            continue
        elif method == "get_usage" and _takes(function, 1):
            findings.append(found("get-usage-not-static"))
        else:
            findings.append(found("signature", **facts, arguments=f"self, {passed}"))
    return findings


def words_in(function: Any, texts: bool = False) -> set[str]:
    """Return the names that the code of a function asks things for, and the texts that it holds, too."""
    words: set[str] = set()
    codes = [getattr(function, "__code__", None)]
    for code in filter(None, codes):
        held = [one for part in code.co_consts for one in (part if isinstance(part, tuple) else [part])]
        words |= {*code.co_names, *(one for one in held if texts and isinstance(one, str))}
        codes += [one for one in code.co_consts if hasattr(one, "co_names")]
    return words


def functions_of(cls: type) -> list[Any]:
    """Return what a class and its bases define, taken out of static methods, class methods, properties."""
    values = [value for part in cls.__mro__ for value in vars(part).values()]
    return [getattr(value, "__func__", getattr(value, "fget", value)) for value in values]


def passes_on(cls: type) -> bool:
    """Return whether a class hands what it gets to a server or a model, by the names in its code."""
    return any(not PASSED_ON.isdisjoint(words_in(value)) for value in vars(cls).values())


def ignores_tools(cls: type) -> bool:
    """Return whether the code of a class neither speaks of tools nor hands on a request as a whole."""
    create = inspect.getattr_static(cls, "create", None)
    names = [one.name for one in parameters_of(create) or [] if one.name != "self"]
    if not names or any({"tools", "functions"} & words_in(one, texts=True) for one in functions_of(cls)):
        return False
    try:
        source = inspect.getsource(create)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return False
    as_a_whole = re.findall(rf"\b{names[0]}\b(?!\[['\"]|\.get\()", source)
    return len(as_a_whole) == 1  # where it is declared


def _missing(cls: type, method: str) -> bool:
    """Return whether clients of a class have no such method: none, or one that a protocol only declares."""
    found = inspect.getattr_static(cls, method, None)
    if found is None:
        made_up = inspect.isfunction(inspect.getattr_static(cls, "__getattr__", None))
        return not made_up and not any(method in _set_by(vars(part).get("__init__")) for part in cls.__mro__)
    owner = next((part for part in cls.__mro__ if method in vars(part)), cls)
    declared = vars(owner).get("_is_protocol") or getattr(found, "__isabstractmethod__", False)
    return bool(declared) or not (callable(found) or hasattr(type(found), "__get__"))


def _set_by(function: Any) -> set[str]:
    """Return the names of the attributes that a function sets: `self.create = ...`."""
    if not inspect.isfunction(function):
        return set()
    return {step.argval for step in dis.get_instructions(function) if step.opname == "STORE_ATTR"}


def _takes(function: Any, count: int) -> bool:
    """Return whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    return True


def constructor_of(cls: type) -> list[Finding]:
    """Return what keeps a class from being made with a config entry, as far as it can be seen."""
    inherited = [inspect.getattr_static(cls, name) for name in ("__init__", "__new__")]
    nothing = inherited == [object.__init__, inspect.getattr_static(object, "__new__")] or (
        getattr(inherited[0], "__module__", None) == "typing"  # of a Protocol
    )
    parameters = parameters_of(cls)
    if nothing or parameters is not None and not any(p.kind in _BY_PLACE for p in parameters):
        return [found("constructor", name=cls.__name__)]
    return []


def parameters_of(function: Any) -> list[inspect.Parameter] | None:
    """Return what a function or a class's constructor takes, None where that can't be known: of a C type."""
    try:
        return [*inspect.signature(function).parameters.values()]
    except Exception:  # also what a metaclass raises
        return None


def needed_by(cls: type) -> list[str]:
    """Return the arguments without a default that come after the config entry."""
    parameters = parameters_of(cls) or []
    if parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        del parameters[0]
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in optional]


def model_clients(namespace: dict[str, Any]) -> dict[str, type]:
    """Return the classes in a namespace that have the four methods of a model client, by name."""
    found = [
        value for name, value in namespace.items() if isinstance(value, type) and not name.startswith("_")
    ]
    return {
        cls.__name__: cls for cls in found if all(callable(getattr(cls, name, None)) for name in PROTOCOL)
    }
