"""diagnose: the blog's troubleshooting list, executed on what you really have.

Nothing here runs a model, opens a connection or calls a method of your class; sources, signatures,
settings and histories are read. `check_model_client` is what runs a class.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kit.agents.inside import (
    PROTOCOL,
    Registration,
    asks_always,
    clients_of,
    described,
    entries_of,
    everybody,
    group_of,
    has,
    has_own_reply,
    listed,
    nested_triggers,
    places_of,
    plain,
    runs_code,
    selector_config,
    selector_places,
)
from kit.checks.catalogue import found
from kit.checks.explain import explain
from kit.checks.facts import agent_of, chain, facts_of, frames_of, given, names_of, near, text_of, version_of
from kit.checks.history import asked, said
from kit.checks.protocol import constructor_of, methods_of, model_clients, needed_by, parameters_of
from kit.checks.report import Finding, Report
from kit.config_list.lists import ConfigListError, Problem, check_config_list, parse_config_list, read_source
from kit.models import look_into

OTHERS = ("autogen_agentchat", "autogen_core", "agent_framework", "ag2")  # frameworks with an adapter
USED = {"autogen", "openai", "transformers", "torch", "kit"}
# Names of modules that some packages install, too, by mistake.
NOBODYS = {"test", "tests", "docs", "examples", "scripts", "tools", "utils"}
MORE = {  # what looking finds, and what says more than the error does
    "not-registered": {"selector", "wrong-agent", "registered-once"},
    "place-taken": {"stale-class"},
    "no-keyboard": {"async-method"},
    "config-list": {"named-entries", "nested-list", "class-itself", "misnamed-class", "single-entry"},
}
SYMPTOMS = {"not-registered", "name-first"}  # of whatever kept a class from being registered
INTERRUPTED = {"ended-before-tool"}  # by whatever was raised


def diagnose(subject: Any = None, *classes: Any, error: BaseException | str | None = None) -> Report:
    """Return what is wrong, and how to fix it, what to fix first in front.

    Args:
        subject: an agent, a list of them, a group-chat manager, a config list, an entry, the name of
            its file or environment variable, or a model client class; None looks at the packages alone.
        classes: the model client classes that you have.
        error: the exception that you got, or its text, if any.
    """
    looked = Report()
    with _looking(looked, 0):
        looked.add(0, "the packages fit together", [*_packages()])
    if not classes and has(subject, *PROTOCOL) or isinstance(subject, type):
        subject, classes = None, (subject if isinstance(subject, type) else type(subject), *classes)
    agents = [*subject] if isinstance(subject, (list, tuple)) and subject else [subject]
    others = {type(agent).__module__.partition(".")[0]: type(agent).__name__ for agent in agents}
    is_list = not all(has(agent, "generate_reply") for agent in agents)
    places: list[Registration] = []
    with _looking(looked, 3):
        agents = [] if is_list else everybody(agents)
        places = [place for agent in agents for place in places_of(agent)]
    registered = {type(place.client) for place in places if place.client is not None}
    with _looking(looked, 1):
        entered = {place.class_name for place in places}
        ours = [cls for cls in sorted(registered, key=lambda cls: cls.__name__) if cls not in classes]
        if classes or ours:
            looked.add(1, "the classes", [f for cls in (*classes, *ours) for f in _class(cls, entered)])
    usable = [cls for cls in classes if isinstance(cls, type) or has(cls, *PROTOCOL)]
    known = [cls if isinstance(cls, type) else type(cls) for cls in usable]
    with _looking(looked, 2 if is_list else 3):
        if other := next(filter(others.get, OTHERS), None):
            looked.add(3, "whose agent it is", [found("other-framework", name=others[other], library=other)])
        elif is_list and subject is not None:
            _config(looked, subject, known)
        elif agents:
            _agents(looked, agents, places, known, _reached(error))
    if error is None:
        return looked
    config = given(error, "llm_config", "config_list")
    if looked.ok and config:  # what AutoGen got may be something else than what was passed here
        with _looking(looked, 2):
            is_entry = isinstance(config, dict) and "config_list" not in config
            _config(looked, [config] if is_entry else config, known if subject is None else [])
    return _with_error(looked, error)


def _reached(error: Any) -> bool:
    """Return whether an error is the answer of a server that knew the address it was asked at."""
    known = [facts_of(one).get("status", "404") for one in chain(error)]
    return any(status not in ("200", "404", "405") for status in known)


def _with_error(looked: Report, error: BaseException | str) -> Report:
    """Return a report in which an error comes first, and none of its symptoms is named as its cause.

    Where looking has found the same thing, that says more; it takes the error's place.
    """
    explained, report = explain(error), Report()
    codes = {finding.code for finding in looked.findings if not finding.warning}
    same = (MORE.get(explained.code, set()) | {explained.code} - {"error"}) & codes
    unknown = explained.code == "error" and explained.step != 1  # nobody's line: what was found may be why
    if not same and not (unknown and codes):
        report.add(explained.step, "the error", [explained])
    registering = any(
        frame.f_code.co_name.startswith("register_model_client")
        for link in chain(error)
        for frame, _ in frames_of(link)
    )
    symptoms = INTERRUPTED | (SYMPTOMS - {explained.code} if registering else set())
    for first in (True, False):
        for step, checked, findings in looked.checks:
            shown = [f for f in findings if f.code not in symptoms]
            if bool(same & {f.code for f in shown}) is first and (shown or not findings):
                report.add(step, checked, shown)
    if unknown and codes:
        report.add(explained.step, "the error", [explained])
    return report


@contextlib.contextmanager
def _looking(report: Report, step: int) -> Iterator[None]:
    """Report an object that can't even be looked at, in place of what would have been found there."""
    try:
        yield
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {text_of(error)}"
        report.add(step, "all of it", [found("unreadable", text=what, step=step)])


