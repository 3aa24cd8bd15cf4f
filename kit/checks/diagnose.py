"""diagnose: the blog's troubleshooting list, executed on what you really have.

Nothing here runs a model, opens a connection or calls a method of your class; sources, signatures and
settings are read. `check_model_client` is what runs a class.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kit.agents.inside import (
    PROTOCOL,
    Registration,
    clients_of,
    entries_of,
    everybody,
    group_of,
    has,
    has_own_reply,
    is_agent,
    places_of,
    plain,
    runs_code,
    selector_places,
)
from kit.checks.explain import explain, frames_of, text_of
from kit.checks.protocol import constructor_of, methods_of, model_clients, needed_by
from kit.checks.report import Finding, Report
from kit.config_list.lists import ConfigListError, Problem, check_config_list, parse_config_list, read_source
from kit.models import look_into


def diagnose(subject: Any = None, *classes: Any, error: BaseException | str | None = None) -> Report:
    """Return what is wrong, and how to fix it, what to fix first in front.

    Args:
        subject: an agent, a list of them, a group-chat manager, a config list, an entry, the name of
            its file or environment variable, or a model client class; None looks at the packages alone.
        classes: the model client classes that you have.
        error: the exception that you got, or its text, if any.
    """
    report = Report()
    with _looking(report, 0):
        report.add(0, "the packages fit together", [*_packages()])
    if not classes and has(subject, *PROTOCOL) or isinstance(subject, type):
        subject, classes = None, (subject if isinstance(subject, type) else type(subject), *classes)
    agents = [*subject] if isinstance(subject, (list, tuple)) and subject else [subject]
    is_list = not all(has(agent, "generate_reply") for agent in agents)
    places: list[Registration] = []
    with _looking(report, 3):
        agents = [] if is_list else everybody(agents)
        places = [place for agent in agents for place in places_of(agent)]
    if classes:
        with _looking(report, 1):
            entered = {place.class_name for place in places}
            report.add(1, "the classes", [finding for cls in classes for finding in _class(cls, entered)])
    usable = [cls for cls in classes if isinstance(cls, type) or has(cls, *PROTOCOL)]
    known = [cls if isinstance(cls, type) else type(cls) for cls in usable]
    explained = None if error is None else explain(error)
    if explained and explained.code == "name-differs":  # that is why nothing is registered
        report.add(explained.step, "the error", [explained])
    with _looking(report, 2 if is_list else 3):
        if is_list and subject is not None:
            _config(report, subject, known)
        elif agents:
            _agents(report, agents, places, known)
    codes = {finding.code for finding in report.findings}
    if codes & {"selector", "wrong-agent", "registered-once"}:  # which say more than the error does
        codes.add("not-registered")
    if explained and explained.code not in codes:
        report.add(explained.step, "the error", [explained])
    return report


@contextlib.contextmanager
def _looking(report: Report, step: int) -> Iterator[None]:
    """Report an object that can't even be looked at, in place of what would have been found there."""
    try:
        yield
    except (Exception, SystemExit) as error:
        message = f"what is here can't be looked at: {type(error).__name__}: {text_of(error)}"
        fix = "Find what raises it: a property, a metaclass, or a value inside."
        report.add(step, "all of it", [Finding("unreadable", message, fix, step)])


# The packages ---------------------------------------------------------------------------------


