"""OAI_CONFIG_LIST: parse, check, load and save the list of models that AutoGen's agents choose from.

AutoGen's own validator is the judge of types and ranges; this module puts its verdicts, and what
people really get wrong before AutoGen even looks, into words that say where and how to fix it.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import functools
import hashlib
import json
import keyword
import logging
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.config_list.secrets import (
    KEY,
    MASK,
    ConfigEntry,
    belongs_elsewhere,
    hide_secrets,
    masked,
    referring,
    resolved,
    server_of,
    variable_for,
    variables_in,
)
from kit.files import Unreadable, read_text, write_atomically

# Fields of the kit's own model clients; those of AutoGen and OpenAI are read off their packages.
CLIENT_FIELDS = {"device", "device_map", "dtype", "revision", "params", "max_new_tokens", "do_sample"}
CLIENT_FIELDS |= {"quantization", "prefix_cache", "top_k", "min_p", "repetition_penalty"}
CLIENT_FIELDS |= {"chat_template_kwargs", "merge_system", "merge_neighbours", "image_folder", "fetch_images"}
PLACEHOLDER = re.compile(r"name-of-the-[a-z-]+|any-name")  # in what a form starts with
OLD_NAMES = {"engine": "model", "api_base": "base_url", "request_timeout": "timeout"}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a config list: where (`entry` index, `field`), what, and how to fix it."""

    message: str
    entry: int | None = None
    field: str | None = None
    warning: bool = False  # AutoGen takes it, but it is probably a mistake
    only_here: bool = False  # a variable or a package that this machine lacks: the list itself may be right
    # Name and value that would take the field's place; not for the eye: it may be a key.
    fix: tuple[str, Any] | None = dataclasses.field(default=None, repr=False)

    def __str__(self) -> str:
        if self.entry is None:
            return self.message
        field = f", {masked(self.field)!r}" if self.field else ""
        return f"entry {self.entry}{field}: {self.message}"


