"""diagnose: the blog's troubleshooting list, executed on what you really have.

Nothing here runs a model, opens a connection or calls a method of your class; sources, signatures and
settings are read. `check_model_client` (kit/checkup.py) is what runs a class.
"""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import importlib.util
import inspect
import json
import linecache
import os
import re
import sys
import tomllib
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.config_list import (
    ConfigListError,
    Problem,
    check_config_list,
    hide_secrets,
    parse_config_list,
    read_source,
)
from kit.inspection import facts, model_clients, what_loading_takes
from kit.registration import PROTOCOL, Registration, register_model_clients
from kit.report import Finding, Report

ENDLESS = 1000  # turns from which on a chat counts as one that never ends


def diagnose(subject: Any = None, *classes: Any, error: BaseException | None = None) -> Report:
    """Return what is wrong, and how to mend it, what to mend first in front.

    Args:
        subject: an agent, a group-chat manager, a config list, an entry, the name of its file or
            environment variable, or a model client class; None looks at the packages alone.
        classes: the model client classes that you have.
        error: the exception that you got, if any.
    """
    report = Report()
    report.add(0, "the packages fit together", _packages())
    if isinstance(subject, type) and not classes:
        subject, classes = None, (subject,)
    if classes:
        report.add(1, "the classes", [finding for cls in classes for finding in _class(cls)])
    if isinstance(subject, (str, Path)):
        subject = _source(report, subject)
    if isinstance(subject, dict):
        message = "this is one entry; a config list is a list of them."
        report.add(2, "it is a list", [Finding("single-entry", message, "Put [ ] around it.", 2)])
        subject = [subject]
    if hasattr(subject, "config_list"):  # an LLMConfig
        subject = [_plain(entry) for entry in subject.config_list]
    if isinstance(subject, (list, tuple)):
        _list(report, list(subject), classes)
    elif hasattr(subject, "generate_reply"):
        _agent(report, subject, classes)
    elif subject is not None:
        message = f"a {type(subject).__name__} can't be diagnosed."
        fix = "Pass an agent, a config list, the name of its file, or a class."
        report.add(2, "what was passed", [Finding("unknown-subject", message, fix, 2)])
    if error is not None:
        explained = explain(error)
        if explained.code not in {finding.code for finding in report.findings}:
            report.add(explained.step, "the error", [explained])
    return report


# The packages ---------------------------------------------------------------------------------


def _packages() -> list[Finding]:
    """Return what keeps the packages from working together."""
    findings = []
    for name in ("autogen", "openai", "transformers", "torch", "kit"):
        for file in (Path(f"{name}.py"), Path(name, "__init__.py")):
            if file.is_file() and Path(__file__).resolve().parent != file.resolve().parent:
                message = f"{file} in this folder hides the package {name}."
                findings.append(Finding("shadowed", message, "Rename it, and restart the kernel.", 0))
    owners = sorted(set(_owners()))
    named = " and ".join(f"{name} {_version(name)}" for name in owners)
    fix = "pip install 'autogen[openai]==0.14.1', and restart the kernel."
    if len(owners) > 1:
        message = f"{named} overwrite each other: all of them install a module `autogen`."
        uninstall = f"pip uninstall -y {' '.join(owners)}, then {fix}"
        findings.append(Finding("two-autogens", message, uninstall, 0))
    elif not owners:
        others = [name for name in ("autogen-agentchat", "autogen-core", "ag2") if _version(name)]
        but = "".join(f" {name} {_version(name)} has none." for name in others)
        message = f"no installed package has a module `autogen`.{but}"
        findings.append(Finding("no-autogen", message, fix, 0))
    if _version("openai") is None:
        message = "AutoGen needs the package openai, for clients of your own too."
        findings.append(Finding("no-openai", message, "pip install openai", 0))
    return findings


def _owners() -> list[str]:
    return importlib.metadata.packages_distributions().get("autogen", [])


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


# Step 1: the class ----------------------------------------------------------------------------