def _packages() -> Iterator[Finding]:
    """Yield what keeps the packages from working together."""
    for name in ("autogen", "openai", "transformers", "torch", "kit"):
        for file in (Path(f"{name}.py"), Path(name, "__init__.py")):
            if file.is_file() and Path(__file__).resolve().parents[1] != file.resolve().parent:
                message = f"{file} in this folder hides the package {name}."
                yield Finding("shadowed", message, "Rename it, and restart the kernel.", 0)
    owners = sorted(set(importlib.metadata.packages_distributions().get("autogen", [])))
    fix = "pip install 'autogen[openai]==0.14.1', and restart the kernel."
    if len(owners) > 1:
        named = " and ".join(f"{name} {_version(name)}" for name in owners)
        message = f"{named} overwrite each other: all of them install a module `autogen`."
        yield Finding("two-autogens", message, f"pip uninstall -y {' '.join(owners)}, then {fix}", 0)
    elif not owners:
        others = [name for name in ("autogen-agentchat", "autogen-core", "ag2") if _version(name)]
        but = "".join(f" {name} {_version(name)} has none." for name in others)
        yield Finding("no-autogen", f"no installed package has a module `autogen`.{but}", fix, 0)
    if _version("openai") is None:
        message = "AutoGen needs the package openai, for clients of your own too."
        yield Finding("no-openai", message, "pip install openai", 0)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


# Step 1: the class ----------------------------------------------------------------------------


def _class(cls: Any, entered: set[str]) -> Iterator[Finding]:
    """Yield what can be seen to be wrong with a class without running it.

    What the constructors of classes in agents' entries need is part of the fix there.
    """
    if not isinstance(cls, type):
        name = type(cls).__name__
        if not has(cls, *PROTOCOL):
            message = f"{cls!r} is a {name}, not a model client class."
            yield Finding("no-class", message, "Pass the class itself, by its name without quotes.", 1)
            return
        message = f"this is an instance of {name}: AutoGen's register_model_client wants the class."
        fix = f"agent.register_model_client({name}), or kit's register_model_clients, which takes both."
        yield Finding("instance", message, fix, 1, warning=True)
        cls = type(cls)
    findings = methods_of(cls) or constructor_of(cls)
    yield from findings
    needed = [] if findings or cls.__name__ in entered else needed_by(cls)
    if needed:
        message = f"{cls.__name__}'s constructor needs {', '.join(needed)} besides the config entry."
        fix = f"agent.register_model_client({_call(cls)})"
        yield Finding("needs-arguments", message, fix, 3, warning=True)


def _call(cls: type) -> str:
    """Return what to pass to register_model_client for a class."""
    return ", ".join([cls.__name__, *(f"{name}=..." for name in needed_by(cls))])


# Step 2: the list -----------------------------------------------------------------------------


def _config(report: Report, subject: Any, classes: list[type]) -> None:
    """Report on a config list, or on what stands for one: its name, its text, one entry, an LLMConfig."""
    if isinstance(subject, (str, Path)):
        subject = _source(report, str(subject))
    if isinstance(subject, dict) and "config_list" in subject:  # what an agent takes as its llm_config
        subject = subject["config_list"]
    elif type(subject).__name__ == "LLMConfig":
        subject = subject.config_list
    elif isinstance(subject, dict):
        message = "this is one entry; a config list is a list of them."
        report.add(2, "it is a list", [Finding("single-entry", message, "Put [ ] around it.", 2)])
        subject = [subject]
    if isinstance(subject, (list, tuple)):
        entries = [plain(entry) if has(entry, "model_dump") else entry for entry in subject]
        _list(report, entries, classes)
    elif subject is not None:
        message = f"an object of {type(subject).__name__} can't be diagnosed."
        fix = "Pass an agent, a config list, the name of its file, or a class."
        if has(subject, "speaker_selection_method"):
            fix = "Pass the manager of the group: GroupChatManager(groupchat=...)."
        report.add(2, "what was passed", [Finding("unknown-subject", message, fix, 2)])


def _source(report: Report, name: str) -> list[dict[str, Any]] | None:
    """Return the entries of a file, a variable or a text, None after reporting why there are none."""
    findings, entries = [], None
    is_text = name.lstrip()[:1] in ("[", "{")
    shown = "the text" if is_text else name
    variable = os.environ.get(name)
    if variable and os.path.isfile(name) and variable != name:
        message = f"the environment variable {name} is set, so AutoGen does not read the file {name}."
        fix = f"Unset the variable, or rename the file: del os.environ[{name!r}]"
        findings.append(Finding("variable-hides-file", message, fix, 2, warning=True))
    try:
        text, source = (name, shown) if is_text else read_source(name)[:2]
        entries = parse_config_list(text, source)
    except ConfigListError as refused:
        findings += map(_of_problem, refused.problems)
    report.add(2, f"{shown} can be read", findings)
    return entries