class ConfigListError(ValueError):
    """A config list can't be used; `problems` says where, what, and how to fix it."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(f"{source}: " + "\n".join(map(str, problems)))


class ConfigListConflict(ConfigListError):
    """The file holds something that this list was not loaded from."""


class ConfigList(list):
    """A config list whose `repr` masks secrets, and that remembers the file it came from."""

    path: Path | None = None
    digest: str | None = None  # of the file's content when it was read or written


def parse_config_list(text: str, source: str = "config list") -> ConfigList:
    """Return the entries of a JSON text, not yet checked for what is in them.

    Raises:
        ConfigListError: the text isn't a JSON list of objects; the message says what it looks like.
    """

    def entry(pairs: list[tuple[str, Any]]) -> ConfigEntry:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:  # JSON would quietly keep the last
                message = f"{name!r} appears twice in one object: keep one."
                raise ConfigListError(source, [Problem(message)])
        return ConfigEntry(pairs)

    try:
        value = json.loads(text, object_pairs_hook=entry)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # refuses what could not be saved
    except json.JSONDecodeError as error:
        raise ConfigListError(source, [Problem(_why_no_json(text, error))]) from None
    except ConfigListError:
        raise
    except (ValueError, RecursionError) as error:  # NaN, half a surrogate pair, thousands of brackets
        reason = f"it can't be read as JSON and written again: {str(error).splitlines()[0]}."
        raise ConfigListError(source, [Problem(reason)]) from None
    if isinstance(value, dict):
        wrapped = 'only the list belongs here: drop the outer {"config_list": ...}.'
        single = "one object instead of a list: put [ before it, ] after it."
        raise ConfigListError(source, [Problem(wrapped if "config_list" in value else single)])
    if not isinstance(value, list):
        raise ConfigListError(source, [Problem(f"a {type(value).__name__} instead of a list of objects.")])
    if problems := _no_objects(value):
        raise ConfigListError(source, problems)
    return ConfigList(value)


def check_config_list(entries: list[dict[str, Any]], places: list[int] | None = None) -> list[Problem]:
    """Return what is wrong with the entries, errors before warnings; an empty list if nothing is.

    Errors are what AutoGen would reject, now or when an agent is made from the list, and class names
    that can never be registered. No network is used and no model is loaded. `places` are the numbers
    by which messages call the entries, where these are only some of a file's.
    """
    if not entries:
        return [Problem('the list is empty: add an entry, say {"model": "...", "model_client_cls": "..."}.')]
    if problems := _no_objects(entries):
        return problems
    numbered = list(zip(places or range(len(entries)), entries, strict=True))
    errors = [problem for index, entry in numbered for problem in _check_entry(index, entry)]
    hints = [problem for index, entry in numbered for problem in _hints(index, entry)]
    return errors + hints


def load_config_list(
    env_or_file: str | Path = "OAI_CONFIG_LIST", filter_dict: dict[str, Any] | None = None
) -> ConfigList:
    """Return the checked config list from an environment variable or a file.

    Sources are tried in AutoGen's own order: an environment variable of that name comes first, even
    if the file exists; it holds the JSON itself or the path of a file. A key written as
    `"${MY_API_KEY}"` is read from that variable; saving the list writes the reference again.

    Args:
        env_or_file: the name of the variable or file.
        filter_dict: keep the entries whose fields have one of the values, e.g. `{"model": ["a", "b"]}`.

    Raises:
        ConfigListError: there is no such source, AutoGen would reject what is kept of it, or a
            variable that it refers to is not set.
    """
    text, source, path = read_source(env_or_file)
    everything = parse_config_list(text, source)
    entries = filter_config_list(everything, filter_dict)
    places = [index for index, entry in enumerate(everything) if any(entry is one for one in entries)]
    problems = check_config_list(entries, places)
    entries = ConfigList(map(resolved, entries))
    if not all(problem.warning for problem in problems):
        raise ConfigListError(source, problems)
    for problem in problems:
        warnings.warn(f"{source}: {problem}", stacklevel=2)
    if len(entries) == len(everything):  # else saving it back would drop the rest of the file
        entries.path, entries.digest = path, digest(text)
    return entries


def filter_config_list(entries: list[dict[str, Any]], filter_dict: dict[str, Any] | None) -> ConfigList:
    """Return the entries that AutoGen's `filter_config` keeps.

    Raises:
        ConfigListError: the filter keeps nothing.
    """
    if not filter_dict:
        return ConfigList(entries)
    from autogen.llm_config.utils import filter_config

    # AutoGen 0.14.1 documents sets, but compares them as one value: none would ever match.
    wanted = {name: list(v) if isinstance(v, (set, tuple)) else v for name, v in filter_dict.items()}
    kept = filter_config(entries, wanted)
    if entries and not kept:
        has = masked({name: [entry.get(name) for entry in entries] for name in wanted})
        message = f"{masked(wanted)} keeps no entry. The list has {has}."
        raise ConfigListError("filter_dict", [Problem(message)])
    return ConfigList(kept)


def save_config_list(
    entries: list[dict[str, Any]], path: str | Path | None = None, *, overwrite: bool = False
) -> ConfigList:
    """Write the entries as JSON, readable by the owner alone, and return them as a loaded list.

    The file is replaced in one step: whatever happens, it holds the old list or the new one. Fields
    keep their order, and nothing is dropped. Without `path` the list goes back to where it came from.

    Raises:
        ConfigListError: AutoGen would reject the list, a value can't be written as JSON, the folder
            can't be written to, or the file holds something that this list was not loaded from
            (`overwrite=True` replaces it). A key or a package that only this machine lacks is no
            reason.
    """
    known_path, known_digest = getattr(entries, "path", None), getattr(entries, "digest", None)
    path = Path(known_path or "OAI_CONFIG_LIST" if path is None else path)
    problems = check_config_list(entries)
    errors = [problem for problem in problems if not (problem.warning or problem.only_here)]
    if errors:
        raise ConfigListError(str(path), errors)
    text = to_json(entries) + "\n"
    try:
        if path.exists() and not overwrite:
            on_disk = digest(path.read_text(encoding="utf-8", errors="replace"))
            loaded_from_here = known_path is not None and known_path.resolve() == path.resolve()
            if on_disk != digest(text) and not (loaded_from_here and on_disk == known_digest):
                what = "has changed since it was loaded" if loaded_from_here else "exists already"
                message = f"{what}. Load it again, save under another name, or pass overwrite=True."
                raise ConfigListConflict(str(path), [Problem(message)])
        write_atomically(path, text)
    except ConfigListError:
        raise
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        reason = getattr(error, "strerror", error)
        raise ConfigListError(str(path), [Problem(f"can't be written: {reason}.")]) from None
    saved = ConfigList(ConfigEntry(entry) for entry in entries)
    saved.path, saved.digest = path, digest(text)
    return saved


def to_json(entries: list[dict[str, Any]]) -> str:
    """Return the JSON text of the entries, secrets included.

    Raises:
        ConfigListError: a value has no JSON form (a function, a path, NaN).
    """
    for index, entry in enumerate(entries):
        for name, value in entry.items():
            try:
                json.dumps({name: value}, ensure_ascii=False, allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError):
                message = f"{masked(value, name)!r} has no JSON form: pass it at registration instead."
                raise ConfigListError("config list", [Problem(message, index, name)]) from None
    return json.dumps(referring(entries), indent=2, ensure_ascii=False)


def read_source(env_or_file: str | Path) -> tuple[str, str, Path | None]:
    """Return the text, a name for it in messages, and its path if it came from a file.

    Raises:
        ConfigListError: there is no such text, or what is there can't be a config list.
    """
    name = str(env_or_file)
    if not name.strip():
        message = "can't be read: the name is empty. Write that of the file, or of the variable."
        raise ConfigListError("config list", [Problem(message)])
    value = os.environ.get(name)
    if value and not os.path.exists(value):
        if value.lstrip()[:1] not in tuple("[{("):
            message = "holds neither a JSON list nor the path of a file that exists."
            raise ConfigListError(f"environment variable {name}", [Problem(message)])
        return value, f"environment variable {name}", None
    path = Path(value or name)
    try:
        return read_text(path), str(path), path
    except FileNotFoundError:
        message = f"neither an environment variable nor a file of this name (looked in {Path.cwd().name!r})."
        if near := difflib.get_close_matches(name, {*os.listdir()} - {name}, 1, 0.7):
            message += f" Is {near[0]!r} meant?"
    except Unreadable as error:
        message = str(error)
    raise ConfigListError(str(path), [Problem(message)])


def _unset(value: Any, name: str = "") -> list[str]:
    """Return the variables that an entry refers to and that are not set."""
    return [variable for variable in variables_in(value, name) if not os.environ.get(variable)]


# What a text that isn't JSON looks like, and how to fix it; the first pattern that fits counts. It is
# searched in the parser's own message, a line break, and the text with \0 where the parser stopped.
BROKEN_JSON = [
    (r"\A[^\n]*\n\s*\0\s*\Z", "empty. Write a list: [{...}]."),
    (r"\n\0\ufeff", "starts with a byte order mark. Save it as UTF-8 without BOM."),
    (r"\0,\s*[\]}]|,\s*\0\s*[\]}]", "a comma before the closing bracket. JSON allows none there: delete it."),
    (r"\AExtra data", "the text goes on after its end. Put one [ ] around all entries, commas between them."),
    (r"\0([-+]?\.\d|\+\d)", "a number begins with a digit, or a minus: 0.5, not .5."),
    (r":\s*-?\d+,\s*\0\d", "a decimal comma. JSON writes a point: 0.5."),
    (r"\0\s*\Z", "the text ends too early. Every bracket needs its partner: a ] or } is missing."),
]


def _why_no_json(text: str, error: json.JSONDecodeError) -> str:
    """Return what a text that isn't JSON looks like, where it goes wrong, and how to fix it."""
    where = f"line {error.lineno}, column {error.colno}"
    marked = f"{error.msg}\n{text[: error.pos]}\0{text[error.pos :]}"
    for looks, why in BROKEN_JSON:
        if re.search(looks, marked, re.DOTALL):
            return f"{where}: {why}"
    with (
        contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError),
        warnings.catch_warnings(action="ignore"),  # of a backslash in a path
    ):
        ast.literal_eval(text.strip())
        return (
            f"{where}: this is Python, not JSON. JSON has double quotes, true, false and null; in Python, "
            "json.dumps(config_list) writes it."
        )
    return f"{where}: not JSON ({error.msg}). Every bracket needs its partner, every text double quotes."


