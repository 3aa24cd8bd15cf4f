"""Where an exception comes from: its chain, whose code it was, what AutoGen had called, people's own line."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import re
import reprlib
import traceback
from collections.abc import Iterator
from inspect import ismodule
from pathlib import Path
from types import TracebackType
from typing import Any

from kit.agents.inside import PROTOCOL, has, is_agent
from kit.config_list.secrets import fit, masked

KIT = Path(__file__).parents[1]
VALUES = reprlib.Repr()
VALUES.maxstring = VALUES.maxother = 100


def chain(error: Any) -> list[Any]:
    """Return an exception, and what it was raised from or while handling; of a group, the first's."""
    found: list[Any] = []
    while error is not None and not any(error is one for one in found):
        found.append(error)
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
            continue
        hidden = getattr(error, "__suppress_context__", True)
        error = getattr(error, "__cause__", None) or (None if hidden else error.__context__)
    return found


def text_of(error: Any) -> str:
    """Return the text of an exception; one whose text can't be made has none."""
    try:
        return str(error)[:10_000]
    except Exception:
        return ""


def frames_of(error: Any) -> list[tuple[Any, int]]:
    """Return the frames that an exception came through with their lines, the innermost first."""
    trace = getattr(error, "__traceback__", None)
    return [*traceback.walk_tb(trace if isinstance(trace, TracebackType) else None)][::-1]


def given(error: Any, *names: str) -> Any:
    """Return what AutoGen had been given under one of these names, None if it was at work on none."""
    frames = [frame for frame, _ in frames_of(error) if package_of(frame) == "autogen"]
    values = (frame.f_locals.get(name) for frame in frames[::-1] for name in names)
    return next((value for value in values if value and isinstance(value, (dict, list, tuple))), None)


def agent_of(error: BaseException) -> Any:
    """Return the agent in whose reply an exception was raised, None if there is none.

    If that was in a group chat, it is the manager: the agent that failed may be a hidden one.
    """
    frames = [frame for frame, _ in frames_of(error) if frame.f_code.co_name != "<module>"]
    agents = [one for frame in frames for one in map(frame.f_locals.get, ("self", "agent")) if is_agent(one)]
    managers = (one for one in agents if has(one, "groupchat"))
    return next(managers, next(iter(agents), None))


def selves(frames: list[tuple[Any, int]]) -> Iterator[Any]:
    return (frame.f_locals.get("self") for frame, _ in frames)


def package_of(frame: Any) -> str:
    """Return the package whose code a frame runs: "own" if it isn't installed, "" for Python's library."""
    return _package_at(frame.f_code.co_filename)


def _package_at(file: str) -> str:
    path = Path(file)
    for folder in ("site-packages", "dist-packages"):
        if folder in path.parts:
            return path.parts[path.parts.index(folder) + 1].removesuffix(".py")
    if KIT in path.parents:
        return "kit"
    python = Path(inspect.__file__).parent
    return "" if python in path.parents or str(path).startswith("<frozen") else "own"


def is_own(cls: type) -> bool:
    """Return whether a class is people's own: of a notebook, or of a file that is not installed."""
    functions = [getattr(value, "__code__", None) for value in vars(cls).values()]
    return any(_package_at(code.co_filename) == "own" for code in functions if code)


def owner_of(frames: list[tuple[Any, int]]) -> str:
    """Return the package whose code raised an exception; Python's library raises it for who called that."""
    return next((package for frame, _ in frames if (package := package_of(frame))), "")


def line_of_autogen(frames: list[tuple[Any, int]]) -> str:
    return next((line_of(frame, line) for frame, line in frames if package_of(frame) == "autogen"), "")


def line_of(frame: Any, line: int) -> str:
    return linecache.getline(frame.f_code.co_filename, line).strip()