# The packages ---------------------------------------------------------------------------------


def _packages() -> Iterator[Finding]:
    """Yield what keeps the packages from working together."""
    modules = importlib.metadata.packages_distributions()
    for file in [*Path().glob("*.py"), *Path().glob("*/__init__.py")]:
        name = file.stem if file.parent == Path() else file.parent.name
        ours = Path(__file__).resolve().parents[1] == file.resolve().parent
        if not ours and (
            name in USED or name not in NOBODYS and _elsewhere(name, modules.get(name, []), file)
        ):
            yield found("shadowed", file=f"{file} in this folder", name=name)
    owners = sorted(set(modules.get("autogen", [])))
    if len(owners) > 1:
        named = " and ".join(f"{name} {importlib.metadata.version(name)}" for name in owners)
        yield found("two-autogens", owners=named, names=" ".join(owners))
    elif not owners:
        others = [name for name in ("autogen-agentchat", "autogen-core", "ag2") if version_of(name)]
        yield found("no-autogen", but="".join(f" {name} {version_of(name)} has none." for name in others))
    if not version_of("openai"):
        yield found("no-openai")
    for name in ("autogen", "openai", "transformers"):
        yield from _clashes(name)


def _elsewhere(name: str, owners: list[str], file: Path) -> bool:
    """Return whether one of some distributions has a module of a name that is another file than this."""
    roots = [Path(str(importlib.metadata.distribution(owner).locate_file(""))) for owner in owners]
    there = [root / part for root in roots for part in (f"{name}.py", f"{name}/__init__.py")]
    return any(one.is_file() and not one.samefile(file) for one in there)


def _clashes(name: str) -> Iterator[Finding]:
    """Yield the packages that a distribution needs in another version than the one that is there."""
    from packaging.requirements import Requirement

    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for text in importlib.metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                there = version_of(needed.name)
                if there and not needed.specifier.contains(there, prereleases=True):
                    facts = {"needed": f"{needed.name}{needed.specifier}", "there": there}
                    yield found("versions-clash", name=name, version=version_of(name), **facts)


# Step 1: the class ----------------------------------------------------------------------------


def _class(cls: Any, entered: set[str]) -> Iterator[Finding]:
    """Yield what can be seen to be wrong with a class without running it.

    What the constructors of classes in agents' entries need is part of the fix there.
    """
    if not isinstance(cls, type):
        name = type(cls).__name__
        if not has(cls, *PROTOCOL):
            yield found("no-class", value=repr(cls), kind=name)
            return
        yield found("instance", name=name, warning=True)
        cls = type(cls)
    findings = methods_of(cls) or constructor_of(cls)
    yield from findings
    needed = [] if findings or cls.__name__ in entered else needed_by(cls)
    if needed:
        call = ", ".join(f"{name}=..." for name in needed)
        yield found("needs-arguments", name=cls.__name__, needed=", ".join(needed), call=call, warning=True)


def _call(cls: type) -> str:
    """Return what to pass to register_model_client for a class."""
    return ", ".join([cls.__name__, *(f"{name}=..." for name in needed_by(cls))])


# Step 2: the list -----------------------------------------------------------------------------


