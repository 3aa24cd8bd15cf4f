"""What the builder's form shows, as plain data: the state of an editor without anything secret."""

from __future__ import annotations

import functools
import os
import re
from itertools import groupby
from typing import Any

from pygments.lexers import get_lexer_by_name

from kit.config_list.fields import CUSTOM, FIELDS, IN_FORM, KEY, Field, kind_of_entry, limits, presets
from kit.config_list.lists import Problem
from kit.config_list.secrets import hide_secrets, masked, secret_variables
from kit.widgets.editor import EXTRA, ConfigListEditor

EXTRA_HELP = "What else your class or the server reads, as one JSON object."
EXTRA_EXAMPLE = '{"params": {"max_length": 100}}'


def form(editor: ConfigListEditor) -> dict[str, Any]:
    """Return what the form shows of an editor: texts, marks and choices, in the order of the page."""
    problems = editor.problems()
    return {
        "path": editor.path,
        "saveAs": editor.entries.path is not None and _goes_elsewhere(editor),
        "changed": editor.changed,
        "canSave": bool(editor.entries) and (editor.changed or _goes_elsewhere(editor)),
        "canUndo": editor.can_undo,
        "canRedo": editor.can_redo,
        "presets": list(presets()),
        "entries": [_card(index, entry, problems) for index, entry in enumerate(editor.entries)],
        "selected": editor.selected,
        "groups": _groups(editor, problems) if editor.entry is not None else [],
        "key": _key(editor, problems) if editor.entry is not None else None,
        "extra": _extra(editor, problems) if editor.entry is not None else None,
        "arguments": _arguments(editor),
        "models": editor.models(),
        "classes": editor.classes(),
        "servers": editor.has_server_models(),
        "loading": editor.what_loading_takes(),
        "question": _question(editor),
        "errors": len(_errors(problems)),
        "warnings": len(problems) - len(_errors(problems)),
        "status": _status(editor, problems),
    }


def highlighted(text: str, language: str) -> list[list[str]]:
    """Return a text in pieces of a kind and the piece itself, for the page to colour; kinds are Pygments'."""
    parts = re.split(r"(?<=},\n)", text)  # after each entry: of a long list, only what changed is read again
    return [list(piece) for part in parts for piece in _pieces(part, language)]


@functools.lru_cache(maxsize=1000)
def _pieces(text: str, language: str) -> list[tuple[str, str]]:
    tokens = get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(text)
    coloured = [(_colour(kind), piece) for kind, piece in tokens]
    groups = groupby(coloured, key=lambda pair: pair[0])
    return [(colour, "".join(piece for _, piece in pieces)) for colour, pieces in groups]


def _goes_elsewhere(editor: ConfigListEditor) -> bool:
    """Return whether the list would be saved to another place than it came from."""
    return str(editor.entries.path) != editor.path


def summary(editor: ConfigListEditor) -> str:
    """Return the state of the whole list in a sentence or two."""
    status = _status(editor, editor.problems())
    unsaved = "● Not saved yet." if editor.changed else ""
    return " ".join(part for part in (status["said"], status["text"], unsaved) if part)


def line(index: int, entry: dict[str, Any]) -> str:
    """Return one entry in a line: its place, model, client and where that is."""
    title, where = _names(entry)
    return f"{index}: {title} ({where})"


def _names(entry: dict[str, Any]) -> tuple[str, str]:
    entry, now = masked(entry), hash(frozenset(os.environ.items()))
    client = entry.get("model_client_cls") or entry.get("api_type") or "OpenAI client"
    where = entry.get("base_url") or entry.get("device")
    return _hidden(str(entry.get("model")), now), _hidden(f"{client}{f', {where}' if where else ''}", now)


@functools.lru_cache(maxsize=1000)
def _hidden(text: str, environment: int) -> str:
    """Return a text without keys; which there are depends on the environment, too."""
    return hide_secrets(text)


def _card(index: int, entry: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    title, where = _names(entry)
    where = re.sub(r"https?://", "", where).replace(", ", " · ")  # a card is narrow
    return {"title": title, "where": where, "state": _mark([p for p in problems if p.entry == index])}


def _mark(problems: list[Problem]) -> str:
    """Return how bad some problems are: "error", "warning", or "ok" for none."""
    if not problems:
        return "ok"
    return "warning" if all(problem.warning or problem.only_here for problem in problems) else "error"


def _errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if not (problem.warning or problem.only_here)]


def _verdict(problems: list[Problem]) -> dict[str, str] | None:
    """Return what is wrong with a field, None if nothing is."""
    if not problems:
        return None
    mark = "warning" if all(problem.warning for problem in problems) else "error"
    return {"mark": mark, "text": " ".join(problem.message for problem in problems)}


