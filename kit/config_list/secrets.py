"""What in a config list is secret, how it is kept out of the list, and how it is hidden in whatever is shown.

A secret is told by the name of its field, by its look, or by its place in an address. `"${MY_API_KEY}"` in an
entry stands for the environment variable of that name.

The tables are short on purpose. Yelp's detect-secrets (1.5.0 of May 2024; its issues 926 and 953 ask whether
it is alive) looks through files line by line, brings requests and PyYAML, and has no plugin for the keys of
Hugging Face, Groq, xAI or NVIDIA. gitleaks is a program in Go.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

MASK = "**********"
NO_KEY = "not-needed"  # for servers that want no key, while OpenAI's client insists on one
NO_KEYS = {NO_KEY, "EMPTY", "ollama", "lm-studio"}  # what the manuals of local servers write instead of it
KEY = "api_key"
ADDRESSES = ("base_url", "api_base", "azure_endpoint", "endpoint", "url")  # where a server is named

# Names of secrets, in lower case with _ between the words, without a number at the end.
NAMES = re.compile(
    r"""(?:^|_)(?:
    (?:api|app|access|account|auth|client|master|my|private|secret|shared|subscription)?keys?
    | (?:api|app|client|shared)?secrets? | (?:api|access|auth|bearer|id|refresh|secret|session)?token
    | (?:api|access|auth|bearer|refresh|secret)_?tokens
    | (?:db|smtp|user)_?pass | pass(?:word|wd|phrase|code)s? | pwd | credentials? | creds | jwt | bearer | sig
    | (?:basic|http|proxy)?auth(?:orization)?(?:_header)? | cookies? | conn(?:ection)?_?str(?:ing)?
    )$ | ^pass$""",
    re.VERBOSE,
)
NO_SECRETS = re.compile(
    r"""(?:^|_)(?:
    (?:pad|eos|bos|unk|sep|cls|mask|max|min|new|next|first|last|stop|start|end|per|image|audio|video|think)_token
    | (?:public|primary|foreign|sort|group|cache)_keys?
    )$""",
    re.VERBOSE,
)
# What looks like a secret whatever its name.
VALUES = re.compile(
    r"""(?<!\w)(?:
    (?:sk-|gsk_|AIza)[^\s"',;&<>{}\])$]{4,}                       # OpenAI and many others, Groq, Google
    | (?:hf_|gh[oprsu]_|github_pat_|glpat-|xai-|nvapi-|pplx-|xox[abprs]-)[\w-]{8,}
    | (?:AKIA|ASIA)[A-Za-z0-9]{8,}                                # Amazon
    | (?<=[Bb]earer\ )(?:\$\{\w+\}|[^\s"',;<>{}\])$]{6,})
    | (?<=[Bb]asic\ )(?:\$\{\w+\}|(?=\S*(?:[a-z][A-Z]|\d|=))[\w+/-]{8,}=*)
    | (?<![\w-])eyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*                   # a JSON web token
    )
    | -----BEGIN[ A-Z]*\ PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*\ PRIVATE\ KEY-----|\Z)""",
    re.VERBOSE | re.DOTALL,
)
# https://user:password@host, https://a-long-token@host, ?key=value
LOGIN = re.compile(r"""(?<=://)(?:[^\s/?#@:"'<>]{8,}|[^\s/?#@:"'<>]*:[^\s/?#"'<>]*)(?=@)""")
BARE_LOGIN = re.compile(r"""^[^\s/?#@:"'<>]+:[^\s/?#"'<>]*(?=@)""")  # in an address without https://
QUERY = re.compile(r"""[?&;#](?P<name>[\w.%-]+)=(?P<value>[^&\s#"'<>]+)""")

# Where a key belongs: the host of its server (and the hosts under it), and the variable it usually has.
SERVERS = {
    "api.openai.com": "OPENAI_API_KEY",
    "openai.azure.com": "AZURE_OPENAI_API_KEY",
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "api.cerebras.ai": "CEREBRAS_API_KEY",
    "api.deepseek.com": "DEEPSEEK_API_KEY",
    "api.fireworks.ai": "FIREWORKS_API_KEY",
    "api.groq.com": "GROQ_API_KEY",
    "api.mistral.ai": "MISTRAL_API_KEY",
    "api.together.ai": "TOGETHER_API_KEY",
    "api.together.xyz": "TOGETHER_API_KEY",
    "api.x.ai": "XAI_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
    "huggingface.cloud": "HF_TOKEN",
    "huggingface.co": "HF_TOKEN",
    "integrate.api.nvidia.com": "NVIDIA_API_KEY",
    "openrouter.ai": "OPENROUTER_API_KEY",
}
# The variables that AutoGen's own clients read (0.14.1), by `api_type`.
API_TYPES = {
    "anthropic": "ANTHROPIC_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "cerebras": "CEREBRAS_API_KEY",
    "cohere": "COHERE_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "google": "GOOGLE_GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "together": "TOGETHER_API_KEY",
}

# Stands for a secret: ${MY_API_KEY}, read when the list is loaded.
REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
NOT_SECRET = re.compile(rf"{REFERENCE.pattern.replace('(', '(?:')}|{re.escape(MASK)}")
# What may stand beside a reference: "Bearer ${TOKEN}", "session=${ID}", "me:${PASSWORD}"
BESIDE = re.compile(r"[\s;,]*(?:(?:Bearer|Basic|Token)\s+|[\w.%-]+[=:])?\s*", re.IGNORECASE)
# A name and a value in quotes, as JSON, Python or a shell have them: "api_key": "..."
QUOTED = re.compile(
    r"""(?<![\w-])(?P<name>[\w-]+)["']?\s*[:=]\s*(?P<quote>["'])(?P<value>(?:\\.|(?!(?P=quote)).)*)(?P=quote)"""
)
NAMED = re.compile(r"""(?<![\w-])(?P<name>[\w-]+)["']?\s*[:=]\s*""")
# A whole value in which nothing is left to hide: stars, references, what stands for no key, or nothing.
HIDDEN = re.compile(
    rf"""(["']?)(?:{re.escape(MASK)}|\$\{{\w*\}}|{NO_KEY})*(?:\1(?=[\s,;}}\])]|$)|(?:\$\{{\w*)?$)"""
)


class ConfigEntry(dict):
    """An entry of a config list whose `repr` masks secrets."""

    def __repr__(self) -> str:
        return repr(masked(dict(self)))


class _Resolved(str):
    """A text with secrets from environment variables; `reference` is what the file says instead."""

    reference: str


# What is secret --------------------------------------------------------------------------------


@functools.lru_cache(10_000)
def is_secret_name(name: str) -> bool:
    """Return whether a field or a variable of this name holds a secret, such as `apiKey` or `MY_TOKEN_2`."""
    words = re.sub(r"_?\d+$", "", words_of(name))
    return bool(NAMES.search(words)) and not NO_SECRETS.search(words)


def secret_variables() -> list[str]:
    """Return the environment variables that are named like secrets; PWD is the current folder."""
    return sorted(name for name in os.environ if is_secret_name(name) and name not in ("PWD", "OLDPWD"))


def secrets_of(text: str, name: str = "") -> list[tuple[int, int, str]]:
    """Return where in a text secrets are, and how each is called; references and stars are none.

    Args:
        text: the value of a field, or a text in it.
        name: the name of that field.
    """
    if text in NO_KEYS:
        return []
    found = []
    for start, end, called in _places(text, name):
        others = [*NOT_SECRET.finditer(text, start, end)]
        starts, ends = [start, *(o.end() for o in others)], [*(o.start() for o in others), end]
        for first, last in zip(starts, ends, strict=True):
            if first < last and not (others and BESIDE.fullmatch(text, first, last)):
                found.append((first, last, called))
    return found


def _places(text: str, name: str) -> list[tuple[int, int, str]]:
    """Return where in a text only secrets and references to them stand; no two places overlap."""
    if is_secret_name(name):
        return [(0, len(text), name)]
    places = [(*found.span("value"), unquote(found["name"])) for found in QUERY.finditer(text)]
    places = [place for place in places if is_secret_name(place[2])]
    login = BARE_LOGIN if name in ADDRESSES and "://" not in text else LOGIN
    places += [(*found.span(), "password") for found in login.finditer(text)]
    places += [(*found.span(), name) for found in VALUES.finditer(text)]
    apart: list[tuple[int, int, str]] = []
    for start, end, called in sorted(places):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]), apart[-1][2])
        else:
            apart.append((start, end, called))
    return apart


