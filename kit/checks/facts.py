"""What is known about an exception: its chain, whose code raised it and where, what a server had answered."""

from __future__ import annotations

import builtins
import contextlib
import difflib
import functools
import importlib.metadata
import inspect
import linecache
import re
import reprlib
import sys
import traceback
import urllib.error
from collections.abc import Iterator
from inspect import ismodule
from pathlib import Path
from types import TracebackType
from typing import Any

from kit.agents.inside import PROTOCOL, has, is_agent, names_in
from kit.checks.answers import answered, body_of, refusal, told, told_by, told_in, way_to
from kit.checks.protocol import parameters_of
from kit.config_list.hints import field_meant
from kit.config_list.secrets import fit, masked

KIT = Path(__file__).parents[1]
TEXTS = ("content", "text", "generated_text", "response", "output_text")  # what servers call a reply's text
VALUES = reprlib.Repr()
VALUES.maxstring = VALUES.maxother = 100
LINE_OF_TEXT = re.compile(r"(?m)^(?:[\w.]*\.)?(\w*(?:Error|Exception|Exit|Interrupt|NotFound|Timeout)): (.*)")


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


def facts_of(error: Any) -> dict[str, Any]:
    """Return what is known about an exception, or about its text, for the rules of the catalogue.

    `types` are the names of its classes. Of a text only these are known, and a status that it names.
    """
    if isinstance(error, str):
        return _facts_of_text(error)
    frames, text = frames_of(error), text_of(error)
    facts: dict[str, Any] = {
        "types": {cls.__name__ for cls in type(error).__mro__},
        "type": type(error).__name__,
        "text": text,
        "where": _called(frames),
        "by": _owner(frames),
        "line": _line_of_autogen(frames),
        "says": "yes" if frames and _line(*frames[0]).startswith(("raise ", "assert ")) else "no",
        "through": " ".join(frame.f_code.co_name for frame, _ in frames if _package(frame) == "autogen"),
    }
    agent = next((one for one in _selves(frames) if has(one, "generate_reply", "_name")), None)
    facts["agent"] = str(getattr(agent, "name", ""))
    asked = given(error, "params") if isinstance(given(error, "params"), dict) else {}
    facts["stream"] = "yes" if asked.get("stream") else "no"
    facts |= {**told_in(text), **_answer(error, frames)}
    sent = facts.pop("sent", asked if facts["where"] == "autogen" else {})
    if facts.get("status", "")[:1] in ("4", "5"):
        facts |= refusal(facts["body"], sent, asked, getattr(agent, "llm_config", None))
    passed = [frame.f_locals.get("messages") for frame, _ in frames if _package(frame) == "autogen"]
    lists = [one for one in (sent.get("messages"), *passed) if isinstance(one, list)]
    last = next((one[-1] for one in lists if one), None)
    facts["got"] = next((kind for one in passed if (kind := _no_messages(one))), "")
    hooks = getattr(agent, "hook_lists", None) or {}
    facts["hooked"] = ", ".join(getattr(one, "__qualname__", "?") for hook in hooks.values() for one in hook)
    facts["last"] = "empty" if isinstance(last, dict) and last.get("content") == "" else ""
    if entry := given(error, "openai_config"):
        facts["base_url"] = str(entry.get("base_url") or "")
    made = {frame.f_code.co_qualname: frame.f_locals for frame, _ in frames}
    if entry := made.get("OpenAIWrapper._register_default_client", {}).get("config"):
        facts["for"] = f" for {entry.get('model')}"
    elif (wrapping := made.get("OpenAIWrapper.__init__")) is not None:
        facts["listed"] = "yes" if wrapping["config_list"] else "no"
    if registering := next((frame for frame, _ in frames if "model_client_cls" in frame.f_locals), None):
        name = getattr(registering.f_locals["model_client_cls"], "__name__", "")
        facts["named"] = "yes" if name in names_in(registering.f_locals.get("self")) else "no"
    function = frames[0][0].f_locals.get("reply_func") if frames else None
    facts["function"] = str(getattr(function, "__qualname__", ""))
    if wanted := given(error, "filter_dict", "kwargs"):
        facts["filter"] = fit(str(masked(wanted)), 100)
    if callee := re.search(r"([\w.<>]+)\(\) got an unexpected keyword argument '(\w+)'", text):
        facts |= _refusal(frames, callee[1], callee[2]) | {"meant": field_meant(callee[2], {})}
    elif unused := re.search(r"are not used by the model: \['(\w+)", text):
        options = getattr(sys.modules.get("transformers"), "GenerationConfig", dict)
        facts["near"] = near(unused[1], [*vars(options())] if options is not dict else [])
    if isinstance(error, AttributeError) and error.name:
        facts |= _attributes(error.obj, error.name)
    if missing := re.search(r"(?:module 'autogen\S*' .*|cannot import name )'(\w+)'", text):
        facts["home"] = _home_of(missing[1])
    if isinstance(error, KeyError) and facts["by"] == "own":
        names = re.findall(r"(?<![\w.'\"])[A-Za-z_]\w*", _line(*frames[0]))
        held = [name + path for name in names if (path := _text_in(frames[0][0].f_locals.get(name)))]
        facts["held"] = next(iter(held), "")
    if isinstance(error, FileNotFoundError) and isinstance(error.filename, str):
        facts["looked"] = _looked(Path(error.filename))
    if facts["by"] not in ("", "own", "kit"):
        facts["raised"] = f" (raised in {facts['by']})"
    return facts