def _list(report: Report, entries: list[Any], classes: list[type]) -> None:
    objects = {index: entry for index, entry in enumerate(entries) if isinstance(entry, dict)}
    misnamed = {index: field for index, entry in objects.items() if (field := _misnamed(entry))}
    findings = []
    for index, field in misnamed.items():
        value = objects[index][field]
        message = f"entry {index}: AutoGen does not know {field!r}, so it takes its own client, for OpenAI."
        if field == "model_client_cls":
            message = f"entry {index}: 'model_client_cls' holds the class itself: AutoGen wants its name."
        fix = f'"model_client_cls": "{getattr(value, "__name__", value)}"'
        findings.append(Finding("misnamed-class", message, fix, 2))
    findings += [] if misnamed else _unnamed(objects.values(), classes)
    for problem in check_config_list(entries):
        field = misnamed.get(problem.entry or 0)
        if not (findings and problem.field in ("api_key", field)):  # its own client wants a key: a symptom
            findings.append(_of_problem(problem))
    report.add(2, "AutoGen accepts the list", findings)
    if classes:
        report.add(2, "what the entries name", [*_names(objects, classes)])
    _local_models(report, "local models", objects)


def _misnamed(entry: dict[str, Any]) -> str | None:
    """Return the field of an entry that should name its class and does not, if there is one."""
    if "model_client_cls" in entry:
        return "model_client_cls" if isinstance(entry["model_client_cls"], type) else None
    return next(iter(get_close_matches("model_client_cls", map(str, entry), 1, 0.7)), None)


def _local_models(report: Report, checked: str, entries: dict[int, dict[str, Any]]) -> None:
    """Report on the folders of models; whether one can be loaded, its client says when it is registered."""
    folders = {
        index: entry["model"]
        for index, entry in entries.items()
        if entry.get("model_client_cls") == "HuggingFaceModelClient" and isinstance(entry.get("model"), str)
    }
    findings = [(index, finding) for index, name in folders.items() for finding in _model_folder(name)]
    if folders:
        report.add(2, checked, [replace(f, message=f"entry {index}: {f.message}") for index, f in findings])


def _of_problem(problem: Problem) -> Finding:
    """Return a config list's problem as a finding: its first sentence, and what follows as the fix."""
    place = str(problem).removesuffix(problem.message)
    what, _, fix = problem.message.partition(". ")
    if not fix and "read" not in what:  # "what it is: what to do"
        what, _, fix = problem.message.partition(": ")
    if problem.field == "api_key" and "client" in what:
        fix = f'A client of your own needs "model_client_cls" in its entry, OpenAI a key. {fix}'
    fix = fix or "Name the file or variable that holds the list; kit.ConfigListBuilder writes one."
    return Finding("config-list", place + what, fix, 2, problem.warning)


