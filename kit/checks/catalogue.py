"""The catalogue: everything that can be found, written once in findings.toml, and the page made of it.

    python -m kit.checks.catalogue

writes notebooks/TROUBLESHOOTING.md.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from kit.checks.report import STEPS, Finding

PAGE = Path(__file__).parents[2] / "notebooks" / "TROUBLESHOOTING.md"
HEAD = """# Troubleshooting

What people see, why, and what to do; by the steps of the lessons. Search this page for a few words of the
error. With your agent, list or class at hand, `kit.diagnose(agent, MyClient)` looks for all of these at once,
and `%diagnose` after a cell that failed; `kit.check_model_client(MyClient)` runs a class. A word *in this
type* stands for what is there in your case.
"""


@functools.cache
def catalogue() -> list[dict[str, Any]]:
    """Return the findings in their order."""
    text = Path(__file__).with_name("findings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["finding"]


def found(code: str, **facts: Any) -> Finding:
    """Return the finding of a code, filled in with facts: the one without evidence, if there are several.

    Of the facts, `step` and `warning` take the place of the catalogue's.

    Raises:
        KeyError: the catalogue has no such code.
    """
    named = [entry for entry in catalogue() if entry["code"] == code]
    if not named:
        raise KeyError(code)
    return filled(next((entry for entry in named if "when" not in entry), named[0]), facts)


def filled(entry: dict[str, Any], facts: dict[str, Any]) -> Finding:
    """Return an entry of the catalogue as a finding; a fact that nobody knows is an empty text."""
    known = defaultdict(str, facts)
    what, fix = (entry[part].format_map(known) for part in ("what", "fix"))
    step = facts.get("step", entry["step"])
    return Finding(entry["code"], what, fix, step, facts.get("warning", entry.get("warning", False)))


# Facts behind a word, and folders: not always there; names are, as in self.{name}.
OPTIONAL = re.compile(r"(?<=[a-zA-Z0-9.})])\{(?!(?:name|method)\})\w+\}|^\{folder\}")


def page() -> str:
    """Return the catalogue as Markdown, without what says no more than an exception."""
    parts = [HEAD]
    for step, name in STEPS.items():
        parts.append(f"## {name[0].upper()}{name[1:]}\n")
        for entry in catalogue():
            if entry["step"] == step and "see" in entry:
                what, fix = _told(entry["what"]), _told(entry["fix"])
                parts.append(f"### {_heading(entry['see'])}\n\n{what}\n\n**Fix:** {fix}\n")
    return "\n".join(parts)


def _heading(see: str) -> str:
    """Return what people see: an exception as code, anything else in words."""
    if not re.match(r"\w*(?:Error|Exception|Frozen|Protocol)\w*\b", see):
        return _told(see)
    return f"`{see}`" if "`" not in see else f"`` {see} ``"


def _told(text: str) -> str:
    """Return a text of the catalogue as Markdown: markup are only `code` and the names of facts."""
    pieces = re.split(r"(`[^`]*`)", OPTIONAL.sub("", text))
    escape = functools.partial(re.sub, r"(\{\w+(?:!r)?\})|([*_<>|\[\]])", lambda m: m[1] or "\\" + m[2])
    told = "".join(piece if piece[:1] == "`" else escape(piece) for piece in pieces)
    named = re.sub(r"(?<!\{)\{(\w+?)2?(?:!r)?\}(?!\})", r"*\1*", told)
    return named.replace("{{", "{").replace("}}", "}")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    print(f"{PAGE.name}: {len(catalogue())} findings")
