"""What AutoGen takes in an entry, and is probably a mistake: names, values, addresses, and where keys go."""

from __future__ import annotations

import difflib
import functools
import ipaddress
import json
import os
import re
from typing import Any

from kit.config_list.fields import FIELDS, value_of
from kit.config_list.problems import Problem
from kit.config_list.secrets import (
    ADDRESSES,
    KEY,
    MASK,
    NO_KEY,
    REFERENCE,
    belongs_elsewhere,
    is_secret_name,
    masked,
    resolved,
    server_of,
    variable_for,
    variables_in,
    words_of,
)

# Fields of the kit's own model clients; those of AutoGen and OpenAI are read off their packages.
CLIENT_FIELDS = {"device", "device_map", "dtype", "revision", "params", "max_new_tokens", "do_sample"}
CLIENT_FIELDS |= {"quantization", "prefix_cache", "top_k", "min_p", "repetition_penalty"}
CLIENT_FIELDS |= {"chat_template_kwargs", "merge_system", "merge_neighbours", "image_folder", "fetch_images"}
OLD_NAMES = {"engine": "model", "api_base": "base_url", "request_timeout": "timeout"}
# What other tools call a field. A class of one's own may have fields of these names.
OTHER_NAMES = {
    "model": "model_name model_id model_path deployment_name deployment deployment_id llm llm_model",
    "api_key": "key token api_token access_token auth_token bearer_token openai_key openai_api_key",
    "base_url": "url api_url base endpoint api_endpoint host server server_url openai_api_base",
    "max_tokens": "max_length max_new_tokens max_output_tokens",
    "model_client_cls": "client client_cls client_class custom_client model_client_class class class_name",
}
MEANT = {other: name for name, others in OTHER_NAMES.items() for other in others.split()}
OF_A_VARIABLE = re.compile(
    r"(?:\w+_)?(?:key|token)_(?:env(?:_?var(?:iable)?)?|variable|var|name)|env_(?:key|var)"
)

# What the types of these fields are, where a text in quotes is taken for it, or passed on as it is.
KINDS = {field.name: field.kind for field in FIELDS if field.kind in ("number", "whole number", "yes or no")}
KINDS |= dict.fromkeys(["max_new_tokens", "max_completion_tokens", "top_k", "cache_seed"], "whole number")
KINDS |= dict.fromkeys(["min_p", "repetition_penalty"], "number")
KINDS |= dict.fromkeys(["do_sample", "prefix_cache", "merge_system", "merge_neighbours"], "yes or no")
ON_ONE_LINE = ["model", "model_client_cls", "base_url", KEY, "api_version", "organization", "revision"]
ON_ONE_LINE += ["device", "azure_endpoint", "azure_deployment", "image_folder"]
BACKSLASHES = {"\t": "t", "\n": "n", "\r": "r", "\b": "b", "\f": "f"}  # what JSON makes of \t, \n ...

PLACEHOLDER = re.compile(
    r"""(?ix)
    name-of-the-[a-z-]+ | (?<![\w-])any-name(?![\w-])
    | <[^<>]+> | ^\s*(?:\.\.\.+|…)\s*$ | (?<![\w-])(?:sk-)?(?:x{4,}|\.{3,}|…)
    | (?<![a-z])your[-_ ](?:[a-z0-9]+[-_ ])*(?:key|token|model|name|deployment|resource|endpoint|url)\b
    | (?<![a-z])(?:change|replace)[-_ ]?(?:me|this)(?![a-z])
    | (?<![a-z])(?:insert|paste|enter|put)[-_ ](?:[a-z0-9]+[-_ ])*(?:here|key)(?![a-z])
    | ^(?:todo|tbd|fixme|placeholder|secret[-_ ]key|api[-_ ]?key)$"""
)
# A variable as shells, Python and LiteLLM write it, or its bare name.
VARIABLE = re.compile(
    r"""\$(?:env:)?(\w+)|\{+\s*(\w+)\s*\}+|%(\w+)%|\$\{env:(\w+)\}|([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)
    |(?:os\.)?(?:environ|getenv)\W+(?:get\W+)?(\w+)\W*""",
    re.VERBOSE,
)

