"""What is known about an exception, for the rules of the catalogue."""

from __future__ import annotations

import builtins
import contextlib
import json
import re
import sys
import urllib.error
from pathlib import Path
from typing import Any

from kit.agents.inside import has, names_in
from kit.checks.answers import answered, body_of, refusal, told, told_by, told_in, way_to
from kit.checks.check_packages import extra_of, modules_of, version_of
from kit.checks.expression import callee_of, class_asked, container_of, failed, lacking, text_path
from kit.checks.frames import (
    called,
    frames_of,
    given,
    is_own,
    line_of,
    line_of_autogen,
    owner_of,
    package_of,
    selves,
    text_of,
)
from kit.checks.names import (
    attributes_of,
    home_of,
    misspelt,
    near,
    refusing,
    wanted_by,
)
from kit.config_list.hints import field_meant
from kit.config_list.secrets import fit, masked

# What reading a refusal raises, as if it were none.
READING = (LookupError, TypeError, ValueError, AttributeError)
# What raises exceptions for whoever called it: who asks servers, and torch.
CALLED = ("requests", "urllib3", "httpx", "httpcore", "anyio", "aiohttp", "torch")
LINE_OF_TEXT = re.compile(r"(?m)^(?:[\w.]*\.)?(\w*(?:Error|Exception|Exit|Interrupt|NotFound|Timeout)): (.*)")


def facts_of(error: Any) -> dict[str, Any]:
    """Return what is known about an exception, or about its text, for the rules of the catalogue.

    `types` are the names of its classes. Of a text only these are known, and a status that it names.
    """
    if isinstance(error, str):
        return _facts_of_text(error)
    frames, text = frames_of(error), text_of(error)
    statement = (line_of(*frames[0]) or frames[0][0].f_code.co_qualname) if frames else ""
    facts: dict[str, Any] = {
        "types": {cls.__name__ for cls in type(error).__mro__},
        "type": type(error).__name__,
        "text": text,
        "where": called(frames),
        "by": owner_of(frames),
        "line": line_of_autogen(frames),
        "statement": statement,
        "says": "yes" if statement.startswith(("raise ", "assert ")) else "no",
        "through": " ".join(frame.f_code.co_name for frame, _ in frames if package_of(frame) == "autogen"),
    }
    agent = next((one for one in selves(frames) if has(one, "generate_reply", "_name")), None)
    facts["agent"] = str(getattr(agent, "name", ""))
    facts |= _request(error, frames, agent, facts)
    facts |= _at_work_on(error, frames) | _names(error, frames, facts)
    if isinstance(error, json.JSONDecodeError):
        facts["doc"] = error.doc[:10_000]
    if isinstance(error, ImportError):
        facts["extra"] = extra_of(text)
    if isinstance(error, ModuleNotFoundError) and error.name:
        facts["modules"] = modules_of(error.name)
        package, _, module = error.name.partition(".")
        if module and package in sys.modules:
            facts["inside"] = f"{package} {version_of(package)}".rstrip()
    if isinstance(error, FileNotFoundError) and isinstance(error.filename, str):
        facts["looked"] = _looked(Path(error.filename))
    if facts["by"] not in ("", "own", "kit"):
        facts["raised"] = f" (raised in {facts['by']})"
    return facts


