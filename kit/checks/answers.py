"""What a server had answered, what it had been sent, and which field of that its answer refuses."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import getproxies, proxy_bypass

from kit.agents.inside import has
from kit.config_list.secrets import fit

OTHER_KEYS = ("api-key", "x-api-key", "x-goog-api-key")  # headers that hold a key in other ways than OpenAI's
STATUS = re.compile(r"(?is)(?:error code|status(?:[ _]code)?|http)\W{0,3}([45]\d\d)\b(?:\W*- (.*))?")
# How a refusal says that it knows no such field, that it wants another value in it, and that one is missing.
FIELD = re.compile(
    r"(?i)unrecogni[sz]ed|unsupported|not.{0,9}support|found that support|unknown|unexpected|\bextra\b|extra_"
    r"|not (?:permitted|allowed|enabled|available)|unavailable|disabled|forbid|requires|cannot find"
)
VALUE = re.compile(
    r"(?i)must|should|required|invalid|only\b|match|between|range|greater|less|of type|expect"
    r"|not (?:an? )?(?:valid|allowed)"
)
MISSING = re.compile(
    r"""(?i)['"`]((?!body\b)\w+)['"`](?:\W{1,4}msg)?\W{1,4}"""
    r"(?:field required|is (?:a )?required|input should)"
    r"|(\w+): field required|missing (?:required )?(?:field|parameter)\W+(\w+)|provide an? (\w+) parameter"
)
IN_A_MESSAGE = ("name", "content", "tool_calls", "tool_call_id", "function_call", "role")
# What stands for a request of which only the refusal is known.
ANY: dict[str, Any] = dict.fromkeys(
    ["tools", "functions", "response_format", "temperature", "top_p", "max_tokens", "max_completion_tokens"]
    + ["stop", "n", "seed", "tool_choice", "parallel_tool_calls", "reasoning_effort", "frequency_penalty"]
)
ANY["messages"] = [dict.fromkeys(IN_A_MESSAGE)]
ALIASES = {"tools": r"tools|tool(?:[ _-](?:choice|calling)|[ -]calls?| use)|function calling"}
PLAIN = ("tools", "functions", "temperature")  # what has no other meaning in such a sentence


def answered(answer: Any) -> bool:
    """Return whether an object is a response of an HTTP library."""
    return answer is not None and has(answer, "status_code", "url", "text")


def told_by(answer: Any) -> dict[str, Any]:
    """Return what a response of an HTTP library tells."""
    body = body_of(answer)
    facts = told(str(answer.status_code), str(answer.url), body)
    with contextlib.suppress(Exception):  # httpx raises where there is no request
        headers, host = answer.request.headers, facts["host"]
        to_openai = host == "https://api.openai.com" or "platform.openai.com" in body
        facts["key"] = "" if "key=" in str(answer.url) else _key_sent(headers, to_openai)
        facts["header"] = next(filter(headers.get, ("Authorization", *OTHER_KEYS)), "")
        facts["sent"] = _json(getattr(answer.request, "content", None) or answer.request.body)
    sent_on = getattr(answer, "history", None) or []
    return {**facts, "redirected": str(sent_on[0].url).partition("?")[0]} if sent_on else facts


def told(status: str, url: str, body: str) -> dict[str, Any]:
    """Return what is known of an answer: status, url, body, reason, host, proxy."""
    version = "".join(parse_qs(urlsplit(url).query).get("api-version", []))
    url = url.partition("?")[0]  # what follows may hold a key
    reason = _reason(body) or f"status {status}"
    body = _own_words(body) or reason
    facts = {"status": status, "url": url, "body": body, "reason": reason, "version": version}
    return {**facts, **way_to(url)}


def told_in(text: str) -> dict[str, str]:
    """Return what a text says of an answer, {} if nothing: of OpenAI's client, or of people's own code."""
    said = STATUS.search(text)
    body = (said[2] or text) if said else ""
    return {"status": said[1], "body": _own_words(body), "reason": _reason(body)} if said else {}


