"""Report: what was checked, what was found, and how to fix it, as text and as cards."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import ClassVar

from kit.config_list.secrets import fit

STEPS = {0: "the packages", 1: "the client class", 2: "the config list", 3: "registering", 4: "the chat"}
LONGEST = 500  # letters of a text in a report
# Where styles are taken out (on GitHub), signs and lists say the same.
STYLE = f"<style>{Path(__file__).with_name('report.css').read_text(encoding='utf-8')}</style>"


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
    """What was checked, step by step, and what was found. `ok` says whether nothing is to be fixed.

    `Report.fold_fixes = True` folds the fixes of all reports, so that a learner thinks first.
    """

    fold_fixes: ClassVar[bool] = False
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
            shown = f"\n    Fix: {fix}" if fix and not self.fold_fixes else ""
            lines.append(f"step {step}, {checked}: {verdict}{shown}")
        if self.fold_fixes and any(finding.fix for finding in self.findings):
            lines.append("(Report.fold_fixes = False shows how to fix it.)")
        return "\n".join(lines) or "Nothing was checked."

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a card for each finding, and the passes in one line.

        Every text in it is escaped.
        """
        errors = sum(not finding.warning for finding in self.findings)
        warnings = len(self.findings) - errors
        totals = [("error", f"✖ {errors} to fix") if errors else ("ok", "✔ Nothing to fix")]
        totals += [("warning", f"▲ {warnings} to look at")] if warnings else []
        parts = [f'<strong class="kit-tone kit-{kind}">{text}</strong>' for kind, text in totals]
        cards = [
            (finding.warning, _card(f"{step} {STEPS[step]}", checked, finding, self.fold_fixes))
            for step, checked, findings in self.checks
            for finding in findings
        ]
        shown = "".join(card for _, card in sorted(cards, key=lambda card: card[0]))
        passed = [
            f"{step} {STEPS[step]}: {checked}" for step, checked, findings in self.checks if not findings
        ]
        listed = f'<ul class="kit-list">{shown}</ul>' if shown else ""
        total = f'<p class="kit-total">{" · ".join(parts)}</p>'
        return f'{STYLE}<div class="kit-report">{total}{listed}{_passes(passed)}</div>'


def _card(step: str, checked: str, finding: Finding, folded: bool) -> str:
    """Return a finding as HTML: what is wrong, where, and how to fix it, behind a click if `folded`."""
    kind, mark = ("kit-warning", "▲") if finding.warning else ("kit-error", "✖")
    fix = f'<p class="kit-fix"><strong>Fix:</strong> {escape(finding.fix)}</p>' if finding.fix else ""
    if fix and folded:
        fix = f"<details><summary>Show the fix</summary>{fix}</details>"
    what = f'<p><strong class="kit-tone">{mark}</strong> {escape(finding.message)}</p>'
    where = f'<p class="kit-place">Step {escape(step)}: {escape(checked)}</p>'
    return f'<li class="kit-finding {kind}">{what}{where}{fix}</li>'


def _passes(passed: list[str]) -> str:
    """Return the checks that found nothing as HTML: one line, which opens."""
    if not passed:
        return ""
    count = "1 check" if len(passed) == 1 else f"{len(passed)} checks"
    items = "".join(f"<li>Step {escape(one)}</li>" for one in passed)
    return f'<details><summary>✔ {count} passed</summary><ul class="kit-list">{items}</ul></details>'
