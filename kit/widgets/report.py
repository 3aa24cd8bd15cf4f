"""A Report as an HTML table. Every text in it is escaped."""

from __future__ import annotations

from html import escape
from typing import Any

HEADERS = ("Step", "What was checked", "Verdict", "Fix")


def as_html(report: Any) -> str:
    """Return the table that a notebook shows for a `kit.report.Report`."""
    head = "".join(f'<th scope="col" style="text-align: left">{header}</th>' for header in HEADERS)
    style = "text-align: left; white-space: pre-wrap"
    styles = (style, style, f"{style}; overflow-wrap: anywhere", f"{style}; overflow-wrap: anywhere")
    cells = [
        [f'<td style="{style}">{escape(cell)}</td>' for style, cell in zip(styles, row, strict=True)]
        for row in report.rows()
    ]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    to_mend = sum(not finding.warning for finding in report.findings)
    caption = f"✖ {to_mend} to mend" if to_mend else "✔ Nothing to mend"
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