def way_to(url: str) -> dict[str, str]:
    """Return the host of an address, and the proxy that requests to it go through, if any."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme, "")
    way = "" if not proxy or proxy_bypass(parts.hostname or "") else proxy.rpartition("@")[2]
    return {"host": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if url else "", "proxy": way}


def refusal(body: str, sent: dict[str, Any], asked: dict[str, Any], config: Any) -> dict[str, str]:
    """Return which field of a request a refusal names, and who had set it.

    `field` reads "tools", or "messages.name" of one in a message; `lacks` names one that was not sent, and
    `odd` is what a message had as its content in place of a text. What was `asked` is what AutoGen passed to
    the client, and `config` the agent's llm_config.
    """
    others = ", ".join(name for name in sent if name not in ("model", "messages", "stream"))
    facts = {"extras": f", which held {others}," if others else ""}
    for name, start, end in _named(body, sent or ANY):
        around = body[max(0, start - 60) : end + 80]
        refused, field = FIELD.search(around), name.partition(".")[0]
        in_passing = name == "tools" and body[start] not in "`'\""  # as in refusals of something else
        if not refused and (in_passing or not VALUE.search(around)):
            continue
        if field == "messages" or not sent:
            setter = "AutoGen" if field == "messages" else "the request"
        elif field not in {**asked, **(asked.get("extra_body") or {})}:
            setter = "the code of the client"
        else:
            setter = "llm_config" if has(config, "get") and config.get(field) is not None else "the entry"
        odd = _odd_content(sent) if name == "messages.content" else ""
        return {**facts, "field": name, "setter": setter, "how": "field" if refused else "value", "odd": odd}
    lacking = [name for names in MISSING.findall(body) for name in names if name and sent.get(name) is None]
    return facts | ({"lacks": lacking[0]} if sent and lacking else {})


def _odd_content(sent: dict[str, Any]) -> str:
    """Return what is no text among the contents of the messages: "parts", else "None", else ""."""
    kinds = {type(one.get("content")).__name__ for one in sent.get("messages") or [] if isinstance(one, dict)}
    return "parts" if "list" in kinds else "None" if "NoneType" in kinds else ""


def _named(body: str, sent: dict[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Yield the fields of a request that a text names, and where: of messages, in quotes, then others."""
    in_messages = {name for one in sent.get("messages") or [] if isinstance(one, dict) for name in one}
    # Not behind "message": that is where errors have their text.
    behind = r"(?i)(?:messages?|input)(?![\"']\s*:)\W+(?:\d+\W+)?(?:\w+\W+)??"
    one_of = "|".join(map(re.escape, sorted(in_messages))) or "(?!)"
    for path in re.finditer(rf"{behind}({one_of})\b", body):
        yield f"messages.{path[1]}", *path.span()
    if tool := re.search(r"(?i)\btools\W{1,3}(?:\d+\b|function\b)|schema for function", body):
        yield "tools.function", *tool.span()
    names = [name for name in sent if name not in ("messages", "model")]
    for before, after in (("[`'\"]", "[`'\".\\\\[]"), ("", "")):
        for name in names:
            mark = before or ("" if "_" in name or name in PLAIN else ": ")  # "not on this model: stop"
            pattern = ALIASES.get(name) or name.replace("_", "_?")
            if there := re.search(rf"(?i){mark}\b(?:{pattern})\b(?={after})", body):
                yield name, *there.span()
    if alone := re.search(r"(?i)\binvalid ['\"`]content['\"`]|['\"`]content['\"`] (?:field|must|is)\b", body):
        yield "messages.content", *alone.span()


def _key_sent(headers: Any, to_openai: bool) -> str:
    """Return how the key of a request is odd: "none", "bare", "unfilled", "quoted", "foreign"; or ""."""
    values = [str(headers.get(name) or "") for name in ("Authorization", *OTHER_KEYS)]
    scheme, _, token = values[0].partition(" ")
    key = token.strip() or next(filter(None, values[1:]), "")
    if not any(values):
        return "none"
    if values[0] and not token.strip():
        return "none" if scheme in ("Bearer", "Basic") else "bare"
    if key == "None" or re.match(r"\$|\{|<|%\w+%$|your", key, re.IGNORECASE):
        return "unfilled"
    if key[0] in "'\"":
        return "quoted"
    return "foreign" if to_openai and not re.match("sk-(?!or-|ant-)", key) else ""


def body_of(answer: Any) -> str:
    """Return the text of an answer, as far as it was read.

    An exception of urllib's is one: what is read of it, which it gives only once, is kept there.
    """
    try:
        text = answer.text if hasattr(answer, "text") else vars(answer).setdefault("body", answer.read())
        return (text if isinstance(text, str) else text.decode(errors="replace"))[:10_000]
    except Exception:  # of a stream that was not read
        return ""


def _json(content: Any) -> dict[str, Any]:
    """Return a body as a dict, {} if it is something else."""
    with contextlib.suppress(ValueError, TypeError):
        value = json.loads(content)
        return value if isinstance(value, dict) else {}
    return {}


def _own_words(body: str) -> str:
    """Return an answer without links, and up to where it repeats the request: neither says what is wrong.

    FastAPI's servers do: {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": ..., "input": ...
    """
    if "\\u" in body:  # JSON may write letters by their numbers
        with contextlib.suppress(ValueError):
            body = json.dumps(json.loads(body), ensure_ascii=False)
    body = re.sub(r"https?://[^\s'\"]+/[^\s'\"]*", "", body)
    return re.sub(r"""(?s)(['"]loc['"]: ?[(\[].*?),\s*['"]input['"]: .*""", r"\1", body)


def _reason(body: str) -> str:
    """Return what an answer gives as its reason: the message of a JSON error, or the text of a page."""
    value: Any = body
    with contextlib.suppress(ValueError):
        value = json.loads(body)
    if isinstance(value, str) and value[:1] == "{":  # as OpenAI's client prints it
        found = re.search(r"""['"](?:message|error|detail)['"]: (['"])(.*?)\1[,}]""", value)
        value = found[2] if found else value
    for _ in range(3):
        if isinstance(value, list):
            value = value[0] if value else ""
        if isinstance(value, dict) and isinstance(value.get("loc"), list):  # of FastAPI: the path
            return fit(f"{'.'.join(map(str, value['loc'][1:]))}: {value.get('msg')}".lstrip(": "), 320)
        if isinstance(value, dict):
            named = [
                value.get(name) for name in ("error", "message", "detail", "msg", "title") if value.get(name)
            ]
            value = named[0] if named else json.dumps(value)
    return fit(" ".join(re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", str(value)).split()), 320)