def _no_messages(value: Any) -> str:
    """Return what a value is that should be a list of messages, "" if it is one, or nothing."""
    if value is None or isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return ""
    inner = f" of {type(value[0]).__name__}" if isinstance(value, list) else ""
    return f"a {type(value).__name__}{inner}"


def _facts_of_text(text: str) -> dict[str, Any]:
    """Return the same of a text, be it an exception's or a whole traceback: what its last line says."""
    lines = LINE_OF_TEXT.findall(text)
    name, rest = lines[-1] if lines else ("", text)
    kind = getattr(builtins, name, None)
    types = {cls.__name__ for cls in kind.__mro__} if isinstance(kind, type) else {name} if name else set()
    rest = text[text.rindex(rest) :] if lines else text
    facts: dict[str, Any] = {"types": types, "type": name, "text": rest}
    facts |= told_in(rest)
    return facts | (refusal(facts["body"], {}, {}, None) if "status" in facts else {})


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
    frames = [frame for frame, _ in frames_of(error) if _package(frame) == "autogen"]
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


# Whose code it was ----------------------------------------------------------------------------


def _selves(frames: list[tuple[Any, int]]) -> Iterator[Any]:
    return (frame.f_locals.get("self") for frame, _ in frames)


def _package(frame: Any) -> str:
    """Return the package whose code a frame runs: "own" if it isn't installed, "" for Python's library."""
    path = Path(frame.f_code.co_filename)
    for folder in ("site-packages", "dist-packages"):
        if folder in path.parts:
            return path.parts[path.parts.index(folder) + 1].removesuffix(".py")
    if KIT in path.parents:
        return "kit"
    python = Path(inspect.__file__).parent
    return "" if python in path.parents or str(path).startswith("<frozen") else "own"


def _owner(frames: list[tuple[Any, int]]) -> str:
    """Return the package whose code raised an exception; Python's library raises it for who called that."""
    return next((package for frame, _ in frames if (package := _package(frame))), "")


def _line_of_autogen(frames: list[tuple[Any, int]]) -> str:
    return next((_line(frame, line) for frame, line in frames if _package(frame) == "autogen"), "")


def _line(frame: Any, line: int) -> str:
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
    is_static = name in PROTOCOL and inside and not inside.endswith("<locals>") and _package(frame) == "own"
    return (inside.rpartition(".")[2], name) if is_static else ("", "")


def _called(frames: list[tuple[Any, int]]) -> str:
    """Return the method of a model client that AutoGen had called, else "autogen" or "elsewhere".

    An exception that was never raised comes from nowhere: "".
    """
    method = ""
    for frame, _ in frames:
        if _package(frame) == "autogen":
            return method or "autogen"
        method = _method_of(frame)[1] or method  # of several, the outermost: AutoGen called that
    return method or ("elsewhere" if frames else "")


