"""Steps 3 and 4: what agents hold, and the groups that they are in; nothing of them is run."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from kit.agents.inside import (
    Registration,
    asks_always,
    clients_of,
    described,
    entries_of,
    group_of,
    has,
    has_llm_conditions,
    has_own_reply,
    is_a,
    listed,
    nested_triggers,
    runs_code,
    selector_config,
    selector_places,
)
from kit.checks.catalogue import found
from kit.checks.check_list import look_at_list, names_differ, unnamed
from kit.checks.history import asked, said
from kit.checks.names import names_of
from kit.checks.protocol import functions_of, needed_by, parameters_of, words_in
from kit.checks.report import Finding, Report
from kit.checks.tool_calls import text_in


def look_at_agents(
    report: Report, agents: list[Any], places: list[Registration], classes: list[type], reached: bool
) -> None:
    """Report on agents: their entries and clients, tools, groups, and what they said.

    The `places` are those of their entries; `reached` says whether a server has answered one of them.
    """
    managers = [agent for agent in agents if group_of(agent)]
    configs = [*(agent.llm_config for agent in agents), *map(selector_config, managers)]
    nobodys = unnamed([entry for config in configs for entry in listed(config)], classes)
    for agent in agents:
        entries = dict(enumerate(entries_of(agent)))
        filled = {place.entry for place in places if place.agent == agent.name and place.client}
        if entries and classes:
            open_ones = {index: entry for index, entry in entries.items() if index not in filled}
            report.add(2, f"{agent.name}: names", [*nobodys, *names_differ(open_ones, classes)])
            nobodys = []
        if entries:
            look_at_list(report, [*entries.values()], [], agent.name, reached or asked(agent))
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
    with_conditions = {agent.name for agent in agents if has_llm_conditions(agent)}
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
        elif place.agent in with_conditions:
            yield found("lost-by-handoffs", **facts)
        elif ready and place.agent not in with_tools:
            yield found("wrong-agent", **facts, other=ready[0].agent)
        else:
            lost = " Adding tools empties the places again." if place.agent in with_tools else ""
            yield found("not-registered", **facts, lost=lost)
    for place in hidden:
        if place.client is None:
            entry = f", for entry {place.entry} ({place.model}),"
            yield found("selector", entry=entry, name=place.class_name)


def _call(cls: type) -> str:
    """Return what to pass to register_model_client for a class."""
    return ", ".join([cls.__name__, *(f"{name}=..." for name in needed_by(cls))])


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
        function = functions.get(each.get("name"))
        taken = names_of(function)
        if declared is None or "" in taken:  # it may take any
            continue
        needed = {one.name for one in parameters_of(function) or [] if one.default is one.empty}
        if not needed & {*taken} <= {*declared} <= {*taken}:
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
    if isinstance(group.max_round, int) and group.max_round < 2:
        yield found("too-few-rounds", rounds=group.max_round)


def _settings(agent: Any) -> Iterator[Finding]:
    """Yield what is odd about how an agent answers."""
    limit = getattr(agent, "max_consecutive_auto_reply", None)
    turns = limit() if callable(limit) else None
    asks = asks_always(agent)
    if isinstance(turns, int) and turns <= 0 and not asks and entries_of(agent):
        yield found("silent", agent=agent.name, turns=turns)
    told = getattr(agent, "system_message", "")
    if has(told, "get"):
        yield found("config-as-system-message", agent=agent.name, kind=type(told).__name__)
    elif _lacks_model(agent):
        yield found("no-llm-config", agent=agent.name)
    yield from _set_later(agent)
    if is_a(agent, "UserProxyAgent") and entries_of(agent):
        yield found("user-with-model", agent=agent.name)
    if entries_of(agent) and agent.llm_config.get("cache_seed") is not None and not find_spec("diskcache"):
        yield found("cache-not-kept", agent=agent.name)
    if asks and getattr(agent, "function_map", None):
        yield found("asks-before-tools", agent=agent.name)
    yield from _unawaited(type(agent))
    if runs_code(agent):
        yield found("runs-code", agent=agent.name)


def _lacks_model(agent: Any) -> bool:
    """Return whether an AssistantAgent has nothing to answer with, and will be, or was, asked to."""
    others = asks_always(agent) or has_own_reply(agent) or getattr(agent, "function_map", None)
    if not is_a(agent, "AssistantAgent") or agent.llm_config or others:
        return False
    messages = [message for chat in agent.chat_messages.values() for message in chat]
    return not messages or any(one.get("role") == "assistant" and text_in(one) == "" for one in messages)


def _set_later(agent: Any) -> Iterator[Finding]:
    """Yield the arguments of an agent's constructor that were set on it later, where no code reads them."""
    bases = type(agent).__mro__[:-1]
    arguments = {name for base in bases for name in names_of(vars(base).get("__init__"))}
    read = set().union(*map(words_in, functions_of(type(agent))))
    for name in sorted(arguments & vars(agent).keys()):
        if name not in read or callable(getattr(type(agent), name, None)):
            yield found("set-after-making", agent=agent.name, name=name, kind=type(agent).__name__)


def _unawaited(cls: type) -> Iterator[Finding]:
    """Yield the async methods of one's own agents that AutoGen calls without await."""
    own = [part for part in cls.__mro__ if not part.__module__.startswith("autogen.")]
    for name, value in [pair for part in own for pair in vars(part).items()]:
        started = name.startswith(("initiate", "run", "resume"))  # by people, who await it
        if inspect.iscoroutinefunction(value) and has(cls, f"a_{name}") and not started:
            yield found("async-method", name=f"{cls.__name__}.{name}", method=name)
