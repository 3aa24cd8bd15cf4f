"""What a text is that should be a config list and is not: one message, with the place and what to do.

The tables are read from the top; the first line that fits counts.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import unicodedata
import warnings
from typing import Any

from kit.config_list.secrets import masked

FIELDS_OF_ENTRIES = {"model", "model_client_cls", "api_key", "base_url", "api_type"}
OTHER_FILES = {  # by a name in them
    "nbformat": "this is a notebook",
    "architectures": "these are the settings of a model (its config.json)",
    "model_type": "these are the settings of a model (its config.json)",
}
VARIABLE = re.compile(  # os.getenv("X"), os.environ["X"], os.environ.get("X")
    r"""(?:getenv|environ(?:\.get)?)\s*[(\[]\s*["']([A-Z][A-Z0-9_]*)["']"""
)
CALL = re.compile(r"""\b(?:[rbfuRBFU]{1,2}["']|(?!None|True|False)[A-Za-z_][\w.]*\s*[(\[])""")
LONGEST = 50_000  # characters that are looked at to tell another format
PROGRAM = (ast.Call, ast.JoinedStr, ast.Subscript, ast.Import, ast.ImportFrom, ast.comprehension)

# Searched in the parser's own message, what else the text is, a line break, and the text with \0 where the
# parser stopped. {name} is the first variable that a Python text reads.
LOOKS = [
    (r"\A[^\n]*\n\s*\0\s*\Z", "empty. Write a list: [{...}]."),
    (r"\n\0\ufeff", "starts with a byte order mark. Save it as UTF-8 without BOM."),
    (
        r"(?i)\A[^\n]*\n\s*\0<(?:!doctype|!--|\?xml|html|head|body|script|svg)\b",
        "this is a web page or XML, not JSON. Download the file itself, not the page that shows it.",
    ),
    (
        r"\A[^\n]*<YAML>.*\blitellm_params\b",
        "these are LiteLLM's settings, in YAML. Write one entry for each model_name, with the address of "
        'LiteLLM\'s server: [{"model": ..., "base_url": ..., "api_key": ...}].',
    ),
    (r"\A[^\n]*<YAML>", 'this is YAML, not JSON. Write one object for each model: [{"model": ...}].'),
    (r"\A[^\n]*<TOML>", 'this is TOML, not JSON. Write one object for each model: [{"model": ...}].'),
    (
        r"\A[^\n]*<NAME=value>",
        "these are lines of NAME=value, as in a .env file, not JSON. Write the list in a file of its own: "
        '[{"model": ..., "api_key": "${NAME}"}].',
    ),
    (r"\A[^\n]*\n\s*\0```", "a Markdown fence, not JSON. Delete the lines with ```."),
    (
        r"\0,\s*[\]}]|,\s*\0\s*[\]}]",
        "a comma before the closing bracket. JSON allows none there: delete it.",
    ),
    (r"[\[{,]\s*\0,", "a comma too many. Delete it."),
    (r"\AExtra data[^\n]*\n.*\0\s*[\]}]", "one closing bracket too many. Delete it."),
    (
        r"\AExtra data[^\n]*\n.*\0\s*\[",
        "another list begins here. Put all entries into one [ ], with commas.",
    ),
    (
        r"\AExtra data[^\n]*\n\s*\"[^\"\n]*\"\s*\0:",
        "fields without an object. Write [{ before, }] after.",
    ),
    (r"\0(?:#|//|/\*)", "a comment. JSON has none: delete it."),
    (r"\0;", "a semicolon. JSON has none: delete it."),
    (r"\AExtra data", "the text goes on after its end. Put one [ ] around all entries, commas between them."),
    (r"\0([-+]?\.\d|\+\d)", "a number begins with a digit, or a minus: 0.5, not .5."),
    (r":\s*-?[1-9]\d*,\0\d{3}\b", "a comma in a number. Write it without one: 1000."),
    (r":\s*-?\d+,\s*\0\d", "a decimal comma. JSON writes a point: 0.5."),
    (r"\d\0[\w.]", "a number that JSON can't read. Write it plainly: 1000, or 0.5."),
    (
        r"\AInvalid \\",
        r"a single backslash in a text. Write two, or a / in its place: C:\\Users or C:/Users.",
    ),
    (
        r"\AInvalid control",
        'a line break or a tab in a text. End the text with a " on its line, or write \\n or \\t.',
    ),
    (r"\AUnterminated", 'a text without an end. Write its closing ".'),
    (
        r"\A[^\n]*<Python>",
        "this is Python, not JSON. JSON has double quotes, true, false and null; in Python, "
        "json.dumps(config_list) writes it.",
    ),
    (
        r"\A[^\n]*<program>|\0(?:[rbfu]{1,2}[\"']|(?!None|True|False)[A-Za-z_][\w.]*\s*[(\[])",
        "this is Python, and JSON can't call anything. Write the values themselves, a key as "
        '"${{name}}" (load_config_list fills it in), or keep the list in Python.',
    ),
    (r"\0(?:\.\.\.|…)", "dots that stand for something. Write it out."),
    (r"\0(?:True|False|None)\b", "a word of Python's. JSON writes true, false and null."),
    (r"\0[“”„‟«»‘’‚‛＂]", 'a curly quote. JSON takes only the straight one: ".'),
    (r"\0'", "a single quote. JSON writes every text in double quotes."),
    (r"\0[^\x00-\x7f]", "{character} is not a part of JSON. Delete it, or type it again."),
    (
        r"\AExpecting property[^\n]*\n[^\"']*\0[A-Za-z_][^\"']*\Z",
        "there are no quotes in it. JSON writes names and texts in double quotes; a shell removes them "
        "unless the whole list stands in single ones.",
    ),
    (r"\AExpecting property.*\0[A-Za-z_]", 'a name without quotes. Write them: "model".'),
    (
        r"\AExpecting property.*{\s*\0{",
        "an object right inside another. A list has [ ] around it.",
    ),
    (r"\AExpecting value.*:\s*\0[,}\]]", "a value is missing after the colon. Write it, or delete the name."),
    (
        r"\AExpecting value[^\n]*\n\s*\0[^\[{(\"']",
        'this is not JSON. A list begins with [ and holds objects: [{"model": ...}].',
    ),
    (r"\AExpecting value.*\0[A-Za-z_<$@/~]", "a text without quotes. Write double quotes around it."),
    (r"\AExpecting ':'.*\0=", "JSON writes a colon between name and value. Write : in its place."),
    (r"\AExpecting ':'.*\0[^\s,}\]]", "no colon between a name and its value. Write one here."),
    (r"\AExpecting ','.*[^\s}\]]\s*\0{", "a } is missing before this {. Write }, with its comma."),
    (r"\AExpecting ','.*\"\0\w", 'a " inside of a text. Write \\" for it.'),
    (r"\AExpecting ','.*\0[\"{\[\w-]", "a comma is missing. Write one before this."),
    (
        r"\AExpecting ','.*\0[\]}]",
        "a bracket of the wrong kind, or one too many: [ ends with ], { with }.",
    ),
    (r"\0\s*\Z", "the text ends too early. Every bracket needs its partner: a ] or } is missing."),
    (r"", "not JSON ({message}). Every bracket needs its partner, every text double quotes."),
]


def why_not_json(text: str, error: json.JSONDecodeError) -> str:
    """Return what a text that isn't JSON is instead, where that shows, and what to do."""
    kind = kind_of_text(text)
    before, after = text[: error.pos], text[error.pos :]
    marked = f"{error.msg} <{kind}>\n{before}\0{after}"
    why = next(why for looks, why in LOOKS if re.search(looks, marked, re.DOTALL))
    call = CALL.search(text) if kind == "program" else None
    line, column = _place(text, call.start()) if call else (error.lineno, error.colno)
    variable = VARIABLE.search(text)
    why = why.replace("{name}", variable[1] if variable else "MY_API_KEY").replace("{message}", error.msg)
    why = why.replace("{character}", unicodedata.name(after[0], "this character") if after else "")
    return f"line {line}, column {column}: {why}"


def why_not_a_list(value: Any) -> str:
    """Return what a JSON value that isn't a list is instead, and what to do."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(json.loads(value), (list, dict)):
                return 'a text that holds JSON: it was made JSON twice. Drop the outer " and each \\ in it.'
    if not isinstance(value, dict):
        return f"{kind_of(value)} instead of a list of objects."
    if "config_list" in value:
        return 'only the list belongs here: drop the outer {"config_list": ...}.'
    if other := next((name for name in OTHER_FILES if name in value), None):
        return f"{OTHER_FILES[other]}, not a config list. Name the list's own file."
    if not FIELDS_OF_ENTRIES & set(value):
        if lists := [name for name, item in value.items() if is_list_of_entries(item)]:
            if any("litellm_params" in item for item in value[lists[0]]):
                return (
                    "these are LiteLLM's settings. Write one entry for each model_name, with the address of "
                    'LiteLLM\'s server: [{"model": ..., "base_url": ..., "api_key": ...}].'
                )
            return f"only the list belongs here: keep what stands after {masked(lists[0])!r}."
        if named := entries_by_name(value):
            names = ", ".join(repr(masked(name)) for name in list(named)[:3])
            return (
                f"entries with names ({names}) instead of a list. Drop the names; in Python, "
                "list(config_list.values()) does it."
            )
    return "one object instead of a list: put [ before it, ] after it."


def is_list_of_entries(value: Any) -> bool:
    are = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    return are and any({*FIELDS_OF_ENTRIES, "litellm_params"} & set(item) for item in value)


def kind_of(value: Any) -> str:
    """Return the name of a value's type with its article."""
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def entries_by_name(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object itself if its values are entries, else an empty one."""
    items = value.values()
    are = items and all(isinstance(item, dict) and FIELDS_OF_ENTRIES & set(item) for item in items)
    return value if are else {}


def kind_of_text(text: str) -> str:
    """Return what a text is instead of JSON, "" if that can't be told from the whole of it."""
    whole = text[:LONGEST].splitlines()[: -1 if len(text) > LONGEST else None]
    lines = [line.rstrip() for line in whole]
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "//"))]
    if not lines:
        return ""
    if any(re.fullmatch(r"\[{1,2}[A-Za-z_][\w.-]*\]{1,2}", line) for line in lines):
        return "TOML" if any(re.match(r"\s*[\w.-]+\s*=", line) for line in lines) else ""
    python = _python(text)
    if python or lines[0].lstrip()[0] in '[{("':
        return python
    if re.match(r"\s*\w+\s*(?::[^=\n]+)?=\s*[\[{(]", lines[0]):  # a list that is not valid Python either
        return "Python" if not CALL.search(text) else "program"
    if all(re.match(r"\s*(?:export\s+|set\s+|\$env:)?[A-Za-z_][\w.]*\s*=", line) for line in lines):
        return "NAME=value"
    listed = [line for line in lines if re.match(r"\s*-\s", line) or line == "---"]
    named = [line for line in lines if re.match(r"\s*(?:-\s+)?[\w.-]+:(?:\s|$)", line)]
    alike = sum(line in listed or line in named for line in set(lines)) > len(set(lines)) / 2
    return "YAML" if alike and (listed or len(named) > 1) else ""


def _python(text: str) -> str:
    """Return "Python" for a list or an object in Python, "program" for one that calls something, else ""."""
    with (
        contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError),
        warnings.catch_warnings(action="ignore"),  # of a backslash in a path
    ):
        tree = ast.parse(text.strip() if len(text) < LONGEST else "")
        nodes = list(ast.walk(tree))
        if any(isinstance(node, PROGRAM) for node in nodes):
            return "program"
        last = tree.body[-1] if tree.body else None
        if isinstance(last, (ast.Assign, ast.AnnAssign, ast.Expr)) and last.value:
            value = ast.literal_eval(last.value)
            objects = isinstance(value, (list, tuple)) and all(isinstance(item, dict) for item in value)
            return "Python" if isinstance(value, dict) or objects else ""
    return ""


def _place(text: str, at: int) -> tuple[int, int]:
    """Return the line and the column of a place in a text."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