def _config(report: Report, subject: Any, classes: list[type]) -> None:
    """Report on a config list, or on what stands for one: its name, its text, one entry, an LLMConfig."""
    if isinstance(subject, (str, Path)):
        subject = _source(report, str(subject))
    if isinstance(subject, dict) and "config_list" in subject:  # what an agent takes as its llm_config
        report.add(2, "the fields of llm_config", [*_settings_of(subject)])
        subject = subject["config_list"]
        if isinstance(subject, dict) and "config_list" in subject:
            subject = [subject]
    elif type(subject).__name__ == "LLMConfig":
        subject = subject.config_list
    if isinstance(subject, dict):
        are_entries = subject and all(isinstance(value, dict) for value in subject.values())
        names = ", ".join(map(str, subject))
        what = found("named-entries", names=names) if are_entries else found("single-entry")
        report.add(2, "it is a list", [what])
        subject = [*subject.values()] if are_entries else [subject]
    if isinstance(subject, (list, tuple)):
        entries = [plain(entry) if has(entry, "model_dump") else entry for entry in subject]
        _list(report, entries, classes)
    elif subject is not None:
        code = "group-without-manager" if has(subject, "speaker_selection_method") else "unknown-subject"
        report.add(2, "what was passed", [found(code, kind=type(subject).__name__)])


def _settings_of(config: dict[str, Any]) -> Iterator[Finding]:
    """Yield the fields of an llm_config, besides its list, that AutoGen would refuse."""
    from autogen import LLMConfig

    known = {*names_of(LLMConfig), "config_list"}
    for name in config.keys() - known:
        close = near(str(name), [*known])
        yield found("llm-config-field" if close else "llm-config-unknown", argument=name, near=close)


def _source(report: Report, name: str) -> list[dict[str, Any]] | None:
    """Return the entries of a file, a variable or a text, None after reporting why there are none."""
    findings, entries = [], None
    is_text = name.lstrip()[:1] in ("[", "{")
    shown = "the text" if is_text else name
    variable = os.environ.get(name)
    if variable and os.path.isfile(name) and variable != name:
        findings.append(found("variable-hides-file", name=name))
    try:
        text, source = (name, shown) if is_text else read_source(name)[:2]
        entries = parse_config_list(text, source)
    except ConfigListError as refused:
        findings += map(_of_problem, refused.problems)
    report.add(2, f"{shown} can be read", findings)
    return entries


def _list(
    report: Report, entries: list[Any], classes: list[type], owner: str = "", answers: bool = False
) -> None:
    """Report on entries with all that is known of lists; `owner` is the agent that has them, if one does."""
    objects = {index: entry for index, entry in enumerate(entries) if isinstance(entry, dict)}
    misnamed = {index: field for index, entry in objects.items() if (field := _misnamed(entry))}
    if nested := [index for index, entry in objects.items() if "config_list" in entry]:
        report.add(2, "AutoGen accepts the list", [found("nested-list", entry=index) for index in nested])
        return
    findings = [_wrong_class(index, field, objects[index][field]) for index, field in misnamed.items()]
    findings += [] if misnamed else _unnamed(objects.values(), classes)
    for problem in check_config_list(entries):
        field = misnamed.get(problem.entry or 0)
        if answers and problem.warning and problem.field != "price":  # what works is not questioned
            continue
        if not (findings and problem.field in ("api_key", field)):  # its own client wants a key: a symptom
            findings.append(_of_problem(problem))
    if findings or not owner:
        report.add(2, f"{owner}: the list" if owner else "AutoGen accepts the list", findings)
    if classes and not owner:
        report.add(2, "what the entries name", [*_names(objects, classes)])
    _local_models(report, f"{owner}: local models" if owner else "local models", objects)


def _wrong_class(index: int, field: str, value: Any) -> Finding:
    facts = {"entry": index, "field": field, "name": getattr(value, "__name__", value)}
    return found("class-itself" if field == "model_client_cls" else "misnamed-class", **facts)


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
    if folders:
        report.add(2, checked, [f for index, name in folders.items() for f in _model_folder(index, name)])


def _of_problem(problem: Problem) -> Finding:
    """Return a config list's problem as a finding: its first sentence, and what follows as the fix."""
    place = str(problem).removesuffix(problem.message)
    what, _, fix = problem.message.partition(". ")
    if not fix and "read" not in what:  # "what it is: what to do"
        what, _, fix = problem.message.partition(": ")
    code = "config-list" if fix else "no-config-list"
    return found(code, what=place + what, fix=fix, warning=problem.warning)