# How the address of OpenAI's API goes wrong: a pattern, what to put in its place, and what it is.
ADDRESS_SLIPS = [
    (r"^\s+|\s+$", "", "a space or a line break around it. Write"),
    (r"^https?://(?=https?://)", "", "http stands twice. Write"),
    (r"^(?!http://)h?t{1,3}p(?:[:;]/{0,3}|/{1,3})(?=[^/])", "http://", "half of http://. Write"),
    (r"^(?!https://)h?t{1,3}ps(?:[:;]/{0,3}|/{1,3})(?=[^/])", "https://", "half of https://. Write"),
    (r"/v1(?:/v1)+/*$", "/v1", "/v1 stands twice. Write"),
    (
        r"/+(?:chat/completions|completions|responses|embeddings)/*$|(?<=/v1)/models/*$",
        "",
        "AutoGen's client adds the end of the address itself. Leave it out:",
    ),
    (
        r"/+(?:api/(?:generate|chat|tags|show|embed\w*)|generate(?:_stream)?|completion|invocations)/*$"
        r"|(?<=:11434)/+api/*$",
        "/v1",
        "AutoGen speaks OpenAI's protocol, which most servers have under /v1:",
    ),
]
AZURE_HOST = re.compile(
    r"(?i)^https?://[^/?#]+\.(?:openai|cognitiveservices)\.azure\.com(?::\d+)?(?=[/?#]|$)"
)


def hints(index: int, entry: dict[str, Any]) -> list[Problem]:
    """Return a warning for each field with a name, a value or an address that is probably not meant."""
    problems = [*_names(index, entry), *_values(index, entry)]
    seen = {problem.field for problem in problems}
    address = address_problem(index, entry)
    if address and address.field not in seen:
        problems.append(address)
    return problems + _misplaced_keys(index, entry)


# Names ------------------------------------------------------------------------------------------


def field_meant(name: str, entry: dict[str, Any]) -> str:
    """Return the field that a name is another name for, "" if it is not known to be one."""
    known, words = known_fields(), words_of(name)
    if words in OLD_NAMES:
        return OLD_NAMES[words]
    if words in MEANT and (name not in known or MEANT[words] == "max_tokens"):
        azure = words.startswith("deployment") and entry.get("api_type") == "azure" and "model" in entry
        return "azure_deployment" if azure else MEANT[words]
    if name in known:
        return ""
    same = [other for other in known if other.replace("_", "") == words.replace("_", "")]
    close = same or difflib.get_close_matches(name, known, 3, 0.8)
    return next((other for other in close if sorted(other) == sorted(name)), close[0]) if close else ""


def _names(index: int, entry: dict[str, Any]) -> list[Problem]:
    own, problems = "model_client_cls" in entry, []
    for name, value in entry.items():
        if not isinstance(name, str):
            problems.append(Problem(f"the name {name!r} isn't a text: write it in quotes.", index))
            continue
        words, guess = words_of(name), field_meant(name, entry)
        if own and (words in OLD_NAMES or words in MEANT):  # a field of one's own
            continue
        fix: tuple[str, Any] | None = (guess, value)
        if words in OLD_NAMES:
            message = f"the name in older versions. Write {guess!r}."
        elif words in MEANT and guess:
            if entry.get("api_type", "openai") not in ("openai", "azure"):
                continue
            message = f"AutoGen knows no field of this name. Did you mean {guess!r}?"
            if guess in entry:
                message, fix = (
                    f"AutoGen knows no field of this name, and {guess!r} is there. Delete it.",
                    None,
                )
        elif not own and (reference := _reference(name, value)):
            message, fix = f'AutoGen reads no such field. Write "{KEY}": "{reference}".', (KEY, reference)
        elif name == "litellm_params":
            message = "LiteLLM's form. Write what is in it beside the model, with AutoGen's names."
            problems.append(Problem(message, index, name, warning=True))
            continue
        elif guess:
            message = f"unknown field. Did you mean {guess!r}? It is passed on as it is."
        else:
            continue
        problems.append(Problem(message, index, name, warning=True, fix=fix))
    return problems