def place_of(error: Any) -> dict[str, str]:
    """Return the line of people's own code that an exception came from; "" where there is none.

    That is a method of a model client, or any function that AutoGen called: a tool, a check. The `place`
    reads "Mine.create, line 3, `...`: ", and `values` tell what the names in that line stood for.
    """
    frames, places = frames_of(error), []
    names: dict[str, Any] = {}
    packages = [_package(frame) for frame, _ in frames]
    for index, (frame, line) in enumerate(frames):
        # What runs inside of a line, a comprehension, has names of its own up to Python 3.11.
        names = {**frame.f_locals, **(names if frames[index - 1][0].f_code.co_name[:1] == "<" else {})}
        # Not in AutoGen's own clients, and not in the kit's, whose messages say enough.
        if packages[index] not in ("own", "kit") or KIT / "clients" in Path(frame.f_code.co_filename).parents:
            continue
        owner, name = _method_of(frame)[0], frame.f_code.co_name
        if owner or ("autogen" in packages[index + 1 :] and packages[index] == "own" and name != "<module>"):
            code = _line(frame, line)
            where = f"{owner}.{name}".lstrip(".") + f", line {line}, `{fit(code, 100)}`: "
            places.append((not owner, where, _values(code, names)))
    _, place, values = min(places, key=lambda found: found[0], default=(True, "", ""))
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


def _looked(path: Path) -> str:
    """Return where a relative path was looked for, and whether a file of its name is near there."""
    if path.is_absolute():
        return ""
    near_by = [*Path().glob(path.name), *Path().glob(f"*/{path.name}"), *Path("..").glob(path.name)]
    there = f", and {near_by[0]} is there" if near_by else ""
    return f" (looked for from the folder {Path.cwd().name}{there})"


def _text_in(answer: Any, path: str = "") -> str:
    """Return where the text of a reply stands in a server's answer: "['message']['content']", or ""."""
    if isinstance(answer, dict):
        text = next((name for name in TEXTS if isinstance(answer.get(name), str)), "")
        sent = "role" in answer and not path.endswith(("['message']", "['delta']"))  # of what was asked
        if text or sent:
            return "" if sent else f"{path}[{text!r}]"
        parts = [*answer.items()][:50]
    else:
        parts = [*enumerate(answer[:1])] if isinstance(answer, list) else []
    return next(filter(None, (_text_in(part, f"{path}[{name!r}]") for name, part in parts)), "")


def _folder(value: Any) -> str:
    """Return what a value names if that is a folder here: " (a folder with config.json, ...)"."""
    if not isinstance(value, (str, Path)) or len(str(value)) > 1000 or not Path(value).is_dir():
        return ""
    files = sorted(file.name for file in Path(value).iterdir())
    return f" (a folder with {', '.join(files[:12]) or 'nothing'})"


# What a server had answered -------------------------------------------------------------------


def _answer(error: Any, frames: list[tuple[Any, int]]) -> dict[str, Any]:
    """Return status, url, host, body and reason, as far as there was a request and an answer to it."""
    asked = None
    with contextlib.suppress(Exception):  # httpx raises where there is no request
        asked = error.request
    for answer in (getattr(error, "response", None), *_selves(frames)):
        if answered(answer):
            return told_by(answer)
    if isinstance(error, urllib.error.HTTPError):
        return told(str(error.code), str(error.url), body_of(error))
    for frame, line in frames:  # in code of one's own: a refusal that nobody looked at
        named = re.findall(r"\w+", _line(frame, line)) if _package(frame) == "own" else []
        for answer in map(frame.f_locals.get, named):
            if answered(answer) and str(answer.status_code)[:1] in ("4", "5"):
                return told_by(answer)
    for frame, _ in frames:  # in AutoGen's own client: a 200 that is no completion
        answer, wrapper = frame.f_locals.get("response"), frame.f_locals.get("llm_client")
        clients = getattr(wrapper, "_clients", None) or []  # which of them has answered is not known here
        askers = [*map(frame.f_locals.get, ("self", "client")), *(clients if len(clients) == 1 else ())]
        client = next((one._oai_client for one in askers if has(one, "_oai_client")), None)
        if client is not None and (
            isinstance(answer, str) or hasattr(answer, "choices") and not answer.choices
        ):
            body = answer if isinstance(answer, str) else answer.model_dump_json(exclude_none=True)
            refused = re.search(r'"code":\s*"?([45]\d\d)\b', body)  # a refusal, passed on as if it were none
            return told(
                refused[1] if refused else "200", f"{str(client.base_url).rstrip('/')}/chat/completions", body
            )
    url = getattr(asked, "url", None)
    return {} if url is None else {"url": str(url), **way_to(str(url))}