def _groups(editor: ConfigListEditor, problems: list[Problem]) -> list[dict[str, Any]]:
    """Return the fields that the selected entry's kind has, and those that are filled in, by fold."""
    entry, kind = editor.entry or {}, kind_of_entry(editor.entry or {})
    groups: dict[str, list[dict[str, Any]]] = {}
    for field in FIELDS:
        filled = field.name in entry or field.name in editor.unparsed
        if kind in field.kinds_of_entry or filled:
            groups.setdefault(field.group, []).append(_field(editor, field, problems))
    return [
        {
            "name": name,
            "filled": sum(bool(field["text"] or field["verdict"]) for field in fields),
            "fields": fields,
        }
        for name, fields in groups.items()
    ]


def _field(editor: ConfigListEditor, field: Field, problems: list[Problem]) -> dict[str, Any]:
    own = editor.problems_of(field.name, problems)
    return {
        "name": field.name,
        "label": field.label,
        "kind": field.kind,
        "text": editor.unparsed_text(field.name) or editor.text(field),
        "help": f"{field.help}; {range}" if (range := limits(field.name)) else field.help,
        "verdict": _verdict(own),
        "fix": editor.fix_of(field.name, problems),
    }


def _key(editor: ConfigListEditor, problems: list[Problem]) -> dict[str, Any]:
    state = editor.key_state()
    marks = {"✔": "ok", "▲": "warning", "✖": "error"}
    return {
        "variable": editor.key_variable(),
        "known": secret_variables(),
        "mark": marks.get(state[:1], ""),
        "state": state.lstrip("✔▲✖ "),
        "verdict": _verdict([p for p in editor.problems_of(KEY, problems) if not p.only_here]),
        "needed": kind_of_entry(editor.entry or {}) != CUSTOM or KEY in (editor.entry or {}),
    }


def _extra(editor: ConfigListEditor, problems: list[Problem]) -> dict[str, Any]:
    return {
        "name": EXTRA,
        "text": editor.unparsed_text(EXTRA) or editor.extra_text(),
        "count": len([name for name in editor.entry or {} if name not in IN_FORM]),
        "help": EXTRA_HELP,
        "example": EXTRA_EXAMPLE,
        "verdict": _verdict(editor.problems_of(EXTRA, problems)),
        "fix": editor.fix_of(EXTRA, problems),
    }


def _arguments(editor: ConfigListEditor) -> list[dict[str, Any]]:
    """Return what the selected entry's class takes at registration."""
    typed = editor.typed_arguments()
    return [
        {
            "name": name,
            "text": editor.unparsed_text(f"{name}=") or typed.get(name, ""),
            "default": default or "needed",
            "verdict": _verdict(
                [Problem(text, editor.selected, name) for text in [editor.unparsed.get(f"{name}=")] if text]
            ),
        }
        for name, default in editor.class_arguments().items()
    ]


def _question(editor: ConfigListEditor) -> dict[str, Any] | None:
    question = editor.question
    if question is None:
        return None
    return {"text": question.text, "diff": highlighted(f"{question.diff}\n", "diff"), "yes": question.yes}


def _status(editor: ConfigListEditor, problems: list[Problem]) -> dict[str, Any]:
    """Return what was done last, how the list is, and where its first problem is."""
    errors = _errors(problems)
    first = (errors or problems)[0] if problems else None
    if not editor.entries:
        mark, text = "", "The list is empty: add an entry, or paste a list."
    elif errors:
        mark, text = "error", f"✖ {len(errors)} to fix. First, {errors[0]}"
    else:
        mark, sign, but = ("warning", "▲", f" But {first}") if first else ("ok", "✔", "")
        text = f"{sign} AutoGen accepts this list ({len(editor.entries)}).{but}"
    place = {"entry": first.entry, "field": first.field} if first and first.entry is not None else None
    return {"said": editor.message, "mark": mark, "text": text, "place": place}


@functools.cache
def _colour(kind: Any) -> str:
    """Return the few kinds that the page has colours for, of the many that Pygments tells apart."""
    kinds = {
        "Token.Keyword": "keyword",
        "Token.Name.Builtin": "builtin",
        "Token.Name.Tag": "name",
        "Token.Literal.String": "string",
        "Token.Literal.Number": "number",
        "Token.Comment": "comment",
        "Token.Generic.Deleted": "deleted",
        "Token.Generic.Inserted": "inserted",
    }
    return next((colour for name, colour in kinds.items() if str(kind).startswith(name)), "")
