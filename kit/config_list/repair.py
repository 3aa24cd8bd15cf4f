"""Fix the text of a config list that is not JSON: to be shown as a diff and taken only if wanted."""

from __future__ import annotations

import ast
import contextlib
import difflib
import json
import re
import warnings
from typing import Any

import json_repair
import yaml

from kit.config_list.hints import MEANT, OLD_NAMES
from kit.config_list.lists import ConfigList, ConfigListError, parse_config_list, to_json
from kit.config_list.looks import FIELDS_OF_ENTRIES, entries_by_name, is_list_of_entries, kind_of_text
from kit.config_list.secrets import hide_secrets, walk, words_of

SET = re.compile(r"\A(?:export\s+|set\s+|\$env:)(?=\w+\s*=)", re.IGNORECASE)  # a variable, in a shell
JSON_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
ENVIRONMENT = ("os.environ", "environ")
GETTERS = ("os.getenv", "getenv", "os.environ.get", "environ.get")
TO_TEXT = ("Path", "pathlib.Path", "str", "os.path.join")
READ_FROM_VARIABLE = re.compile(
    r"""(?:os\.)?(?:getenv|environ(?:\.get)?)\s*[(\[]\s*["'](\w+)["'](?:\s*,[^()\[\]{}]*)?\s*[)\]]"""
)
# LiteLLM's providers that speak OpenAI's protocol: the first two at OpenAI's own address.
OPENAI_LIKE = ("", "openai", "hosted_vllm", "lm_studio", "text-completion-openai", "custom_openai")
ADDRESSES_OF = {"ollama": "http://localhost:11434/v1", "ollama_chat": "http://localhost:11434/v1"}
LINE_OF_ENV = re.compile(r"(?im)^\s*(?:export\s+|set\s+|\$env:)?([A-Z_]\w*)\s*=[ \t]*(.*?)\s*$")
WINDOWS_PATH = re.compile(r"""(["'])(?:[A-Za-z]:|\\{1,2}\w+|\.{1,2})\\[^"'\n]*\1""")


def repair(text: str) -> ConfigList | None:
    """Return the entries that a text was probably meant to hold, None if that can't be told.

    Python with its assignments and environment variables, YAML, LiteLLM's model list, the lines of a .env
    file, missing or surplus commas and brackets, comments, curly quotes, paths with single backslashes,
    entries with names or without a list around them, and the field names of older versions.
    """
    text = SET.sub("", text.strip().removeprefix("\ufeff"))
    with_slashes = WINDOWS_PATH.sub(_with_slashes, text)
    if "\\" in _why_not(text):  # JSON, but for a backslash
        text = with_slashes
    ways = [(_from_python, text), (_from_python, with_slashes), (_from_broken_json, text)]
    kind = kind_of_text(text)
    if kind == "YAML":
        ways = [(_from_yaml, text)]
    elif kind == "NAME=value":  # one of which may be the list itself
        ways = [(_from_broken_json, text), (_from_variables, text)]
    for read, form in ways:
        with (
            contextlib.suppress(ValueError, SyntaxError, TypeError, LookupError, MemoryError, RecursionError),
            warnings.catch_warnings(action="ignore"),  # of a backslash in a path
        ):
            value = read(form)
            if isinstance(value, str) and value != form and value.lstrip()[:1] in ("[", "{"):
                return repair(value)  # JSON in JSON, or the value of a variable
            entries = _entries(value)
            if entries and all(item and isinstance(item, dict) for item in entries):
                renamed = [{OLD_NAMES.get(name, name): item[name] for name in item} for item in entries]
                return parse_config_list(json.dumps(renamed))
    return None


def _why_not(text: str) -> str:
    """Return what JSON's parser says of a text, "" if it takes it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return getattr(error, "msg", "")
    return ""


def _with_slashes(path: re.Match[str]) -> str:
    """Return a path in quotes with / for each backslash, if one of them is single."""
    single = re.search(r"(?<!\\)\\(?!\\)", path[0])
    return re.sub(r"\\+", "/", path[0]) if single else path[0]


def _entries(value: Any) -> list[Any] | tuple[Any, ...]:
    """Return the entries of a list or an object that holds some; none where there is no telling."""
    if isinstance(value, dict):
        lists = [item for item in value.values() if is_list_of_entries(item)]
        known = any(words_of(name) in {*MEANT, *OLD_NAMES, *FIELDS_OF_ENTRIES} for name in map(str, value))
        value = lists[0] if lists and not known else [value] if known else [*entries_by_name(value).values()]
    entries = value if isinstance(value, (list, tuple)) else []
    return [_of_litellm(one) if isinstance(one, dict) and "litellm_params" in one else one for one in entries]


def _of_litellm(listed: dict[str, Any]) -> dict[str, Any]:
    """Return one of LiteLLM's models as an entry that asks the model's own server.

    Raises:
        ValueError: its server speaks another protocol than OpenAI's, or its address is not there.
    """
    given = dict(listed["litellm_params"])
    provider, _, model = str(given.pop("model")).rpartition("/")
    asked = (given.pop("api_base", None), given.pop("base_url", None), ADDRESSES_OF.get(provider))
    base = next((str(address) for address in asked if address), "")
    if provider not in (*OPENAI_LIKE, *ADDRESSES_OF, "azure") or (provider in OPENAI_LIKE[2:] and not base):
        raise ValueError(f"{provider} is asked in another way")
    if provider.startswith("ollama") and not base.rstrip("/").endswith("/v1"):  # LiteLLM asks its own API
        base = f"{base.rstrip('/')}/v1"
    entry = {"model": model, **({"api_type": "azure"} if provider == "azure" else {})}
    return entry | ({"base_url": base} if base else {}) | given


def _from_yaml(text: str) -> Any:
    """Return the value of a YAML text, LiteLLM's `os.environ/NAME` as a reference."""

    def refer(value: Any, name: str) -> Any:
        return re.sub(r"\Aos\.environ/(\w+)\Z", r"${\1}", value) if isinstance(value, str) else value

    try:
        return walk(yaml.safe_load(text), refer)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _from_variables(text: str) -> Any:
    """Return an entry for each server whose key, model or address the lines of a .env file hold.

    A key that is written there becomes part of the entry: who takes the entries lifts it out.
    """
    servers: dict[str, dict[str, Any]] = {}
    for name, value in re.findall(LINE_OF_ENV, text):
        if found := re.fullmatch(
            r"(?:(\w+?)_)?(API_KEY|MODEL(?:_NAME)?|DEPLOYMENT\w*|BASE_URL|API_BASE|ENDPOINT|API_VERSION)",
            name,
        ):
            field = {"API_KEY": "api_key", "API_VERSION": "api_version"}.get(found[2])
            field = field or ("model" if found[2][0] in "MD" else "base_url")
            if bare := value.strip().strip("\"'"):
                servers.setdefault(found[1] or "", {})[field] = bare
    entries = []
    for prefix, fields in servers.items():
        azure = {"api_type": "azure"} if prefix.startswith("AZURE") else {}
        entries.append({"model": "name-of-the-model", **azure, **fields})
    return entries