def _method_of(frame: Any) -> tuple[str, str]:
    """Return the model client class that a frame runs a method of, and which; "", "" if it runs none."""
    code = frame.f_code
    owner = type(frame.f_locals.get(code.co_varnames[0])) if code.co_argcount else object
    if has(owner, *PROTOCOL):
        for name, value in [pair for part in owner.__mro__ for pair in vars(part).items()]:
            if getattr(getattr(value, "__func__", value), "__code__", None) is code:
                return owner.__name__, name
    inside, _, name = code.co_qualname.rpartition(".")
    is_static = name in PROTOCOL and inside and not inside.endswith("<locals>") and package_of(frame) == "own"
    return (inside.rpartition(".")[2], name) if is_static else ("", "")


def called(frames: list[tuple[Any, int]]) -> str:
    """Return the method of a model client that AutoGen had called, else "autogen" or "elsewhere".

    An exception that was never raised comes from nowhere: "".
    """
    method = ""
    for frame, _ in frames:
        if package_of(frame) == "autogen":
            return method or "autogen"
        method = _method_of(frame)[1] or method  # of several, the outermost: AutoGen called that
    return method or ("elsewhere" if frames else "")


def place_of(error: Any) -> dict[str, str]:
    """Return the line of people's own code that an exception came from; "" where there is none.

    That is a method of a model client, or any function that AutoGen called: a tool, a check. The `place`
    reads "Mine.create, line 3, `...`: ", and `values` tell what the names in that line stood for, or those
    of the line of one's own that failed outside of all that.
    """
    frames, places = frames_of(error), []
    names: dict[str, Any] = {}
    packages = [package_of(frame) for frame, _ in frames]
    for index, (frame, line) in enumerate(frames):
        # What runs inside of a line, a comprehension, has names of its own up to Python 3.11.
        names = {**frame.f_locals, **(names if frames[index - 1][0].f_code.co_name[:1] == "<" else {})}
        # Not in AutoGen's own clients, and not in the kit's, whose messages say enough.
        if packages[index] not in ("own", "kit") or KIT / "clients" in Path(frame.f_code.co_filename).parents:
            continue
        owner, name = _method_of(frame)[0], frame.f_code.co_name
        if owner or ("autogen" in packages[index + 1 :] and packages[index] == "own" and name != "<module>"):
            code = line_of(frame, line)
            where = f"{owner}.{name}".lstrip(".") + f", line {line}, `{fit(code, 100)}`: "
            places.append((not owner, where, _values(code, names)))
    last = _values(line_of(*frames[0]), frames[0][0].f_locals) if packages[:1] == ["own"] else ""
    _, place, values = min(places, key=lambda found: found[0], default=(True, "", last))
    return {"place": place, "values": values}


def _values(code: str, names: dict[str, Any]) -> str:
    """Return what the names in a line of code stood for: "; there, answer = {'error': 'busy'}", say.

    Of an object with fields, those that the line asks for.
    """
    shown: dict[str, str] = {}
    for path in re.findall(r"(?<![\w.'\"])[A-Za-z_]\w*(?:\.\w+)*", code):
        name, *fields = path.split(".")
        value = names.get(name)
        while fields and fields[0] in getattr(value, "__dict__", {}):
            name, value = f"{name}.{fields[0]}", vars(value)[fields.pop(0)]
        is_object = callable(value) or ismodule(value) or hasattr(value, "__dict__")
        if (name in names or "." in name) and not is_object:
            with contextlib.suppress(Exception):  # of somebody's `repr`
                text = re.sub(r" at 0x\w+", "", VALUES.repr(masked(value)))
                shown[name] = f"{name} = {fit(text, 120)}{_folder(value)}"
    return f"; there, {', '.join(shown.values())}" if shown else ""


def _folder(value: Any) -> str:
    """Return what a value names if that is a folder here: " (a folder with config.json, ...)"."""
    if not value or not isinstance(value, (str, Path)) or len(str(value)) > 1000 or not Path(value).is_dir():
        return ""
    files = sorted(file.name for file in Path(value).iterdir())
    return f" (a folder with {', '.join(files[:12]) or 'nothing'})"