def what_was_meant(field: str, entry: dict[str, Any]) -> str:
    """Return how to get a field that is missing from one that is there, "" if none means it."""
    for name, value in entry.items():
        if isinstance(name, str) and field_meant(name, entry) == field:
            return f"{name!r} is probably meant: rename it to {field!r}."
        if field == KEY and (reference := _reference(str(name), value)):
            return f'In the place of {name!r}, write "{KEY}": "{reference}".'
    return ""


def _reference(name: str, value: Any) -> str:
    """Return the reference that a field such as `api_key_env` stands for, "" for all others."""
    is_one = OF_A_VARIABLE.fullmatch(words_of(name)) and re.fullmatch("[A-Z][A-Z0-9_]+", str(value))
    return f"${{{value}}}" if is_one else ""


# Values -----------------------------------------------------------------------------------------


def _values(index: int, entry: dict[str, Any]) -> list[Problem]:
    problems = []
    prices = entry.get("price")
    if isinstance(prices, (list, tuple)) and any(prices) and all(_is_tiny(price) for price in prices):
        higher = [price * 1000 for price in prices]
        message = f"AutoGen wants prices for 1,000 tokens, and these look like those for one. Write {higher}."
        problems.append(Problem(message, index, "price", warning=True, fix=("price", higher)))
    for name, value in entry.items():
        found = _value(name, value, entry) if isinstance(name, str) and isinstance(value, str) else None
        if found:
            message, *better = found
            fix = (name, better[0]) if better else None
            problems.append(Problem(message, index, name, warning=True, fix=fix))
    return problems


def _is_tiny(price: Any) -> bool:
    """Return whether a price is less than anybody takes for 1,000 tokens: a cent for a million."""
    return isinstance(price, (int, float)) and price < 1e-5