def _no_objects(entries: list[Any]) -> list[Problem]:
    """Return a problem for each item that isn't an object; it may be a key, so it isn't shown."""
    return [
        Problem(f'a {type(item).__name__} instead of an object: write {{"model": ...}}.', index)
        for index, item in enumerate(entries)
        if not isinstance(item, dict)
    ]


def _check_entry(index: int, entry: dict[str, Any]) -> list[Problem]:
    """Return what AutoGen would reject in one entry, and class names that can't be registered."""
    try:
        from autogen import LLMConfig, OpenAIWrapper
    except ImportError as error:
        needed = "Checking a config list needs AutoGen classic: pip install 'autogen[openai]==0.14.1'."
        raise ImportError(f"{needed} ({error})") from None
    from pydantic import ValidationError

    if not entry:
        return [Problem('an empty entry: add at least a "model".', index)]
    name = entry.get("model_client_cls")
    if isinstance(name, str) and (not name.isidentifier() or keyword.iskeyword(name)):
        message = f"{masked(name)!r} isn't a class name. Write the name after `class`: 'MyModelClient'."
        return [Problem(message, index, "model_client_cls")]
    if unset := _unset(entry):
        message = (
            f"the environment variable {unset[0]} is not set. Set it before you start Jupyter or Python."
        )
        field = next((str(name) for name, value in entry.items() if _unset(value, str(name))), None)
        missing = [Problem(message, index, field, only_here=True)]
    else:
        missing = []
    try:
        config = LLMConfig(resolved(entry))
    except ValidationError as error:
        return [_translate(index, entry, detail) for detail in error.errors()] + missing
    if name is None and not missing:
        log = logging.getLogger("autogen.oai.client")
        quiet, log.disabled = log.disabled, True  # it remarks on keys that don't look like OpenAI's
        try:  # what making an agent does with it: no network, but a key and the right package are needed
            OpenAIWrapper(**config)
        except Exception as error:
            reason = " ".join(str(error).split())
            field = next((name for name in ("api_key", "api_version", "base_url") if name in reason), None)
            only_here = field == "api_key" or isinstance(error, ImportError)
            message = f"AutoGen can't make a client from it: {hide_secrets(reason, entry)}"
            return [Problem(message, index, field, only_here=only_here)]
        finally:
            log.disabled = quiet
    return missing