def _class(cls: Any) -> list[Finding]:
    """Return what can be seen to be wrong with a class without running it."""
    findings = []
    if not isinstance(cls, type):
        name = type(cls).__name__
        message = f"this is an instance of {name}: AutoGen's register_model_client wants the class."
        fix = f"agent.register_model_client({name}), or kit's register_model_clients, which takes both."
        findings.append(Finding("instance", message, fix, 1, warning=True))
        cls = type(cls)
    name = cls.__name__
    for method in PROTOCOL:
        found = inspect.getattr_static(cls, method, None)
        if found is None:
            close = difflib.get_close_matches(method, [n for n in vars(cls) if n not in PROTOCOL], 1)
            but = f" Is {close[0]!r} meant?" if close else ""
            message = f"{name} has no method {method}.{but}"
            findings.append(Finding("missing-method", message, f"def {method}(self, ...): ...", 1))
            continue
        function = getattr(found, "__func__", found)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            message = f"{name}.{method} is async: AutoGen would get a coroutine instead of its result."
            findings.append(Finding("coroutine", message, f"def {method}, without async", 1))
        elif inspect.isfunction(function) and not _takes(found, 1 if isinstance(found, staticmethod) else 2):
            if method == "get_usage":
                message = f"{name}.get_usage does not take what AutoGen passes: it is no static method."
                findings.append(Finding("get-usage-not-static", message, "@staticmethod above it", 1))
            else:
                message = f"{name}.{method} does not take one argument besides self."
                findings.append(
                    Finding("signature", message, f"def {method}(self, {_PASSED[method]}): ...", 1)
                )
    if not findings:
        findings += _constructor(cls)
    return findings


_PASSED = {"create": "params", "message_retrieval": "response", "cost": "response", "get_usage": "response"}


def _takes(function: Any, count: int) -> bool:
    """Return whether a function can be called with so many arguments."""
    try:
        inspect.signature(getattr(function, "__func__", function)).bind(*[None] * count)
    except TypeError:
        return False
    return True