def _request(error: Any, frames: list[tuple[Any, int]], agent: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Return what a server had been asked, and what it had answered."""
    params = given(error, "params")
    asked = params if isinstance(params, dict) else {}
    facts: dict[str, Any] = {"stream": "yes" if asked.get("stream") else "no"}
    packages = (package_of(frame) for frame, _ in frames)
    facts["asker"] = next((one for one in packages if one and one not in CALLED), "")
    facts |= told_in(known["text"]) | _answer(error, frames)
    sent = facts.pop("sent", asked if known["where"] == "autogen" else {})
    if facts.get("status", "")[:1] in ("4", "5"):
        facts |= refusal(facts["body"], sent, asked, getattr(agent, "llm_config", None))
    passed = [frame.f_locals.get("messages") for frame, _ in frames if package_of(frame) == "autogen"]
    lists = [one for one in (sent.get("messages"), *passed) if isinstance(one, list)]
    last = next((one[-1] for one in lists if one), None)
    facts["last"] = "empty" if isinstance(last, dict) and last.get("content") == "" else ""
    facts["got"] = next((kind for one in passed if (kind := _no_messages(one))), "")
    hooks = getattr(agent, "hook_lists", None) or {}
    facts["hooked"] = ", ".join(getattr(one, "__qualname__", "?") for hook in hooks.values() for one in hook)
    return facts


def _at_work_on(error: Any, frames: list[tuple[Any, int]]) -> dict[str, str]:
    """Return what AutoGen was at work on: an entry, a list, a class to register, a function, a filter."""
    facts = {}
    if entry := given(error, "openai_config"):
        facts["base_url"] = str(entry.get("base_url") or "")
    made = {frame.f_code.co_qualname: frame.f_locals for frame, _ in frames}
    if entry := made.get("OpenAIWrapper._register_default_client", {}).get("config"):
        facts["for"] = f" for {entry.get('model')}"
    elif (wrapping := made.get("OpenAIWrapper.__init__")) is not None:
        facts["listed"] = "yes" if wrapping["config_list"] else "no"
    asking = made.get("OpenAIWrapper.create", {})
    facts["more"] = "yes" if asking.get("i") != asking.get("last") else ""
    if registering := next((frame for frame, _ in frames if "model_client_cls" in frame.f_locals), None):
        name = getattr(registering.f_locals["model_client_cls"], "__name__", "")
        facts["named"] = "yes" if name in names_in(registering.f_locals.get("self")) else "no"
    function = frames[0][0].f_locals.get("reply_func") if frames else None
    facts["function"] = str(getattr(function, "__qualname__", ""))
    if wanted := given(error, "filter_dict", "kwargs"):
        facts["filter"] = fit(str(masked(wanted)), 100)
    return facts


def _names(error: Any, frames: list[tuple[Any, int]], known: dict[str, Any]) -> dict[str, str]:
    """Return what is known of a name that was not there: an argument, an attribute, a key."""
    facts: dict[str, str] = {}
    text = known["text"]
    node, there = failed(error)
    if callee := re.search(r"([\w.<>]+)\(\) got an unexpected keyword argument '(\w+)'", text):
        function = callee_of(node, there, callee[1])
        facts |= refusing(function, callee[2]) | {"meant": field_meant(callee[2], {})}
    elif unused := re.search(r"are not used by the model: \['(\w+)", text):
        options = getattr(sys.modules.get("transformers"), "GenerationConfig", dict)
        facts["near"] = near(unused[1], [*vars(options())] if options is not dict else [])
    if unknown := re.search(r"cannot import name '(\w+)' from '([\w.]+)'", text):
        facts["near"] = misspelt(unknown[1], dir(sys.modules.get(unknown[2])))
    if re.search(r"\(\) missing \d+ required positional", text):
        facts["receiver"] = class_asked(node, there)
    if type(error) is NameError:
        facts["near"] = misspelt(error.name, there)
    if missing := re.search(r"(?:module 'autogen\S*' .*|cannot import name )'(\w+)'", text):
        facts["home"] = home_of(missing[1])
    if isinstance(error, AttributeError) and error.name:
        facts |= _attribute(error, frames, known)
    path, value = container_of(node, there)
    if isinstance(error, IndexError):
        facts["empty"] = path if value == [] else ""
    if isinstance(error, KeyError) and error.args and known["by"] == "own" and isinstance(value, dict):
        facts |= {"held": text_path(value, path), **lacking(path, value, error.args[0])}
    return facts


def _attribute(error: AttributeError, frames: list[tuple[Any, int]], known: dict[str, Any]) -> dict[str, str]:
    """Return what is known of an attribute that is not there: a near one, who has it, whether it was set."""
    name = str(error.name)
    own = frames[0][0].f_locals.get("self") if frames else None
    facts = {"unset": "yes" if own is not None and error.obj is own else "no"}
    facts["yours"] = "yes" if is_own(type(error.obj)) else ""
    with contextlib.suppress(Exception):  # of somebody's `__dir__`
        facts["near"] = misspelt(name, dir(error.obj))
    if known["by"] == "autogen" and (wanted := wanted_by(known["statement"], name)):
        return facts | wanted
    return facts | attributes_of(error.obj, name)


def _no_messages(value: Any) -> str:
    """Return what a value is that should be a list of messages, "" if it is one, or nothing."""
    if value == []:
        return "an empty list"
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


def _looked(path: Path) -> str:
    """Return where a relative path was looked for, and whether a file of its name is near there."""
    if path.is_absolute():
        return ""
    near_by = [*Path().glob(path.name), *Path().glob(f"*/{path.name}"), *Path("..").glob(path.name)]
    there = f", and {near_by[0]} is there" if near_by else ""
    return f" (looked for from the folder {Path.cwd().name}{there})"


def _answer(error: Any, frames: list[tuple[Any, int]]) -> dict[str, Any]:
    """Return status, url, host, body and reason, as far as there was a request and an answer to it."""
    asked = None
    with contextlib.suppress(Exception):  # httpx raises where there is no request
        asked = error.request
    for answer in (getattr(error, "response", None), *selves(frames)):
        if answered(answer):
            return told_by(answer)
    if isinstance(error, urllib.error.HTTPError):
        return told(str(error.code), str(error.url), body_of(error))
    for frame, line in frames:  # in code of one's own: a refusal that nobody looked at
        named = re.findall(r"\w+", line_of(frame, line)) if package_of(frame) == "own" else []
        others = frame.f_locals.values() if named and frame.f_locals is not frame.f_globals else ()
        for answer in (*map(frame.f_locals.get, named), *(others if isinstance(error, READING) else ())):
            if answered(answer) and str(answer.status_code)[:1] in ("4", "5"):
                return told_by(answer)
        for answer in map(frame.f_locals.get, named) if isinstance(error, READING) else ():
            if isinstance(answer, dict) and isinstance(answer.get("error"), (dict, str)):
                return told("4xx", "", json.dumps(answer, default=str))  # the status is not in it
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