def _names(entries: dict[int, dict[str, Any]], classes: list[type]) -> Iterator[Finding]:
    """Yield where the names in the entries and those of the classes differ."""
    names = [cls.__name__ for cls in classes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield found("same-name", name=name)
    for index, entry in entries.items():
        named = entry.get("model_client_cls")
        if isinstance(named, str) and named not in names:
            close = [*get_close_matches(named, names, 1, 0.5), names[0]][0]
            facts = {"where": f"entry {index}", "named": repr(named), "names": ", ".join(names)}
            yield found("name-differs", **facts, close=close)


def _unnamed(entries: Iterable[dict[str, Any]], classes: list[type]) -> list[Finding]:
    """Return that there are classes, and no entry that names any."""
    if not classes or any(entry.get("model_client_cls") for entry in entries):
        return []
    return [found("no-entry-for-class", name=classes[0].__name__)]


def _model_folder(entry: int, name: str) -> Iterator[Finding]:
    folder, facts = Path(os.path.expanduser(name)), {"entry": entry, "name": name}
    if not os.path.exists(folder):
        looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") != 1 or "\\" in name
        if looks_like_a_path or folder.parent.is_dir() and folder.parent != Path():
            yield found("no-model-folder", **facts, here=Path.cwd().name)
        return  # else a name on the model hub: only a network could tell
    place = f"entry {entry}, {name!r}: "
    files = look_into(folder) if folder.is_dir() else None
    if files is None or not (folder / "config.json").is_file():
        gguf = files is not None and files.has_gguf
        kind = "a file" if files is None else "a folder with GGUF files" if gguf else "a folder without"
        yield found("no-config", folder=place, kind=kind)
        return
    if not files.weights:
        yield found("no-weights", folder=place)
    if not files.has_tokenizer:
        yield found("tokenizer-files", folder=place)
    elif not files.has_chat_template:
        yield found("no-chat-template", folder=place)


# Step 3: agents -------------------------------------------------------------------------------


def _agents(
    report: Report, agents: list[Any], places: list[Registration], classes: list[type], reached: bool
) -> None:
    managers = [agent for agent in agents if group_of(agent)]
    configs = [*(agent.llm_config for agent in agents), *map(selector_config, managers)]
    unnamed = _unnamed([entry for config in configs for entry in listed(config)], classes)
    for agent in agents:
        entries = dict(enumerate(entries_of(agent)))
        filled = {place.entry for place in places if place.agent == agent.name and place.client}
        if entries and classes:
            open_ones = {index: entry for index, entry in entries.items() if index not in filled}
            report.add(2, f"{agent.name}: names", [*unnamed, *_names(open_ones, classes)])
            unnamed = []
        if entries:
            _list(report, [*entries.values()], [], agent.name, reached or asked(agent))
    hidden = [place for manager in managers for place in selector_places(manager)]
    findings = [*_unregistered(places, hidden, agents, classes), *_changed(agents)]
    report.add(3, "every entry has its client", findings)
    if classes:
        report.add(3, "the clients are of today's classes", [*_stale(places, classes)])
    with_tools = [agent for agent in agents if _has_tools(agent)]
    if with_tools or any(getattr(agent, "function_map", None) for agent in agents):
        findings = [finding for agent in with_tools for finding in _tools(agent)]
        report.add(3, "tools", [*findings, *_untold(agents), *_otherwise(agents)])
    for manager in managers:
        report.add(4, "the group", [*_group(group_of(manager), manager)])
    if any(map(asked, agents)):
        report.add(4, "what was said", [*said(agents)])
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
        facts = {"where": where, "name": name}
        facts["call"] = f"{place.agent}.register_model_client({calls.get(name, name)})"
        ready = [other for other in places if other.client is not None and other.class_name == name]
        twin = next((other for other in ready if other.agent == place.agent), None)
        if name in misnamed:
            yield found("name-first", **facts)
        elif twin:
            yield found("registered-once", **facts, other=twin.entry)
        elif ready and place.agent not in with_tools:
            yield found("wrong-agent", **facts, other=ready[0].agent)
        else:
            lost = " Adding tools empties the places again." if place.agent in with_tools else ""
            yield found("not-registered", **facts, lost=lost)
    for place in hidden:
        if place.client is None:
            entry = f", for entry {place.entry} ({place.model}),"
            yield found("selector", entry=entry, name=place.class_name)


def _changed(agents: list[Any]) -> Iterator[Finding]:
    """Yield the agents whose llm_config was exchanged: their clients stay those of the old list."""
    for agent in agents:
        before, now = len(clients_of(agent)), len(entries_of(agent))
        if before and before != now:
            yield found("list-changed", agent=agent.name, before=before, now=now)


def _stale(registrations: Iterable[Registration], classes: list[type]) -> Iterator[Finding]:
    today = {cls.__name__: cls for cls in classes}
    for item in registrations:
        cls = today.get(item.class_name)
        made = item.client if isinstance(item.client, type) else type(item.client)
        if cls and item.client is not None and made is not cls and not hasattr(made, "kit_client"):
            call = f"register_model_clients({item.agent}, {item.class_name})"
            where = f"{item.agent}, entry {item.entry}"
            yield found("stale-class", where=where, name=item.class_name, call=call)


def _tools(agent: Any) -> Iterator[Finding]:
    for client in clients_of(agent):
        if sum("create" in vars(cls) for cls in type(client).__mro__) > 1:
            continue  # a subclass that may show them in a way of its own
        template = getattr(getattr(client, "tokenizer", None), "chat_template", None)
        if isinstance(template, str) and "tools" not in template:
            yield found("tools-unseen", agent=agent.name)


def _untold(agents: list[Any]) -> Iterator[Finding]:
    """Yield the tools that somebody can run and no model knows, if there is a model among the agents."""
    known = {function.get("name") for agent in agents for function in described(agent)}
    for agent in agents if any(map(entries_of, agents)) else []:
        for name in (getattr(agent, "function_map", None) or {}).keys() - known:
            yield found("untold-tool", agent=agent.name, tool=name)


def _otherwise(agents: list[Any]) -> Iterator[Finding]:
    """Yield the tools whose description has arguments that their function does not take, or lacks some."""
    maps = [getattr(agent, "function_map", None) or {} for agent in agents]
    functions = {name: function for one in maps for name, function in one.items()}
    for agent, each in [(one, each) for one in agents for each in described(one)]:
        declared = (each.get("parameters") or {}).get("properties")
        parameters = parameters_of(functions.get(each.get("name")))
        if declared is None or parameters is None:
            continue
        taken = [one.name for one in parameters if one.kind is not one.VAR_POSITIONAL]
        needed = [one.name for one in parameters if one.default is one.empty and one.name in taken]
        takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
        if not takes_any and not {*needed} <= {*declared} <= {*taken}:
            facts = {"declared": ", ".join(declared) or "none", "taken": ", ".join(taken) or "none"}
            yield found("tool-declared-otherwise", **facts, tool=each["name"], agent=agent.name)


def _group(group: Any, manager: Any) -> Iterator[Finding]:
    method = group.speaker_selection_method
    known = ("auto", "manual", "random", "round_robin")
    if isinstance(method, str) and method.lower() not in known:
        close = get_close_matches(method.lower(), known, 1, 0)[0]
        yield found("selection-method", method=method, known=", ".join(known), close=close)
    elif str(method).lower() == "auto" and not (group.select_speaker_auto_llm_config or manager.llm_config):
        yield found("no-selector")
    for agent in group.agents:
        members = [one for one in nested_triggers(agent) if any(one is other for other in group.agents)]
        for one in members[:1]:
            yield found("nested-trigger", agent=agent.name, trigger=one.name)
    if asks_always(manager) and not any(map(asks_always, group.agents)):
        yield found("manager-asks", agent=manager.name)
    if len(group.agents) < 2:
        yield found("too-few-agents", count="one agent" if group.agents else "no agents")
    if group.max_round < 2:
        yield found("too-few-rounds", rounds=group.max_round)


def _settings(agent: Any) -> Iterator[Finding]:
    """Yield what is odd about how an agent answers."""
    turns = agent.max_consecutive_auto_reply() if has(agent, "max_consecutive_auto_reply") else None
    asks = asks_always(agent)
    if turns is not None and turns <= 0 and not asks and entries_of(agent):
        yield found("silent", agent=agent.name, turns=turns)
    is_assistant = any(cls.__name__ == "AssistantAgent" for cls in type(agent).__mro__)
    if is_assistant and not agent.llm_config and not asks and not has_own_reply(agent):
        yield found("no-llm-config", agent=agent.name)
    if any(cls.__name__ == "UserProxyAgent" for cls in type(agent).__mro__) and entries_of(agent):
        yield found("user-with-model", agent=agent.name)
    if asks and getattr(agent, "function_map", None):
        yield found("asks-before-tools", agent=agent.name)
    yield from _unawaited(type(agent))
    if runs_code(agent):
        yield found("runs-code", agent=agent.name)


def _unawaited(cls: type) -> Iterator[Finding]:
    """Yield the async methods of one's own agents that AutoGen calls without await."""
    own = [part for part in cls.__mro__ if not part.__module__.startswith("autogen.")]
    for name, value in [pair for part in own for pair in vars(part).items()]:
        started = name.startswith(("initiate", "run", "resume"))  # by people, who await it
        if inspect.iscoroutinefunction(value) and has(cls, f"a_{name}") and not started:
            yield found("async-method", name=f"{cls.__name__}.{name}", method=name)


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
