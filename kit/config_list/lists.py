"""OAI_CONFIG_LIST: parse, check, load and save the list of models that AutoGen's agents choose from.

AutoGen's own validator is the judge of types and ranges; this module puts its verdicts, and what
people really get wrong before AutoGen even looks, into words that say where and how to fix it.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import keyword
import logging
import os
import re
import warnings
from pathlib import Path
from typing import Any

from kit.config_list.hints import address_problem, hints, key_for, what_was_meant
from kit.config_list.looks import kind_of, why_not_a_list, why_not_json
from kit.config_list.problems import ConfigListConflict, ConfigListError, Problem
from kit.config_list.secrets import (
    KEY,
    ConfigEntry,
    hide_secrets,
    masked,
    referring,
    resolved,
    secret_variables,
    server_of,
    variables_in,
)
from kit.config_list.sources import read_source
from kit.files import write_atomically


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
        raise ConfigListError(source, [Problem(why_not_json(text, error))]) from None
    except ConfigListError:
        raise
    except (ValueError, RecursionError) as error:  # NaN, half a surrogate pair, thousands of brackets
        reason = f"it can't be read as JSON and written again: {str(error).splitlines()[0]}."
        raise ConfigListError(source, [Problem(reason)]) from None
    if not isinstance(value, list):
        raise ConfigListError(source, [Problem(why_not_a_list(value))])
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
    wrong = {(problem.entry, problem.field) for problem in errors}
    mistakes = [problem for index, entry in numbered for problem in hints(index, entry)]
    return errors + [problem for problem in mistakes if (problem.entry, problem.field) not in wrong]


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


def _unset(value: Any, name: str = "") -> list[str]:
    """Return the variables that an entry refers to and that are not set."""
    return [variable for variable in variables_in(value, name) if not os.environ.get(variable)]


def _no_objects(entries: list[Any]) -> list[Problem]:
    """Return a problem for each item that isn't an object; it may be a key, so it isn't shown."""
    return [
        Problem(
            "a list instead of an object: delete its [ ]."
            if isinstance(item, (list, tuple))
            else f'{kind_of(item)} instead of an object: write {{"model": ...}}.',
            index,
        )
        for index, item in enumerate(entries)
        if not isinstance(item, dict)
    ]


def _check_entry(index: int, entry: dict[str, Any]) -> list[Problem]:
    """Return what AutoGen would reject in one entry, and class names that can't be registered."""
    try:
        from autogen import LLMConfig, OpenAIWrapper
    except ImportError as error:
        needed = 'Checking a config list needs AutoGen classic: pip install "autogen[openai]==0.14.1".'
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
        plain = unset[0].replace("_", "").lower()
        if same := [name for name in secret_variables() if name.replace("_", "").lower() == plain]:
            message += f" Is {same[0]} meant?"
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
            return _no_client(index, entry, error)
        finally:
            log.disabled = quiet
    return missing


def _no_client(index: int, entry: dict[str, Any], error: Exception) -> list[Problem]:
    """Return why AutoGen's own client can't be made from an entry."""
    api_type = entry.get("api_type", "openai")
    if api_type == "azure" and (missing := [name for name in AZURE_NEEDS if _lacks(entry, name)]):
        return [
            Problem(
                f"missing. {what_was_meant(name, entry) or f'Azure needs it: {AZURE_NEEDS[name][0]}'}",
                index,
                name,
                only_here=name == KEY and not what_was_meant(name, entry),
            )
            for name in missing
        ]
    reason = " ".join(str(error).split())
    field = next((name for name in ("api_key", "api_version", "base_url") if name in reason), None)
    if field == KEY and (meant := what_was_meant(KEY, entry)):
        return [Problem(f"missing. {meant}", index, KEY)]
    if field == KEY and api_type == "openai" and server_of(entry) and not entry.get(KEY):
        what, key = key_for(entry)
        message = f"missing. OpenAI's library sends nothing without one. {what}"
        return [Problem(message, index, KEY, only_here=True, fix=(KEY, key))]
    if unknown := re.search(r"unexpected keyword argument '(api_version|azure_\w+)'", reason):
        message = 'only Azure has this field. Add "api_type": "azure", or delete it.'
        return [Problem(message, index, unknown[1])]
    only_here = field == KEY or isinstance(error, ImportError)
    message = f"AutoGen can't make a client from it: {hide_secrets(reason, entry)}"
    return [Problem(message, index, field, only_here=only_here)]


# What AutoGen's client for Azure needs: how to write it, and the fields and variables that do as well.
AZURE_NEEDS = {
    KEY: (
        '"${AZURE_OPENAI_API_KEY}", with that variable set.',
        {KEY, "azure_ad_token", "azure_ad_token_provider", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"},
    ),
    "base_url": (
        '"https://name-of-the-resource.openai.azure.com", with the name of yours.',
        {"base_url", "azure_endpoint", "AZURE_OPENAI_ENDPOINT"},
    ),
    "api_version": ('a date, such as "2024-10-21".', {"api_version", "OPENAI_API_VERSION"}),
}


def _lacks(entry: dict[str, Any], name: str) -> bool:
    return not any(entry.get(other) or os.environ.get(other) for other in AZURE_NEEDS[name][1])


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
        if meant := what_was_meant(str(field), entry):
            return Problem(f"missing. {meant}", index, field)
        return Problem(f"missing. Add {field!r}: AutoGen needs it.", index, field)
    if field == "model" and entry.get("model") == "":
        return Problem("empty. Name a model; for a custom client any name will do.", index, field)
    if field == "base_url" and (slip := address_problem(index, entry)):
        return dataclasses.replace(slip, warning=False)
    value = masked(entry.get(field or ""), field or "")
    if field == "base_url" and "model_client_cls" in entry:
        other = (
            'AutoGen takes http:// and https:// there. Name it otherwise for a class of your own: "url", say.'
        )
        return Problem(f"{value!r} is not allowed: {other}", index, field)
    return Problem(f"{value!r} is not allowed. {hide_secrets(detail['msg'], entry)}.", index, field)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