def _constructor(cls: type) -> list[Finding]:
    if inspect.getattr_static(cls, "__init__") is object.__init__:
        message = f"{cls.__name__} has no __init__ that takes the config entry."
        return [Finding("constructor", message, "def __init__(self, config, **kwargs): ...", 1)]
    try:
        parameters = [*inspect.signature(cls).parameters.values()]
    except (TypeError, ValueError):  # made in C
        return []
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not positional and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        message = f"{cls.__name__}'s constructor does not take the config entry, which AutoGen passes first."
        return [Finding("constructor", message, "def __init__(self, config, **kwargs): ...", 1)]
    needed = [
        p.name
        for p in parameters
        if p not in positional[:1]
        and p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if not needed:
        return []
    passed = ", ".join(f"{name}=..." for name in needed)
    message = f"{cls.__name__}'s constructor needs {', '.join(needed)} besides the config entry."
    fix = f"agent.register_model_client({cls.__name__}, {passed})"
    return [Finding("needs-arguments", message, fix, 3, warning=True)]


# Step 2: the list -----------------------------------------------------------------------------


def _source(report: Report, name: str | Path) -> list[dict[str, Any]] | None:
    """Return the entries of a file or variable, None after reporting why there are none."""
    findings = []
    variable = os.environ.get(str(name))
    if variable and Path(name).is_file() and variable != str(name):
        message = f"the environment variable {name} is set, so AutoGen does not read the file {name}."
        fix = f"Unset the variable, or rename the file: del os.environ[{str(name)!r}]"
        findings.append(Finding("variable-hides-file", message, fix, 2, warning=True))
    try:
        text, source, _ = read_source(name)
        entries = parse_config_list(text, source)
    except ConfigListError as refused:
        findings += [_of_problem(problem) for problem in refused.problems]
        report.add(2, f"{name} can be read", findings)
        return None
    report.add(2, f"{name} can be read", findings)
    return entries


def _list(report: Report, entries: list[Any], classes: tuple[Any, ...]) -> None:
    problems = check_config_list(entries)
    report.add(2, "AutoGen accepts the list", [_of_problem(problem) for problem in problems])
    objects = [entry for entry in entries if isinstance(entry, dict)]
    if classes:
        report.add(3, "what the entries name", _names(objects, classes))
    _local_models(report, "local models", objects)


def _local_models(report: Report, checked: str, entries: list[dict[str, Any]]) -> None:
    found = [_local_model(index, entry) for index, entry in enumerate(entries) if _loads_a_model(entry)]
    if found:
        report.add(2, checked, sum(found, []))


def _of_problem(problem: Problem) -> Finding:
    """Return a config list's problem as a finding: its first sentence, and what follows as the fix."""
    what, _, fix = str(problem).partition(". ")
    return Finding("config-list", what, fix, 2, problem.warning)


def _names(entries: list[dict[str, Any]], classes: tuple[Any, ...]) -> list[Finding]:
    """Return where the names in the entries and those of the classes differ."""
    names = [cls.__name__ if isinstance(cls, type) else type(cls).__name__ for cls in classes]
    findings = []
    for name in sorted({name for name in names if names.count(name) > 1}):
        message = f"two of the classes are named {name}: an entry can't tell them apart."
        findings.append(Finding("same-name", message, "Give one of them another name.", 1))
    wanted = [entry.get("model_client_cls") for entry in entries]
    for index, named in enumerate(wanted):
        if names and isinstance(named, str) and named not in names:
            similar = [name for name in names if name.lower() == named.lower()]
            close = [*similar, *difflib.get_close_matches(named, names, 1, 0.5), names[0]][0]
            message = f"entry {index} names {named!r}; the classes here are named {', '.join(names)}."
            fix = f'"model_client_cls": "{close}"'
            findings.append(Finding("name-differs", message, fix, 3))
    if names and not any(wanted):
        message = "no entry names a class, so AutoGen takes its own client, for OpenAI."
        fix = f'Add "model_client_cls": "{names[0]}" to the entry.'
        findings.append(Finding("no-entry-for-class", message, fix, 2))
    return findings


def _loads_a_model(entry: dict[str, Any]) -> bool:
    name, cls = entry.get("model"), entry.get("model_client_cls")
    known = facts(cls, {}) if isinstance(cls, str) else None
    return bool(known and ("device",) in known.fields and isinstance(name, str))


def _local_model(index: int, entry: dict[str, Any]) -> list[Finding]:
    """Return what keeps an entry's model from being loaded here; only files are looked at."""

    def wrong(code: str, message: str, fix: str, warning: bool = False) -> Finding:
        return Finding(code, f"entry {index}: {message}", fix, 2, warning)

    findings = []
    if importlib.util.find_spec("transformers") is None or importlib.util.find_spec("torch") is None:
        findings.append(
            wrong("missing-package", "transformers or torch is missing.", "pip install transformers torch")
        )
    if entry.get("device_map") and importlib.util.find_spec("accelerate") is None:
        findings.append(wrong("missing-package", "device_map needs accelerate.", "pip install accelerate"))
    torch = sys.modules.get("torch")
    device = str(entry.get("device") or "auto").partition(":")[0]
    if device not in ("auto", "cpu", "cuda", "mps"):
        message = f"there is no device {entry['device']!r}."
        findings.append(wrong("unknown-device", message, '"device": "auto"'))
    elif torch and (
        (device == "cuda" and not torch.cuda.is_available())
        or (device == "mps" and not torch.backends.mps.is_available())
    ):
        findings.append(wrong("no-device", f"this machine has no {device}.", '"device": "auto"'))
    if entry.get("dtype") == "float16" and device == "cpu":
        message = "float16 on a CPU is slow, and some layers have no such kernel."
        findings.append(wrong("half-on-cpu", message, '"dtype": "auto"', warning=True))
    if entry.get("trust_remote_code"):
        message = "trust_remote_code would run a stranger's program."
        findings.append(wrong("remote-code", message, "Leave it out; take a model that transformers knows."))
    return findings + [
        replace(f, message=f"entry {index}: {f.message}") for f in _model_folder(entry, entry["model"])
    ]


def _model_folder(entry: dict[str, Any], name: str) -> list[Finding]:
    folder = Path(name).expanduser()
    if not folder.exists():
        looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") != 1 or "\\" in name
        if looks_like_a_path or folder.parent.is_dir() and folder.parent != Path():
            message = f"there is no folder {name!r} (looked from {Path.cwd().name!r})."
            return [Finding("no-folder", message, 'Mend the path, or take "model": kit.local_model().', 2)]
        return []  # a name on the model hub: only a network could tell
    if folder.is_file():
        message = f"{name!r} is a file: transformers loads a folder."
        return [Finding("file-not-folder", message, "Name the folder that holds config.json.", 2)]
    if not (folder / "config.json").is_file():
        kind = (
            "GGUF files, which have to be converted first" if [*folder.glob("*.gguf")] else "no config.json"
        )
        message = f"the folder {name!r} holds {kind}."
        return [Finding("no-config", message, "Name the folder that holds config.json.", 2)]
    findings = []
    if not [*folder.glob("*.safetensors")]:
        message = f"{name!r} has no safetensors, the only weights that are loaded."
        findings.append(
            Finding("no-safetensors", message, "Fetch the model again, with its *.safetensors.", 2)
        )
    if not (folder / "tokenizer.json").is_file() and not (folder / "tokenizer_config.json").is_file():
        message = f"{name!r} has no tokenizer."
        findings.append(
            Finding("no-tokenizer", message, "Save it there: tokenizer.save_pretrained(folder)", 2)
        )
    elif not _has_chat_template(folder):
        message = f"the tokenizer of {name!r} has no chat template, so it is probably no chat model."
        findings.append(Finding("no-chat-template", message, "Take the model's instruct version.", 2))
    window = _json(folder / "config.json").get("max_position_embeddings")
    asked = entry.get("max_tokens") or (entry.get("params") or {}).get("max_length")
    if isinstance(window, int) and isinstance(asked, int) and asked >= window:
        message = f"{asked} new tokens do not fit into the context window of {window}."
        findings.append(Finding("context-window", message, f'"max_tokens": {window // 4}', 2))
    if "may not fit" in (takes := what_loading_takes(entry)):
        findings.append(Finding("memory", takes, "Choose a smaller model, or quantization.", 2, warning=True))
    return findings


def _has_chat_template(folder: Path) -> bool:
    files = [*folder.glob("chat_template*"), *folder.glob("additional_chat_templates/*")]
    return bool(files) or "chat_template" in _json(folder / "tokenizer_config.json")


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


# Step 3: agents -------------------------------------------------------------------------------


def _agent(report: Report, agent: Any, classes: tuple[Any, ...]) -> None:
    group = getattr(agent, "groupchat", None)
    members = [*group.agents, agent] if group else [agent]
    for member in members:
        entries = [_plain(entry) for entry in _entries(member)]
        if entries and classes:
            report.add(3, f"{member.name}: names", _names(entries, classes))
        _local_models(report, f"{member.name}: local models", entries)
    registrations = register_model_clients(agent)
    report.add(3, "every entry has its client", _unregistered(registrations, members, agent))
    if classes:
        report.add(3, "the clients are of today's classes", _stale(registrations, classes))
    if any((member.llm_config or {}).get("tools") for member in members):
        report.add(3, "tools", [finding for member in members for finding in _tools(member)])
    if group:
        report.add(4, "the group", _group(group, agent))
    report.add(4, "the chat ends", [finding for member in members for finding in _settings(member)])


def _entries(agent: Any) -> list[Any]:
    config = getattr(agent, "llm_config", None)
    return list(config["config_list"]) if config else []


def _plain(entry: Any) -> dict[str, Any]:
    return entry.model_dump() if hasattr(entry, "model_dump") else dict(entry)


def _unregistered(registrations: Iterable[Registration], members: list[Any], agent: Any) -> list[Finding]:
    done = list(registrations)
    findings = []
    with_tools = {member.name for member in members if (member.llm_config or {}).get("tools")}
    selects = any(item.agent == "speaker selection" for item in done)
    for item in done:
        if item.client is not None or (selects and item.agent == agent.name):
            continue  # a manager answers nothing itself
        where = f"{item.agent}, entry {item.entry} ({item.model})"
        twin = next(
            (o for o in done if o.client and o.agent == item.agent and o.class_name == item.class_name), None
        )
        elsewhere = next((o for o in done if o.client and o.class_name == item.class_name), None)
        fix = f"{item.agent}.register_model_client({item.class_name})"
        if item.agent == "speaker selection":
            message = f"{where}: the hidden agent that selects the speaker has no {item.class_name}."
            fix = f"register_model_clients({agent.name}, {item.class_name}), or give GroupChat both " + (
                "select_speaker_auto_llm_config and select_speaker_auto_model_client_cls."
            )
            findings.append(Finding("selector", message, fix, 3))
        elif twin:
            message = (
                f"{where}: {item.class_name} was registered once, for entry {twin.entry}; one call fills one."
            )
            findings.append(Finding("registered-once", message, f"Call it again: {fix}", 3))
        elif elsewhere:
            message = f"{where}: {item.class_name} was registered on {elsewhere.agent}, not here."
            findings.append(Finding("wrong-agent", message, fix, 3))
        else:
            lost = " Adding tools empties the places again." if item.agent in with_tools else ""
            message = f"{where}: {item.class_name} is not registered.{lost}"
            findings.append(Finding("not-registered", message, fix, 3))
    return findings


def _stale(registrations: Iterable[Registration], classes: tuple[Any, ...]) -> list[Finding]:
    today = {cls.__name__: cls for cls in classes if isinstance(cls, type)}
    findings = []
    for item in registrations:
        cls = today.get(item.class_name)
        made = item.client if isinstance(item.client, type) else type(item.client)
        if cls and item.client is not None and made is not cls and not hasattr(made, "kit_client"):
            message = f"{item.agent}, entry {item.entry}: the client is of an older {item.class_name}."
            call = f"register_model_clients({item.agent}, {item.class_name})"
            fix = f"The cell of the class was run again, so register it again: {call}"
            findings.append(Finding("stale-class", message, fix, 3))
    return findings


def _tools(agent: Any) -> list[Finding]:
    if not (getattr(agent, "llm_config", None) or {}).get("tools"):
        return []
    findings = []
    for client in getattr(getattr(agent, "client", None), "_clients", []):
        template = getattr(getattr(client, "tokenizer", None), "chat_template", None)
        if isinstance(template, str) and "tools" not in template:
            message = f"{agent.name} has tools, and the chat template of its model has no place for them."
            fix = "Take a model that was trained to call tools, such as Qwen2.5-Instruct."
            findings.append(Finding("tools-unseen", message, fix, 3, warning=True))
    return findings


def _group(group: Any, manager: Any) -> list[Finding]:
    findings = []
    if group.speaker_selection_method == "auto":
        own = group.select_speaker_auto_llm_config
        if not own and not manager.llm_config:
            message = "nobody can select the next speaker: the manager has no llm_config."
            fix = 'GroupChatManager(groupchat=..., llm_config=...), or speaker_selection_method="round_robin"'
            findings.append(Finding("no-selector", message, fix, 3))
        if group.select_speaker_auto_model_client_cls and not own:
            message = (
                "select_speaker_auto_model_client_cls is ignored without select_speaker_auto_llm_config."
            )
            findings.append(Finding("selector-ignored", message, "Give GroupChat both of them.", 3))
    if group.max_round < 2:
        message = f"max_round is {group.max_round}: nobody gets to answer."
        findings.append(Finding("too-few-rounds", message, "GroupChat(..., max_round=6)", 4, warning=True))
    if group.max_round >= ENDLESS:
        message = f"max_round is {group.max_round}: this chat hardly ever ends."
        findings.append(Finding("endless", message, "GroupChat(..., max_round=12)", 4, warning=True))
    return findings


def _settings(member: Any) -> list[Finding]:
    findings = []
    turns = member.max_consecutive_auto_reply() if hasattr(member, "max_consecutive_auto_reply") else None
    asks = getattr(member, "human_input_mode", "NEVER") == "ALWAYS"
    is_manager = hasattr(member, "groupchat")
    if turns is not None and turns >= ENDLESS and not asks and not is_manager:
        message = f"{member.name} may reply {turns} times in a row."
        findings.append(Finding("endless", message, "max_turns=... in initiate_chat", 4, warning=True))
    if turns == 0 and not asks:
        message = f"{member.name} never replies by itself: max_consecutive_auto_reply is 0."
        findings.append(Finding("silent", message, "max_consecutive_auto_reply=1", 4, warning=True))
    if type(member).__name__ == "AssistantAgent" and not member.llm_config:
        message = f"{member.name} has no llm_config, so no model answers."
        findings.append(Finding("no-model", message, "AssistantAgent(..., llm_config=LLMConfig(entry))", 2))
    if getattr(member, "_code_execution_config", False):
        message = f"{member.name} runs the code that a model writes, on this machine or in Docker."
        fix = "code_execution_config=False, unless that is what you want."
        findings.append(Finding("runs-code", message, fix, 4, warning=True))
    return findings


# The error ------------------------------------------------------------------------------------


@functools.cache
def _rules() -> list[dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_name("errors.toml").read_text(encoding="utf-8"))["rule"]


def explain(error: BaseException) -> Finding:
    """Return what an exception means, and how to mend it; where it can be told, with the place."""
    text = hide_secrets(" ".join(str(error).split())) or type(error).__name__
    place = _place(error)
    kinds = {cls.__name__ for cls in type(error).__mro__}
    for rule in _rules():
        fits = kinds & set(rule["type"].split("|"))
        found = re.search(rule.get("text", ""), str(error)) if fits else None
        if found:
            groups = [_short(text), *(hide_secrets(group or "") for group in found.groups())]
            what, fix = rule["what"].format(*groups), rule["fix"].format(*groups)
            return Finding(rule["code"], place + what, fix, rule["step"])
    message = f"{place}{type(error).__name__}: {_short(text)}"
    return Finding("error", message, "Mend what the message names, then try again.", 1 if place else 4)


def _place(error: BaseException) -> str:
    """Return the line of a model client that an exception came from: "Mine.create, line 3, `...`: "."""
    for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
        owner = frame.f_locals.get("self")
        file = frame.f_code.co_filename
        if owner is None or not all(hasattr(type(owner), name) for name in PROTOCOL):
            continue
        if "site-packages" in file or Path(file).parent == Path(__file__).parent / "clients":
            continue  # AutoGen's own clients, and the kit's, whose messages say enough
        code = linecache.getline(file, line).strip()
        return f"{type(owner).__name__}.{frame.f_code.co_name}, line {line}, `{code}`: "
    return ""


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:297]}..."


# In a notebook --------------------------------------------------------------------------------


def load_magic(shell: Any) -> None:
    """Give a notebook the line magic `%diagnose`, which `%load_ext kit` does."""

    def magic(line: str) -> Report | None:
        """Say what is wrong: `%diagnose` after a cell that failed, or `%diagnose agent Class ...`."""
        unknown = [name for name in line.split() if name not in shell.user_ns]
        if unknown:
            print(f"There is no variable {unknown[0]!r} in this notebook.")
            return None
        subject, *classes = [shell.user_ns[name] for name in line.split()] or [None]
        error = getattr(sys, "last_value", None)
        if subject is None and error is not None:
            subject = agent_of(error)
        return diagnose(subject, *(classes or model_clients(shell.user_ns).values()), error=error)

    shell.register_magic_function(magic, "line", "diagnose")


def agent_of(error: BaseException) -> Any:
    """Return the agent in whose reply an exception was raised, None if there is none."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in frame.f_locals.values():
            if hasattr(value, "generate_reply") and hasattr(value, "llm_config") and value.llm_config:
                return value
    return None
