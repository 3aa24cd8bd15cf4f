"""What an exception means: the rules of findings.toml, and the place in a model client that it came from."""

from __future__ import annotations

import functools
import linecache
import re
import sys
import tomllib
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from kit.agents.inside import PROTOCOL, has, is_agent
from kit.checks.report import Finding
from kit.config_list.secrets import fit

TABLES = ("packages", "class", "list", "registering", "chat")  # of findings.toml: the steps 0 to 4


@functools.cache
def _rules() -> list[dict[str, Any]]:
    tables = tomllib.loads(Path(__file__).with_name("findings.toml").read_text(encoding="utf-8"))
    return [{**rule, "step": step} for step, name in enumerate(TABLES) for rule in tables[name]]


def explain(error: BaseException | str) -> Finding:
    """Return what an exception, or its text, means and how to fix it; where it can be told, with the place.

    Of a group of exceptions it is the first; else the exception itself, or what caused it.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    place = place_of(error)
    for one in _chain(error):
        text, raised_in, agent = text_of(one), _raised_in(one), _agent_of(one)
        kinds = set() if isinstance(one, str) else {cls.__name__ for cls in type(one).__mro__}
        for rule in _rules():
            is_kind = kinds & set(rule["type"].split("|")) if kinds else "text" in rule
            is_here = raised_in in ("", *rule.get("where", raised_in).split("|"))
            if not is_kind or not is_here or rule.get("agent", agent) != agent:
                continue
            if found := re.search(rule.get("text", ""), text):
                groups = [" ".join(text.split()), *(group or "" for group in found.groups())]
                what = place + rule["what"].format(*groups, agent=agent or "this agent")
                return Finding(rule["code"], what, rule["fix"].format(*groups), rule["step"])
    name, text = type(error).__name__, " ".join(text_of(error).split())
    message = place + (text if isinstance(error, str) else f"{name}: {text or name}")
    return Finding("error", message, "Change what the message names.", 1 if place else 4)


def _chain(error: Any) -> Iterator[Any]:
    """Yield an exception, and what it was raised from or while handling."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = getattr(error, "__suppress_context__", True)
        error = getattr(error, "__cause__", None) or (None if hidden else error.__context__)


def text_of(error: Any) -> str:
    """Return the text of an exception; one whose text can't be made has none."""
    try:
        return str(error)[:10_000]
    except Exception:
        return ""


def frames_of(error: Any) -> list[tuple[Any, int]]:
    """Return the frames that an exception came through, the innermost first."""
    trace = getattr(error, "__traceback__", None)
    return [*traceback.walk_tb(trace if isinstance(trace, TracebackType) else None)][::-1]


def _method_of(frame: Any) -> tuple[str, str]:
    """Return the model client class that a frame runs a method of, and which; "", "" if it runs none."""
    code = frame.f_code
    owner = type(frame.f_locals.get(code.co_varnames[0])) if code.co_argcount else object
    if has(owner, *PROTOCOL):
        for name, value in [pair for part in owner.__mro__ for pair in vars(part).items()]:
            if getattr(getattr(value, "__func__", value), "__code__", None) is code:
                return owner.__name__, name
    inside, _, name = code.co_qualname.rpartition(".")
    is_static = name in PROTOCOL and inside and not inside.endswith("<locals>")
    return (inside.rpartition(".")[2], name) if is_static else ("", "")


def _is_of(frame: Any, package: str) -> bool:
    """Return whether a frame runs code of an imported package."""
    file = getattr(sys.modules.get(package), "__file__", None)
    return file is not None and Path(file).parent in Path(frame.f_code.co_filename).parents


def _raised_in(error: Any) -> str:
    """Return the method of a model client that an exception came out of, else "autogen" or "elsewhere".

    A text, or an exception that was never raised, comes from nowhere: "".
    """
    method = ""
    for frame, _ in frames_of(error):
        if _is_of(frame, "autogen"):
            return method or "autogen"
        method = _method_of(frame)[1] or method  # of several, the outermost: AutoGen called that
    return method or ("elsewhere" if frames_of(error) else "")


def _agent_of(error: Any) -> str:
    """Return the name of the agent that was at work, "" if there was none."""
    agents = (frame.f_locals.get("self") for frame, _ in frames_of(error))
    return next((str(agent.name) for agent in agents if is_agent(agent)), "")


def place_of(error: Any) -> str:
    """Return the line of a model client that an exception came from: "Mine.create, line 3, `...`: "."""
    for frame, line in frames_of(error):
        file = frame.f_code.co_filename
        # Not in AutoGen's own clients, and not in the kit's, whose messages say enough.
        if "site-packages" in file or Path(__file__).parents[1] / "clients" in Path(file).parents:
            continue
        if owner := _method_of(frame)[0]:
            code = fit(linecache.getline(file, line).strip(), 100)
            return f"{owner}.{frame.f_code.co_name}, line {line}, `{code}`: "
    return ""