def _translate(index: int, entry: dict[str, Any], detail: Any) -> Problem:
    """Return pydantic's verdict as a problem: which field, its value, what was expected."""
    field = next((str(part) for part in detail["loc"][3:]), None)
    if detail["type"] == "union_tag_invalid":
        field = "api_type"
        names = re.findall(r"\w+", detail["ctx"]["expected_tags"])
        guess = difflib.get_close_matches(str(entry.get(field)), names, 1)
        what_to_do = f"did you mean {guess[0]!r}?" if guess else "for a custom model client, leave it out."
        better = (field, guess[0]) if guess else None
        return Problem(
            f"AutoGen knows no {masked(entry.get(field))!r}: {what_to_do}", index, field, fix=better
        )
    if detail["type"] == "missing":
        return Problem(f"missing. Add {field!r}: AutoGen needs it.", index, field)
    if field == "model" and entry.get("model") == "":
        return Problem("empty. Name a model; for a custom client any name will do.", index, field)
    value = masked(entry.get(field or ""), field or "")
    return Problem(f"{value!r} is not allowed. {hide_secrets(detail['msg'], entry)}.", index, field)


def _hints(index: int, entry: dict[str, Any]) -> list[Problem]:
    """Return a warning for each name that is old or close to a known one, placeholders, half an address."""
    known = _known_fields()
    problems = []
    for name in entry:
        if not isinstance(name, str):
            problems.append(Problem(f"the name {name!r} isn't a text: write it in quotes.", index))
        elif name in OLD_NAMES:
            message, guess = f"the name in older versions. Write {OLD_NAMES[name]!r}.", OLD_NAMES[name]
            problems.append(Problem(message, index, name, warning=True, fix=(guess, entry[name])))
        elif name not in known and (close := difflib.get_close_matches(name, known, 3, 0.8)):
            guess = next((other for other in close if sorted(other) == sorted(name)), close[0])  # "modle"
            message = f"unknown field. Did you mean {guess!r}? It is passed on as it is."
            problems.append(Problem(message, index, name, warning=True, fix=(guess, entry[name])))
    for name in ("model", "base_url", "azure_deployment"):
        found = PLACEHOLDER.search(str(entry.get(name)))
        if found and not (name == "model" and "model_client_cls" in entry):  # whose class may take any
            message = f"{found[0]!r} is a placeholder: put the real name there."
            problems.append(Problem(message, index, name, warning=True))
    url, openai = entry.get("base_url"), entry.get("api_type", "openai") == "openai"
    if openai and "model_client_cls" not in entry and re.fullmatch(r"https?://[^/?#]+/?", str(url)):
        better = f"{str(url).rstrip('/')}/v1"
        message = f"no path in it. Most servers answer under /v1: {masked(better)}"
        problems.append(Problem(message, index, "base_url", warning=True, fix=("base_url", better)))
    return problems + _misplaced_keys(index, entry)