def words_of(name: str) -> str:
    """Return a name in lower case with _ between its words: `X-ApiKey` is `x_api_key`."""
    return (
        re.sub(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+", "_", name, flags=re.A)
        .strip("_")
        .lower()
    )


def walk(value: Any, change: Callable[[Any, str], Any], name: str = "", kind: type = dict) -> Any:
    """Return a copy of a value in which `change` was made to all but containers.

    It gets the name of the field that each stands in: the outermost one, if it is that of a secret.
    """
    if isinstance(value, dict):
        inherited = name if is_secret_name(name) else None
        return kind({key: walk(item, change, inherited or str(key), kind) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        items = [walk(item, change, name, kind) for item in value]
        return tuple(items) if type(value) is tuple else items
    return change(value, name)


def _replaced(text: Any, places: list[tuple[int, int, str]]) -> Any:
    """Return a text with something else in some places; what is no text has none, and stays as it is."""
    for start, end, new in sorted(places, reverse=True):
        text = f"{text[:start]}{new}{text[end:]}"
    return text


def _is_other_secret(value: Any, name: str) -> bool:
    """Return whether something that is no text is a secret: a number for a password, say."""
    return is_secret_name(name) and not isinstance(value, (str, bool, type(None))) and value not in (0, 1)


# References ------------------------------------------------------------------------------------


def resolved(value: Any, name: str = "") -> Any:
    """Return a copy of an entry, or of a value in it, with each `${VARIABLE}` for a secret filled in.

    One that is not set stays as it is; `check_config_list` tells.
    """

    def fill(value: Any, name: str) -> Any:
        known = [place for place in _references(value, name) if place[2] in os.environ]
        filled = _replaced(value, [(start, end, os.environ[variable]) for start, end, variable in known])
        if filled == value:
            return value
        text = _Resolved(filled)
        text.reference = value
        return text

    return walk(value, fill, name, ConfigEntry)


def referring(value: Any) -> Any:
    """Return a copy in which texts with secrets from variables are references again."""
    return walk(value, lambda item, name: item.reference if isinstance(item, _Resolved) else item)


def variables_in(value: Any, name: str = "") -> list[str]:
    """Return the environment variables that an entry, or a value in it, refers to for secrets."""
    found: list[str] = []
    walk(value, lambda item, name: found.extend(variable for *_, variable in _references(item, name)), name)
    return found


def parts_of(text: str, name: str = "") -> list[str | tuple[str]]:
    """Return the pieces of a text: plain ones, and the variable of each reference, in a tuple."""
    parts: list[str | tuple[str]] = []
    at = 0
    for start, end, variable in _references(text, name):
        parts += [text[at:start], (variable,)]
        at = end
    return [part for part in [*parts, text[at:]] if part]


def _references(text: Any, name: str) -> list[tuple[int, int, str]]:
    """Return where a text refers to variables: in the place of a secret, or by a secret's name."""
    if not isinstance(text, str) or isinstance(text, _Resolved) or "${" not in text:
        return []
    places = _places(text, name)
    return [
        (*found.span(), found[1])
        for found in REFERENCE.finditer(text)
        if is_secret_name(found[1]) or any(start <= found.start() < end for start, end, _ in places)
    ]


def lifted(value: Any, entry: dict[str, Any], taken: dict[str, str | None], name: str = "") -> Any:
    """Return a copy of a value with references in the place of its secrets.

    Each secret gets a variable of its own, which nobody sets here: they are added to `taken`.

    Args:
        value: an entry, or a value in it.
        entry: that entry: its server names the variables.
        taken: the variables that are taken, and their values.
        name: the name of the field that the value is in.

    Raises:
        ValueError: a secret is no text, or stands in the place of a name.
    """

    def lift(value: Any, name: str) -> Any:
        if _is_other_secret(value, name):
            raise ValueError(f"{str(masked(name))!r} holds a secret that is no text: write it in quotes.")
        if not isinstance(value, str):
            return value
        places = []
        for start, end, called in reversed(secrets_of(value, name)):
            variable = free_variable(variable_for(entry, called), value[start:end], taken)
            taken[variable] = value[start:end]
            places.append((start, end, f"${{{variable}}}"))
        return _replaced(value, places)

    if any(secrets_of(name) for name in _names_in(value)):
        raise ValueError("a key stands in the place of a field's name.")
    return walk(value, lift, name, ConfigEntry)


def _names_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*map(str, value), *(name for item in value.values() for name in _names_in(item))]
    return [name for item in value for name in _names_in(item)] if isinstance(value, (list, tuple)) else []


def free_variable(name: str, secret: str, taken: dict[str, str | None]) -> str:
    """Return this name, or the first of `name_2`, `name_3` ... that holds nothing else than this secret."""
    number, variable = 1, name
    while {taken.get(variable, secret), os.environ.get(variable) or secret} != {secret}:
        number += 1
        variable = f"{name}_{number}"
    return variable


def variable_for(entry: dict[str, Any], name: str = KEY) -> str:
    """Return the variable that a secret of an entry belongs in: that of the server it is for.

    A key for another server than OpenAI's is never kept in `OPENAI_API_KEY`: whoever loads the list
    would send the key of that name there.
    """
    host, api_type = server_of(entry), str(entry.get("api_type"))
    usual = API_TYPES[api_type] if api_type == "azure" or not host and api_type in API_TYPES else None
    if usual is None and host:
        own = (SERVERS[known] for known in SERVERS if f".{host}".endswith(f".{known}"))
        usual = next(own, None) or f"{_variable(host)}_{KEY.upper()}"
    somewhere = "model_client_cls" in entry or any(entry.get(name) for name in ADDRESSES)
    usual = usual or ("MODEL_API_KEY" if somewhere else "OPENAI_API_KEY")
    if name == KEY:
        return usual
    own_name = words_of(name).upper()[-60:].strip("_") or "SECRET"
    suffix = own_name if is_secret_name(own_name) else f"{own_name}_KEY"
    return f"{re.sub('_(API_KEY|TOKEN)$', '', usual)}_{suffix}"


def belongs_elsewhere(variable: str, entry: dict[str, Any]) -> bool:
    """Return whether a variable holds the key of a known server, and an entry would send it to another."""
    name = re.sub(r"_\d+$", "", variable)
    return name in SERVERS.values() and bool(server_of(entry)) and variable_for(entry) != name


def server_of(entry: dict[str, Any]) -> str:
    """Return the host and port that an entry's key is sent to, "" where the entry names none."""
    url = next((entry[name] for name in ADDRESSES if isinstance(entry.get(name), str)), "")
    url = str(masked(url)).strip()  # a key that was typed for an address names no server
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
        host = (parts.hostname or "").rstrip(".")
        return "" if re.search(r"[\s*]", host) else f"{host}{port}"
    except ValueError:  # half an address
        return ""


def _variable(host: str) -> str:
    """Return a host as part of a variable's name that every system takes."""
    with contextlib.suppress(UnicodeError):
        host = host.encode("idna").decode()
    name = re.sub(r"[^A-Z0-9]+", "_", host.upper()).strip("_") or "MODEL"
    return f"HOST_{name}" if name[0].isdigit() else name


# Hiding ----------------------------------------------------------------------------------------


def masked(value: Any, name: str = "") -> Any:
    """Return a copy of an entry, list or value in which every secret is replaced by stars."""

    def mask(value: Any, name: str) -> Any:
        if isinstance(value, _Resolved):
            value = mask(value.reference, name)
            value = _replaced(value, [(start, end, MASK) for start, end, _ in _references(value, name)])
        if not isinstance(value, str):
            return MASK if _is_other_secret(value, name) else value
        return _replaced(value, [(start, end, MASK) for start, end, _ in secrets_of(value, name)])

    return walk(value, mask, name, _Masked)


class _Masked(dict):
    """An object whose names, too, are shown without secrets."""

    def __init__(self, items: dict[Any, Any]) -> None:
        super().__init__({masked(n) if isinstance(n, str) else n: value for n, value in items.items()})


def secrets_in(value: Any) -> set[str]:
    """Return the texts in an entry, list or value that `masked` hides."""
    found: set[str] = set()

    def collect(value: Any, name: str) -> None:
        if isinstance(value, _Resolved):
            found.update(os.environ.get(variable, "") for *_, variable in _references(value.reference, name))
        if isinstance(value, str):
            found.update(value[start:end] for start, end, _ in secrets_of(value, name))
        elif _is_other_secret(value, name):
            found.add(str(value))

    walk(value, collect)
    return found - {""}


def hide_secrets(text: str, *entries: dict[str, Any]) -> str:
    """Return a text of somebody else's with every secret in it replaced by stars.

    It knows the secrets in these entries, those in environment variables that are named like secrets,
    values that stand beside such a name in quotes, and what looks like a secret.
    """
    known = {value for name in secret_variables() if len(value := os.environ[name]) > 7}
    for entry in entries:
        known |= {secret for secret in secrets_in(resolved(entry)) | secrets_in(entry) if len(secret) > 5}
    # Servers repeat "Bearer abc" without its first word, and "user:password" without the user.
    known |= {part for secret in known if len(part := re.split(r"(?i)^(?:bearer|basic) |:", secret)[-1]) > 5}
    for secret in sorted(known, key=len, reverse=True):
        in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        for written in {secret, repr(secret)[1:-1], quote(secret, safe=""), *in_json}:
            text = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", MASK, text) if written in text else text
    return str(masked(QUOTED.sub(_hide_value, text)))


def _hide_value(found: re.Match[str]) -> str:
    shown = masked(found["value"], found["name"])
    return (
        found[0]
        if shown == found["value"]
        else f"{found[0][: -len(found['value']) - 1]}{shown}{found['quote']}"
    )


def hide_typed(text: str) -> str:
    """Return a text that a person typed, and that can't be read, without what may be a secret in it.

    It goes further than `hide_secrets`: behind the name of a secret a word is hidden without quotes, too, and
    all that follows where a quote or a bracket opens: it may not be closed.
    """
    text, done = hide_secrets(text), ""
    while found := NAMED.search(text):
        done, text = done + text[: found.end()], text[found.end() :]
        if is_secret_name(found["name"]) and not HIDDEN.match(text):
            done, text = (
                done + MASK,
                "" if text[:1] in tuple("[{(\"'") else re.sub(r"^[^\s,;}\])]+", "", text),
            )
    return done + text


def fit(text: str, longest: int) -> str:
    """Return a text as messages show it: no secret in it, and at most so many characters.

    It is cut last: of a key that was cut first, the half that is left would not be known as one.
    """
    text = hide_secrets(text[: 10_000 + longest])
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
