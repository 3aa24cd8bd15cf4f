"""diagnose: what is wrong with a config list or an agent, and how to mend it.

Nothing here runs a model, opens a connection or calls a learner's class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.config_list import ConfigListError, Problem, check_config_list, hide_secrets, load_config_list
from kit.registration import Registrations, register_model_clients

STEPS = {1: "the client class", 2: "the config list", 3: "registering", 4: "the chat"}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: a `code` to search for, what is wrong here, how to mend it.

    `step` is the step of the blog post that it belongs to: 1 the class, 2 the config list, 3
    registering; 4 is the chat itself. A `warning` is probably a mistake, but AutoGen takes it.
    """

    code: str
    message: str
    fix: str
    step: int
    warning: bool = False


@dataclass
class Report:
    """What was checked, step by step, and what was found. `ok` says whether nothing is to be mended."""

    checks: list[tuple[int, str, list[Finding]]] = field(default_factory=list)

    def add(self, step: int, checked: str, findings: list[Finding]) -> None:
        self.checks.append((step, checked, findings))

    @property
    def findings(self) -> list[Finding]:
        """All findings, what is to be mended first in front."""
        found = [finding for _, _, findings in self.checks for finding in findings]
        return sorted(found, key=lambda finding: finding.warning)

    @property
    def ok(self) -> bool:
        return all(finding.warning for finding in self.findings)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the table: step, what was checked, verdict, fix."""
        rows = []
        for step, checked, findings in self.checks:
            name = f"{step} {STEPS[step]}"
            if not findings:
                rows.append((name, checked, "✔ fine", ""))
            for finding in findings:
                mark = "▲" if finding.warning else "✖"
                rows.append((name, checked, f"{mark} {finding.message}", finding.fix))
        return rows

    def __repr__(self) -> str:
        lines = []
        for step, checked, verdict, fix in self.rows():
            lines.append(f"step {step}, {checked}: {verdict}" + (f"\n    Fix: {fix}" if fix else ""))
        return "\n".join(lines) or "Nothing was checked."

    def _repr_html_(self) -> str:
        from kit.widgets.report import as_html

        return as_html(self)


def diagnose(subject: Any, *classes: type, error: BaseException | None = None) -> Report:
    """Return what is wrong with a config list or an agent, first cause first.

    Args:
        subject: an agent, a group-chat manager, a config list, or the name of its file or environment
            variable.
        classes: the model client classes that you have.
        error: the exception that you got, if any.
    """
    report = Report()
    if isinstance(subject, (str, Path)):
        try:
            subject = load_config_list(subject)
        except ConfigListError as refused:
            report.add(2, "the list can be used", [_of_problem(problem) for problem in refused.problems])
            return report
    if isinstance(subject, (list, tuple)):
        problems = check_config_list(list(subject))
        report.add(2, "AutoGen accepts the list", [_of_problem(problem) for problem in problems])
        if report.ok and classes:
            report.add(3, "entries and classes fit", _misfits(list(subject), classes))
    else:
        report.add(3, "every entry has its client", _unregistered(register_model_clients(subject)))
    if error is not None and report.ok:
        report.add(4, "the error", [explain(error)])
    return report


def explain(error: BaseException) -> Finding:
    """Return what an exception from a chat means."""
    text = hide_secrets(" ".join(str(error).split())) or type(error).__name__
    if "are not activated" in text:
        fix = "register_model_clients(agent, YourClass) fills every place of the list, before the chat."
        return Finding("not-registered", "a class of the list was not registered on this agent.", fix, 3)
    if "was not found in the config_list" in text:
        fix = 'Write the name of the class, letter by letter, into the entry\'s "model_client_cls".'
        return Finding("name-differs", "no entry names the class that was registered.", fix, 3)
    if type(error).__name__ in ("APIConnectionError", "APITimeoutError"):
        fix = "Start the server, or mend base_url (address and port, up to /v1)."
        return Finding("unreachable", "the server of this entry does not answer.", fix, 2)
    if type(error).__name__ == "AuthenticationError":
        fix = "Set the environment variable that the entry names to a valid key."
        return Finding("key-refused", "the server refuses the API key.", fix, 2)
    if type(error).__name__ == "NotFoundError":
        return Finding("unknown-model", _short(text), "Take a model name that the server offers.", 2)
    if isinstance(error, ImportError):
        return Finding("missing-package", _short(text), "Install the package, then restart the kernel.", 1)
    message = f"{type(error).__name__}: {_short(text)}"
    return Finding("error", message, "Mend what the message names, then try again.", 4)


def _of_problem(problem: Problem) -> Finding:
    """Return a config list's problem as a finding: its first sentence, and what follows as the fix."""
    what, _, fix = str(problem).partition(". ")
    return Finding("config-list", what, fix, 2, problem.warning)


def _misfits(entries: list[dict[str, Any]], classes: tuple[type, ...]) -> list[Finding]:
    names = {cls.__name__ for cls in classes}
    findings = []
    for index, entry in enumerate(entries):
        wanted = entry.get("model_client_cls")
        if wanted and wanted not in names:
            message = f"entry {index} names {wanted!r}, and the classes here are {', '.join(sorted(names))}."
            fix = f'Define {wanted}, or write "model_client_cls": "{min(names)}".'
            findings.append(Finding("name-differs", message, fix, 3))
    return findings


def _unregistered(registrations: Registrations) -> list[Finding]:
    return [
        Finding(
            "not-registered",
            f"{item.agent}, entry {item.entry} ({item.model}): {item.class_name} is not registered.",
            f"{item.agent}.register_model_client({item.class_name}), once for each such entry.",
            3,
        )
        for item in registrations.left
    ]


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:297]}..."
