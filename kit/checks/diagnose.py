"""diagnose: the blog's troubleshooting list, executed on what you really have.

Nothing here runs a model, opens a connection or calls a method of your class; sources, signatures,
settings and histories are read. `check_model_client` is what runs a class.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from kit.agents.inside import PROTOCOL, Registration, entries_of, everybody, has, places_of
from kit.checks.catalogue import found
from kit.checks.check_agents import look_at_agents
from kit.checks.check_list import look_at_config
from kit.checks.check_packages import packages
from kit.checks.explain import explain
from kit.checks.facts import facts_of
from kit.checks.frames import agent_of, chain, given, text_of
from kit.checks.protocol import constructor_of, methods_of, model_clients, needed_by
from kit.checks.report import Finding, Report

OTHERS = ("autogen_agentchat", "autogen_core", "agent_framework", "ag2")  # frameworks with an adapter
MORE = {  # what looking finds, and what says more than the error does
    "no-key": {"misnamed-class", "no-entry-for-class", "config-list"},
    "key-for-local": {"config-list"},
    "azure-by-halves": {"config-list"},
    "unexpected-argument": {"config-list"},
    "no-cost": {"missing-method"},
    "says-itself": {"selection-method", "no-selector"},
    "misspelt": {"missing-method"},
    "not-registered": {"selector", "wrong-agent", "registered-once", "lost-by-handoffs"},
    "place-taken": {"stale-class"},
    "no-keyboard": {"async-method"},
    "config-list": {
        *("named-entries", "nested-list", "single-entry", "no-list"),
        *("class-itself", "misnamed-class", "llm-config-field"),
    },
}
# What HTTP libraries raise where a server gives no answer, or refuses.
UNANSWERED = {"RequestException", "HTTPError", "URLError", "ConnectionError", "TimeoutError"}
# What was still to be done when something was raised.
INTERRUPTED = {"not-registered", "name-first", "ended-before-tool"}


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
        looked.add(0, "the packages fit together", [*packages()])
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
            look_at_config(looked, subject, known)
        elif agents:
            look_at_agents(looked, agents, places, known, _reached(error))
    if error is None:
        return looked
    explained, config = explain(error), given(error, "llm_config")
    if not isinstance(config, dict) or not config.keys() & {"config_list", "model"}:
        # AutoGen had taken the list out already.
        config = given(error, "config_list") or config
    # What AutoGen got may be something else than what was passed here, and say more than the error.
    if looked.ok and config and explained.code in {*MORE, "error"}:
        with _looking(looked, 2):
            is_entry = isinstance(config, dict) and "model" in config and "config_list" not in config
            look_at_config(looked, [config] if is_entry else config, known if subject is None else [])
    report = _with_error(looked, explained)
    if UNANSWERED & {cls.__name__ for cls in type(error).__mro__}:
        facts = facts_of(error)
        if facts["more"] and facts["where"] == "create":
            report.add(4, "the next entry", [found("no-fallback", type=facts["type"])])
    return report


def _reached(error: Any) -> bool:
    """Return whether an error is the answer of a server that knew the address it was asked at."""
    known = [facts_of(one).get("status", "404") for one in chain(error)]
    return any(status not in ("200", "404", "405") for status in known)


def _with_error(looked: Report, explained: Finding) -> Report:
    """Return a report in which an error comes first, and none of its symptoms is named as its cause.

    Where looking has found the same thing, that says more; it takes the error's place.
    """
    report = Report()
    to_do = INTERRUPTED - {explained.code}
    codes = {finding.code for finding in looked.findings if not finding.warning} - to_do - {"unreadable"}
    same = (MORE.get(explained.code, set()) | {explained.code} - {"error"}) & codes
    unknown = explained.code == "error" and explained.step != 1  # nobody's line: what was found may be why
    if not same and not (unknown and codes):
        report.add(explained.step, "the error", [explained])
    for first in (True, False):
        for step, checked, findings in looked.checks:
            shown = [f for f in findings if f.code not in to_do]
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