def _names(entries: dict[int, dict[str, Any]], classes: list[type]) -> Iterator[Finding]:
    """Yield where the names in the entries and those of the classes differ."""
    names = [cls.__name__ for cls in classes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        message = f"two of the classes are named {name}: an entry can't tell them apart."
        yield Finding("same-name", message, "Give one of them another name.", 1)
    for index, entry in entries.items():
        named = entry.get("model_client_cls")
        if isinstance(named, str) and named not in names:
            close = [*get_close_matches(named, names, 1, 0.5), names[0]][0]
            message = f"entry {index} names {named!r}; the classes here are named {', '.join(names)}."
            yield Finding("name-differs", message, f'"model_client_cls": "{close}"', 2)


def _unnamed(entries: Iterable[dict[str, Any]], classes: list[type]) -> list[Finding]:
    """Return that there are classes, and no entry that names any."""
    if not classes or any(entry.get("model_client_cls") for entry in entries):
        return []
    message = "no entry names a class, so AutoGen takes its own client, for OpenAI."
    fix = f'Add "model_client_cls": "{classes[0].__name__}" to the entry.'
    return [Finding("no-entry-for-class", message, fix, 2)]


def _model_folder(name: str) -> Iterator[Finding]:
    folder = Path(os.path.expanduser(name))
    if not os.path.exists(folder):
        looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") != 1 or "\\" in name
        if looks_like_a_path or folder.parent.is_dir() and folder.parent != Path():
            message = f"there is no folder {name!r} (looked from {Path.cwd().name!r})."
            yield Finding("no-folder", message, 'Fix the path, or take "model": kit.local_model().', 2)
        return  # else a name on the model hub: only a network could tell
    fix = "Name the folder that holds config.json."
    if folder.is_file():
        yield Finding("file-not-folder", f"{name!r} is a file: transformers loads a folder.", fix, 2)
        return
    files = look_into(folder)
    if not (folder / "config.json").is_file():
        kind = "GGUF files, which have to be converted first" if files.has_gguf else "no config.json"
        yield Finding("no-config", f"the folder {name!r} holds {kind}.", fix, 2)
        return
    if not files.weights:
        message = f"{name!r} has no safetensors, the only weights that are loaded."
        yield Finding("no-safetensors", message, "Fetch the model again, with its *.safetensors.", 2)
    if not files.has_tokenizer:
        fix = "Save it there: tokenizer.save_pretrained(folder)"
        yield Finding("no-tokenizer", f"{name!r} has no tokenizer.", fix, 2)
    elif not files.has_chat_template:
        message = f"the tokenizer of {name!r} has no chat template, so it is probably not a chat model."
        yield Finding("no-chat-template", message, "Take the model's instruct version.", 2)


# Step 3: agents -------------------------------------------------------------------------------


def _agents(report: Report, agents: list[Any], places: list[Registration], classes: list[type]) -> None:
    unnamed = _unnamed([entry for agent in agents for entry in entries_of(agent)], classes)
    for agent in agents:
        entries = dict(enumerate(entries_of(agent)))
        filled = {place.entry for place in places if place.agent == agent.name and place.client}
        if entries and classes:
            open_ones = {index: entry for index, entry in entries.items() if index not in filled}
            report.add(2, f"{agent.name}: names", [*unnamed, *_names(open_ones, classes)])
        _local_models(report, f"{agent.name}: local models", entries)
    managers = [agent for agent in agents if group_of(agent)]
    hidden = [place for manager in managers for place in selector_places(manager)]
    findings = [*_unregistered(places, hidden, agents, classes), *_changed(agents)]
    report.add(3, "every entry has its client", findings)
    if classes:
        report.add(3, "the clients are of today's classes", [*_stale(places, classes)])
    if with_tools := [agent for agent in agents if _has_tools(agent)]:
        report.add(3, "tools", [finding for agent in with_tools for finding in _tools(agent)])
    for manager in managers:
        report.add(4, "the group", [*_group(group_of(manager), manager)])
    report.add(4, "the chat ends", [finding for agent in agents for finding in _settings(agent)])


def _has_tools(agent: Any) -> bool:
    config = getattr(agent, "llm_config", None)
    return bool(config and has(config, "get") and config.get("tools"))


def _unregistered(
    places: list[Registration], hidden: list[Registration], agents: list[Any], classes: list[type]
) -> Iterator[Finding]:
    """Yield the places without a client; a manager's own need none, since it answers nothing itself."""
    with_tools = {agent.name for agent in agents if _has_tools(agent)}
    managers = {agent.name for agent in agents if group_of(agent)}
    calls = {cls.__name__: _call(cls) for cls in classes}
    misnamed = {place.class_name for place in places} - calls.keys() if calls else set()  # reported already
    for place in places:
        if place.client is not None or place.agent in managers:
            continue
        name, where = place.class_name, f"{place.agent}, entry {place.entry} ({place.model})"
        fix = f"{place.agent}.register_model_client({calls.get(name, name)})"
        ready = [other for other in places if other.client is not None and other.class_name == name]
        twin = next((other for other in ready if other.agent == place.agent), None)
        if name in misnamed:
            message = f"{where} has no client yet: its name comes first."
            fix = "Fix the name in the list, then register the class for this entry too."
            yield Finding("name-first", message, fix, 3, warning=True)
        elif twin:
            message = f"{where}: {name} was registered once, for entry {twin.entry}; one call fills one."
            yield Finding("registered-once", message, f"Call it again: {fix}", 3)
        elif ready and place.agent not in with_tools:
            message = f"{where}: {name} was registered on {ready[0].agent}, not here."
            yield Finding("wrong-agent", message, fix, 3)
        else:
            lost = " Adding tools empties the places again." if place.agent in with_tools else ""
            yield Finding("not-registered", f"{where}: {name} is not registered.{lost}", fix, 3)
    for place in hidden:
        if place.client is None:
            where, name = f"{place.agent}, entry {place.entry} ({place.model})", place.class_name
            message = f"{where}: the hidden agent that selects the speaker has no {name}."
            fix = f"register_model_clients(manager, {name}), or give GroupChat both " + (
                "select_speaker_auto_llm_config and select_speaker_auto_model_client_cls."
            )
            yield Finding("selector", message, fix, 3)


def _changed(agents: list[Any]) -> Iterator[Finding]:
    """Yield the agents whose llm_config was exchanged: their clients stay those of the old list."""
    for agent in agents:
        before, now = len(clients_of(agent)), len(entries_of(agent))
        if before and before != now:
            message = (
                f"the number of {agent.name}'s entries went from {before} to {now}, and its clients are "
                "still the old ones: to change llm_config afterwards makes no new ones."
            )
            yield Finding("list-changed", message, "Make the agent anew, with this list.", 3)


def _stale(registrations: Iterable[Registration], classes: list[type]) -> Iterator[Finding]:
    today = {cls.__name__: cls for cls in classes}
    for item in registrations:
        cls = today.get(item.class_name)
        made = item.client if isinstance(item.client, type) else type(item.client)
        if cls and item.client is not None and made is not cls and not hasattr(made, "kit_client"):
            message = f"{item.agent}, entry {item.entry}: the client is of an older {item.class_name}."
            call = f"register_model_clients({item.agent}, {item.class_name})"
            fix = f"The cell of the class was run again, so register it again: {call}"
            yield Finding("stale-class", message, fix, 3)


def _tools(agent: Any) -> Iterator[Finding]:
    for client in clients_of(agent):
        if sum("create" in vars(cls) for cls in type(client).__mro__) > 1:
            continue  # a subclass that may show them in a way of its own
        template = getattr(getattr(client, "tokenizer", None), "chat_template", None)
        if isinstance(template, str) and "tools" not in template:
            message = f"{agent.name} has tools, and the chat template of its model has no place for them."
            fix = "Take a model that was trained to call tools, such as Qwen2.5-Instruct."
            yield Finding("tools-unseen", message, fix, 3, warning=True)


def _group(group: Any, manager: Any) -> Iterator[Finding]:
    method = group.speaker_selection_method
    known = ("auto", "manual", "random", "round_robin")
    if isinstance(method, str) and method.lower() not in known:
        message = f"AutoGen knows no speaker_selection_method {method!r}, only {', '.join(known)}."
        close = get_close_matches(method.lower(), known, 1, 0)[0]
        yield Finding("selection-method", message, f'speaker_selection_method="{close}"', 3)
    elif str(method).lower() == "auto" and not (group.select_speaker_auto_llm_config or manager.llm_config):
        message = "nobody can select the next speaker: the manager has no llm_config."
        fix = 'GroupChatManager(groupchat=..., llm_config=...), or speaker_selection_method="round_robin"'
        yield Finding("no-selector", message, fix, 3)
    if len(group.agents) < 2:
        count = "one agent" if group.agents else "no agents"
        message = f"the group has {count}: AutoGen wants two or more."
        yield Finding("too-few-agents", message, "GroupChat(agents=[one, another], ...)", 3)
    if group.max_round < 2:
        message = f"max_round is {group.max_round}: nobody gets to answer."
        yield Finding("too-few-rounds", message, "GroupChat(..., max_round=6)", 4, warning=True)


def _settings(agent: Any) -> Iterator[Finding]:
    """Yield what is odd about how an agent answers."""
    turns = agent.max_consecutive_auto_reply() if has(agent, "max_consecutive_auto_reply") else None
    asks = getattr(agent, "human_input_mode", "NEVER") == "ALWAYS"
    if turns is not None and turns <= 0 and not asks and entries_of(agent):
        message = f"{agent.name} never replies by itself: max_consecutive_auto_reply is {turns}."
        yield Finding("silent", message, "max_consecutive_auto_reply=1", 4, warning=True)
    is_assistant = any(cls.__name__ == "AssistantAgent" for cls in type(agent).__mro__)
    if is_assistant and not agent.llm_config and not asks and not has_own_reply(agent):
        message = f"{agent.name} has no llm_config, so no model answers."
        yield Finding("no-model", message, "AssistantAgent(..., llm_config=LLMConfig(entry))", 2)
    if runs_code(agent):
        message = f"{agent.name} runs the code that a model writes, on this machine or in Docker."
        fix = "code_execution_config=False, unless that is what you want."
        yield Finding("runs-code", message, fix, 4, warning=True)


# In a notebook --------------------------------------------------------------------------------


def load_magic(shell: Any) -> None:
    """Give a notebook the line magic `%diagnose`, which `%load_ext kit` does."""

    def magic(line: str) -> Report | None:
        """Say what is wrong: `%diagnose` after a cell that failed, or `%diagnose agent Class ...`."""
        names = line.split()
        unknown = [name for name in names if name not in shell.user_ns]
        if unknown:
            print(f"There is no variable {unknown[0]!r} in this notebook.")
            return None
        subject, *classes = [shell.user_ns[name] for name in names] or [None]
        error = getattr(sys, "last_value", None)
        of_error = None if error is None else agent_of(error)
        if names and (shell.last_execution_succeeded or of_error not in (None, subject)):
            error = None  # that is over, or another's: the question is about these
        if not names and error is not None:
            subject = of_error
            if subject and shell.last_execution_succeeded and explain(error).code == "not-registered":
                error = None  # the agent itself shows what is left of that
        return diagnose(subject, *(classes or _meant(subject, shell.user_ns, error)), error=error)

    shell.register_magic_function(magic, "line", "diagnose")


def _meant(subject: Any, namespace: dict[str, Any], error: BaseException | None) -> list[type]:
    """Return the model client classes of a notebook that an agent's entries, or an error, speak of."""
    agents = everybody([subject]) if has(subject, "generate_reply") else []
    named = {str(entry.get("model_client_cls")) for agent in agents for entry in entries_of(agent)}
    named |= set(re.findall(r"\w+", text_of(error)))
    classes = model_clients(namespace)
    near = {name for one in named - {*classes} for name in get_close_matches(one, classes, 1, 0.8)}
    return [cls for name, cls in classes.items() if name in named | near]


def agent_of(error: BaseException) -> Any:
    """Return the agent in whose reply an exception was raised, None if there is none.

    If that was in a group chat, it is the manager: the agent that failed may be a hidden one.
    """
    frames = [frame for frame, _ in frames_of(error)]
    agents = [
        agent
        for frame in frames
        for agent in (frame.f_locals.get("self"), frame.f_locals.get("agent"))
        if frame.f_code.co_name != "<module>" and is_agent(agent)
    ]
    managers = [one for one in (frame.f_locals.get("self") for frame in frames) if has(one, "generate_reply")]
    return next(iter([*filter(group_of, managers), *agents]), None)