# Whose argument it is not ---------------------------------------------------------------------


def _attributes(thing: Any, name: str) -> dict[str, str]:
    """Return what an object of AutoGen's has in place of an attribute, and which of its classes has that."""
    module = type(thing).__module__
    if module.partition(".")[0] != "autogen" or has(thing, *PROTOCOL):
        return {}
    own = sorted(other for other in getattr(thing, "__dict__", {}) if not other.startswith("_"))
    known = [other for other in {*own, *dir(type(thing))} if not other.startswith("_")]
    close = next(iter(difflib.get_close_matches(name, known, 1, 0.85)), "")
    classes = vars(sys.modules["autogen"]).items()
    owners = sorted(each for each, cls in classes if isinstance(cls, type) and name in vars(cls))
    return {"others": ", ".join(own[:12]), "owners": " or ".join(owners[:2]), "near": close}


@functools.cache  # it reads all of AutoGen's files
def _home_of(name: str) -> str:
    """Return the module of AutoGen that defines a class or function of this name, "" if none does."""
    root = Path(sys.modules["autogen"].__file__ or "").parent if "autogen" in sys.modules else Path()
    for file in sorted(root.glob("**/*.py")) if root.name == "autogen" else ():
        if re.search(rf"^(?:class|def) {name}\b", file.read_text(encoding="utf-8"), re.MULTILINE):
            return ".".join(file.relative_to(root.parent).with_suffix("").parts)
    return ""


def _refusal(frames: list[tuple[Any, int]], callee: str, argument: str) -> dict[str, str]:
    """Return which library a callee is of, and which of its arguments is near; {} if that can't be told.

    An exception names it without its module; looked for in the code that called it, then everywhere.
    """
    owner, _, method = callee.rpartition(".")
    name = owner.rpartition(".")[2] or method
    here = [{**frame.f_globals, **frame.f_locals} for frame, _ in frames[:1]]
    near_by = [
        space for names in here for space in (names, *(vars(m) for m in names.values() if ismodule(m)))
    ]
    for spaces in (near_by, [vars(module) for module in [*sys.modules.values()] if ismodule(module)]):
        values = [space.get(name) for space in spaces]
        known = {
            id(one): one for one in values if getattr(one, "__qualname__", None) == name and callable(one)
        }
        taken = {key: names_of(one) for key, one in known.items()}
        refusing = [key for key, names in taken.items() if not {argument, ""} & {*names}]
        packages = {known[key].__module__.partition(".")[0] for key in refusing}
        if len(packages) == 1:
            package = packages.pop()
            version = version_of(importlib.metadata.packages_distributions().get(package, [package])[0])
            of = f" of {package} {version}" if version else ""
            refuser, names = known[refusing[0]], taken[refusing[0]]
            if has(refuser, "from_pretrained"):  # of transformers, which hands on what it doesn't know
                names = [*names, *names_of(refuser.from_pretrained)]
            return {"library": package, "of": of, "near": near(argument, names)}
    return {}


def names_of(function: Any) -> list[str]:
    """Return the names of the arguments of a function or class; "" is among them if it may take any."""
    parameters = parameters_of(function)
    if parameters is None:
        return [""]
    named = [one for one in parameters if one.kind is not one.VAR_POSITIONAL]
    return ["" if one.kind is one.VAR_KEYWORD else one.name for one in named]


def near(argument: str, names: list[str]) -> str:
    """Return the one of some names that is probably meant, "" if none is near."""
    parts = set(argument.split("_"))  # request_timeout: timeout
    same = [name for name in names if name and (set(name.split("_")) == parts or {name} < parts)]
    return next(iter(same or difflib.get_close_matches(argument, names, 1, 0.75)), "")


def version_of(distribution: str) -> str:
    """Return the version of a distribution, "" if it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return ""
