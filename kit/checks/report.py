"""Report: what was checked, what was found, and how to fix it, as text and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from kit.config_list.secrets import fit

STEPS = {0: "the packages", 1: "the client class", 2: "the config list", 3: "registering", 4: "the chat"}
HEADERS = ("Step", "What was checked", "Verdict", "Fix")
LONGEST = 500  # letters of a text in a report


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: a `code` to search for, what is wrong here, how to fix it.

    `step` is the step of the blog post that it belongs to: 1 the class, 2 the config list, 3
    registering; 4 is the chat itself, 0 the packages before it all. A `warning` is probably a
    mistake, but AutoGen takes it. Whatever the texts were made of, they show no key.
    """

    code: str
    message: str
    fix: str
    step: int
    warning: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", fit(self.message, LONGEST))
        object.__setattr__(self, "fix", fit(self.fix, LONGEST))


@dataclass
class Report:
    """What was checked, step by step, and what was found. `ok` says whether nothing is to be fixed."""

    checks: list[tuple[int, str, list[Finding]]] = field(default_factory=list)

    def add(self, step: int, checked: str, findings: list[Finding]) -> None:
        self.checks.append((step, fit(checked, LONGEST), findings))

    @property
    def findings(self) -> list[Finding]:
        """All findings, what is to be fixed first in front."""
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
        """Return the table that a notebook shows; every text in it is escaped."""
        style = "text-align: left; white-space: pre-wrap; overflow-wrap: anywhere"
        head = "".join(f'<th scope="col" style="text-align: left">{header}</th>' for header in HEADERS)
        rows = [[f'<td style="{style}">{escape(cell)}</td>' for cell in row] for row in self.rows()]
        body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
        to_fix = sum(not finding.warning for finding in self.findings)
        caption = f"✖ {to_fix} to fix" if to_fix else "✔ Nothing to fix"
        return (
            f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