def _value(name: str, value: str, entry: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return what is wrong with a text in a field, and what to put in its place if that is known."""
    if name in KINDS:
        try:
            better = value_of(KINDS[name], value)
        except ValueError:
            return None
        written = json.dumps(better)
        kind = "yes or no" if isinstance(better, bool) else "a number"
        return f"a text that holds {kind}. Write {written}, without quotes.", better
    if name == KEY:
        return None if "model_client_cls" in entry else _key(value, entry)
    if name not in ON_ONE_LINE:
        return None
    bare = value.strip()
    if BACKSLASHES.keys() & {*bare}:
        path = "".join(f"/{BACKSLASHES[c]}" if c in BACKSLASHES else c for c in bare).replace("\\", "/")
        what = "JSON reads a backslash and a letter as one character, a tab or a line break."
        return f"{what} Write two backslashes, or a /: {masked(path)!r}.", path
    if not bare.isprintable():
        return ("a character that can't be seen is in it. Type it again.",)
    if value != bare and bare and name != "base_url":
        return "a space or a line break around it. Delete it.", bare
    custom = name == "model" and "model_client_cls" in entry  # whose class may take any
    if (found := PLACEHOLDER.search(value)) and not custom:
        return (f"{masked(found[0])!r} is a placeholder: put the real name there.",)
    if name in ("model", *ADDRESSES) and (REFERENCE.search(value) and not variables_in(value, name)):
        return ("only keys are read from variables. Write the value itself.",)
    return None


def _key(value: str, entry: dict[str, Any]) -> tuple[Any, ...] | None:
    own = f"${{{variable_for(entry)}}}"
    if variables_in(value, KEY):
        reference, value = value, str(resolved(value, KEY))
        again = f"Set {variables_in(reference, KEY)[0]} anew."
    else:
        reference, again = "", "Copy it again."
    if PLACEHOLDER.search(value) and not is_local(entry):
        return f'a placeholder, not a key. Name the variable that holds yours: "{own}".', own
    if (found := VARIABLE.fullmatch(value)) and not REFERENCE.fullmatch(value):
        variable = next(group for group in found.groups() if group)
        made_up = variable == value and variable not in os.environ and is_local(entry)  # for a server nearby
        if is_secret_name(variable) and not made_up:
            return f'a variable is written in another way here: "${{{variable}}}".', f"${{{variable}}}"
    bare = re.sub(r"(?i)^bearer\s+", "", value.strip().strip("\"'").strip())
    if bare != value and bare:
        what = 'quotes, a space, a line break or "Bearer" around it: no server knows that key.'
        return (f"{what} {again}",) if reference else (f"{what} Delete that.", bare)
    if not (value.isascii() and value.isprintable()) or " " in value:
        return (f"a character that no key has, such as a space, a line break or an é. {again}",)
    return None


# Addresses --------------------------------------------------------------------------------------


def is_local(entry: dict[str, Any]) -> bool:
    """Return whether an entry's server is on this machine or in this network, as far as its name tells."""
    server = server_of(entry)
    host = server if server.endswith("::1") else re.sub(r":\d+$", "", server)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and ("." not in host or host.endswith((".local", ".localhost", ".docker.internal")))
    return address.is_private or address.is_loopback or address.is_link_local or address.is_unspecified


def address_problem(index: int, entry: dict[str, Any]) -> Problem | None:
    """Return what is wrong with the address of a server that AutoGen's own client would ask."""
    url, api_type = entry.get("base_url"), entry.get("api_type", "openai")
    asked = "model_client_cls" not in entry and api_type in ("openai", "azure")
    if not asked or not isinstance(url, str) or len(url) > 2000:
        return None
    shown = url.strip()
    if azure := AZURE_HOST.match(shown):
        if api_type == "openai" and not re.match(r"/openai/v1\b", shown[azure.end() :]):
            message = 'an address of Azure\'s. Add "api_type": "azure", with an "api_version".'
            return Problem(message, index, "api_type", warning=True, fix=("api_type", "azure"))
        if api_type == "azure" and "/deployments/" in shown:
            return _better(index, azure[0], "AutoGen adds what follows the host itself. Leave it out:")
    for slip, right, what in ADDRESS_SLIPS:
        better = re.sub(slip, right, url)
        if better != url and not (api_type == "azure" and right == "/v1"):
            return _better(index, better, what)
    if re.search(r"\s", url):
        return Problem("a space is in it. Delete it.", index, "base_url", warning=True)
    if not re.match(r"(?i)https?://", url):
        if "://" in url:
            message = "AutoGen asks servers by http:// or https:// alone. Write one of them."
            return Problem(message, index, "base_url", warning=True)
        scheme = "http" if is_local(entry) else "https"
        return _better(index, f"{scheme}://{url}", "no http:// or https:// before it. Write")
    if api_type == "openai" and re.fullmatch(r"https?://[^/?#]+/?", url):
        return _better(index, f"{url.rstrip('/')}/v1", "no path in it. Most servers answer under /v1:")
    return None


def _better(index: int, better: str, what: str) -> Problem:
    return Problem(f"{what} {masked(better)}", index, "base_url", warning=True, fix=("base_url", better))


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
        what = f"none, so OpenAI's client would send the key in {default} to {server}."
        key = key_for(entry)
        problems.append(Problem(f"{what} {key[0]}", index, KEY, warning=True, fix=(KEY, key[1])))
    return problems


def key_for(entry: dict[str, Any]) -> tuple[str, str]:
    """Return in words which key an entry without one should have, and that key or a reference to it."""
    own = f"${{{variable_for(entry)}}}"
    if is_local(entry):
        return f'Write "{KEY}": "{NO_KEY}" if that server wants none, else "{own}".', NO_KEY
    return f"Give that server one: {own}", own


@functools.cache
def known_fields() -> frozenset[str]:
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