def diff(before: str, entries: list[dict[str, Any]]) -> str:
    """Return what saving the entries changes in a text, line by line, secrets masked."""
    after = to_json(entries)
    known = list(entries)
    with contextlib.suppress(ConfigListError):
        known += parse_config_list(before)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    return hide_secrets("\n".join([*lines][3:]), *known)  # without file names and the first place


def _from_python(text: str) -> Any:
    """Return the value of a Python literal, or of the last assignment of entries; nothing is run."""
    *others, last = ast.parse(text).body
    if isinstance(last, ast.Expr) and not others:
        return ast.literal_eval(_Plain(JSON_WORDS).visit(last.value))
    values, found = dict(JSON_WORDS), None
    for statement in [*others, last]:
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        try:
            value = ast.literal_eval(_Plain(values).visit(statement.value))
        except (ValueError, TypeError):
            found = None if "config_list" in names else found
            continue
        if len(repr(value)) < 100_000:  # else lists of lists of lists might never end
            values |= dict.fromkeys(names, value)
        if isinstance(value, str) or _entries(value):
            found = value
    return found


class _Plain(ast.NodeTransformer):
    """Replaces what Python would work out by what it comes to: an environment variable is "${NAME}"."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values  # of the names that were assigned before

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = node.id in self.values
        return ast.parse(repr(self.values[node.id]), mode="eval").body if known else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        name = _text_of(node.slice)
        return ast.Constant(f"${{{name}}}") if name and ast.unparse(node.value) in ENVIRONMENT else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function, texts = ast.unparse(node.func), [*map(_text_of, node.args)]
        if function in GETTERS and texts and texts[0]:
            return ast.Constant(f"${{{texts[0]}}}")
        if function in TO_TEXT and texts and None not in texts:
            return ast.Constant("/".join(map(str, texts)))
        if function == "dict" and not texts and all(word.arg for word in node.keywords):
            words = node.keywords
            return ast.Dict([ast.Constant(word.arg) for word in words], [word.value for word in words])
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        texts = [*map(_text_of, node.values)]
        return node if None in texts else ast.Constant("".join(map(str, texts)))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        left, right, between = _text_of(node.left), _text_of(node.right), {ast.Add: "", ast.Div: "/"}
        if left is None or right is None or type(node.op) not in between:
            return node
        return ast.Constant(f"{left}{between[type(node.op)]}{right}")


def _text_of(node: ast.AST) -> str | None:
    """Return the text that a literal is, or a {value} of an f-string; None for all others."""
    if isinstance(node, ast.FormattedValue) and node.conversion == -1 and node.format_spec is None:
        node = node.value
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _from_broken_json(text: str) -> Any:
    with contextlib.suppress(ValueError):  # several lists, one after the other
        return _one_after_the_other(text)
    text = READ_FROM_VARIABLE.sub(r'"${\1}"', text)
    if kind_of_text(text) == "program":
        return None
    if re.match(r"""["']\w+["']\s*:""", text):
        text = f"{{{text}}}"
    if not text.startswith("{"):
        return json_repair.loads(text)
    # Of several objects in a row it would keep the last, unless there is a list around them.
    value: Any = json_repair.loads(f"[{text}]")
    return value[0] if len(value) == 1 else value


def _one_after_the_other(text: str) -> Any:
    """Return the value that a text holds; of several the objects, and the items of lists, in one list."""
    values: list[Any] = []
    decoder, between, at = json.JSONDecoder(), re.compile(r"[\s,;]*"), 0
    while (start := between.match(text, at)) and start.end() < len(text):
        value, at = decoder.raw_decode(text, start.end())
        values.append(value)
    if len(values) == 1:
        return values[0]
    return [item for value in values for item in (value if isinstance(value, list) else [value])]