def _misplaced_keys(index: int, entry: dict[str, Any]) -> list[Problem]:
    """Return a warning for each key that would go to a server that it is not for, and for stars."""
    problems, server = [], server_of(entry)
    for name, value in entry.items():
        own = variable_for(entry, str(name))
        for variable in variables_in(value, str(name)):
            if belongs_elsewhere(variable, entry):
                message = (
                    f"the key in {variable} would be sent to {server}. Give that server one of its own: "
                )
                problems.append(Problem(f"{message}${{{own}}}", index, str(name), warning=True))
        if MASK in json.dumps(value, default=repr):
            message = "these stars stand for a key that is not here: write the name of its variable."
            problems.append(Problem(message, index, str(name), warning=True))
    url, default = entry.get("base_url"), variable_for({})
    takes_default = url and entry.get("api_type", "openai") == "openai" and "model_client_cls" not in entry
    if takes_default and not entry.get(KEY) and os.environ.get(default) and belongs_elsewhere(default, entry):
        message = (
            f"none, so OpenAI's client would send the key in {default} to {server}. Give that server one: "
        )
        problems.append(Problem(f"{message}${{{variable_for(entry)}}}", index, KEY, warning=True))
    return problems


@functools.cache
def _known_fields() -> frozenset[str]:
    """Return the fields that AutoGen's entries, OpenAI's client and calls, or our clients have."""
    import inspect
    from typing import get_args

    from autogen.llm_config.types import ConfigEntries
    from openai import AzureOpenAI, OpenAI
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase

    names = {name for entry in get_args(ConfigEntries) for name in entry.model_fields}
    for client in (OpenAI, AzureOpenAI):
        names |= set(inspect.signature(client).parameters)
    return frozenset(names | set(CompletionCreateParamsBase.__annotations__) | CLIENT_FIELDS)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
