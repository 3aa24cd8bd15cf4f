"""What in a config list is a key, how it is kept out of the list, and how it is hidden in whatever is shown.

A key is told by the name of its field, by how it begins, or by where it came from: `"${MY_API_KEY}"` in an
entry stands for the environment variable of that name.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

MASK = "**********"
NO_KEY = "not-needed"  # for servers that want no key, while OpenAI's client insists on one
SECRET_NAME = re.compile(r"(key|secret|password|authorization|credential)s?$|token$", re.IGNORECASE)
SECRET_VALUE = re.compile(r"(sk-|gsk_|AIza|Bearer )\S")  # a key in a field of another or a misspelt name
# Stands for a key: ${MY_API_KEY}, read when the list is loaded.
REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
# A name and a value in quotes, as JSON, Python or a shell have them: "api_key": "..."
QUOTED = re.compile(
    r"""(?<![\w-])(?P<name>[\w-]+)["']?\s*[:=]\s*(?P<quote>["'])(?P<value>(?:\\.|(?!(?P=quote)).)*)(?P=quote)"""
)


class ConfigEntry(dict):
    """An entry of a config list whose `repr` masks secrets."""

    def __repr__(self) -> str:
        return repr(masked(dict(self)))


class _Resolved(str):
    """A key that came out of an environment variable; `reference` is what the file says instead."""

    reference: str


def resolved(value: Any, name: str = "") -> Any:
    """Return a copy of an entry, or of a value in it, with each `${VARIABLE}` for a key filled in.

    One that is not set stays as it is; `check_config_list` tells.
    """
    if isinstance(value, dict):
        return ConfigEntry({key: resolved(item, str(key)) for key, item in value.items()})
    if isinstance(value, list):
        return [resolved(item, name) for item in value]
    found = variable_of(value, name)
    if not found or found not in os.environ:
        return value
    key = _Resolved(os.environ[found])
    key.reference = value
    return key


def referring(value: Any) -> Any:
    """Return a copy in which keys that came from variables are references again."""
    if isinstance(value, dict):
        return {key: referring(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [referring(item) for item in value]
    return value.reference if isinstance(value, _Resolved) else value


def variable_of(value: Any, name: str) -> str | None:
    """Return the environment variable that a field's value stands for, if it is a key's field."""
    found = REFERENCE.fullmatch(value) if isinstance(value, str) and SECRET_NAME.search(name) else None
    return found[1] if found else None


def masked(value: Any, name: str = "") -> Any:
    """Return a copy of an entry, list or value in which every secret is replaced by stars."""
    secret = SECRET_NAME.search(name) or (isinstance(value, str) and SECRET_VALUE.match(value))
    if isinstance(value, dict):
        return {key: masked(item, name if secret else str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item, name) for item in value]
    is_reference = isinstance(value, str) and REFERENCE.fullmatch(value)
    shown = is_reference or value in (None, "", NO_KEY, True, False)
    return MASK if secret and not shown else value


def secrets_in(value: Any, shown: Any = None) -> set[str]:
    """Return the texts in an entry, list or value that `masked` hides."""
    shown = masked(value) if shown is None else shown
    if isinstance(value, dict):
        return {secret for name in value for secret in secrets_in(value[name], shown[name])}
    if isinstance(value, (list, tuple)):
        return {secret for pair in zip(value, shown, strict=True) for secret in secrets_in(*pair)}
    return {str(value)} if shown == MASK and value != MASK else set()


def hide_secrets(text: str, *entries: dict[str, Any]) -> str:
    """Return a text of somebody else's with every key in it replaced by stars.

    It knows the keys in these entries, those in environment variables that are named like secrets,
    values that stand beside such a name in quotes, and what looks like a key.
    """
    known = {value for name, value in os.environ.items() if SECRET_NAME.search(name) and len(value) > 7}
    for entry in entries:
        known |= {secret for secret in secrets_in(resolved(entry)) | secrets_in(entry) if len(secret) > 5}
    for secret in sorted(known, key=len, reverse=True):
        in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        for written in {secret, repr(secret)[1:-1], *in_json}:
            text = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", MASK, text)
    text = QUOTED.sub(_hide_value, text)
    return re.sub(rf"(?<!\w){SECRET_VALUE.pattern}[^\s\"',}}\])]*", MASK, text)


def _hide_value(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    secret = SECRET_NAME.search(name) and value not in ("", NO_KEY, MASK) and not REFERENCE.fullmatch(value)
    return found[0].replace(value, MASK) if secret else found[0]


def fit(text: str, longest: int) -> str:
    """Return a text as messages show it: no key in it, and at most so many characters.

    It is cut last: of a key that was cut first, the half that is left would not be known as one.
    """
    text = hide_secrets(text[: 10_000 + longest])
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
