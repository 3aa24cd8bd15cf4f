"""One request as a card: trees of elements (markdown.py), and the call as Python. Keys are hidden in all of it."""

from __future__ import annotations

import json
import pprint
import re
from typing import Any

from kit.agents.inside import has
from kit.agents.watching import Call, Request
from kit.checks.protocol import needed_by
from kit.config_list.secrets import fit, hide_secrets, masked
from kit.widgets.classes import how_to_get
from kit.widgets.markdown import Tree, code
from kit.widgets.program import as_python

SHORT = 160  # letters of a text that is not folded
OWN = """\
{imports}

client = {name}({arguments})
response = client.create(
{params}
)
print(client.message_retrieval(response))
"""
OPENAI = """\
{imports}

client = OpenAI(**{arguments})
response = client.chat.completions.create(**
{params}
)
print(response.choices[0].message)
"""


def title(request: Request) -> str:
    """Return who asked, and who answered."""
    who = f"{request.selects_for} selects" if request.selects_for else request.agent
    asked = request.last("create")
    by = f" → {asked.class_name}, entry {asked.entry}" if asked else ""
    return hide_secrets(f"{request.number}. {who}, turn {request.turn}{by}", *request.entries)


def note(request: Request) -> str:
    """Return tokens, and what came of it, in one line; how long it took is not in it."""
    read, cached, written = request.tokens
    tokens = f"{read + cached} + {written} tokens" if read + cached + written else ""
    tokens += f" ({cached} from a cache)" if cached else ""
    reply = f"✖ {request.raised}" if request.raised else "…" if request.running else repr(_said(request.reply))
    new = len(request.messages) - request.new
    messages = f"{new} new message{'s' * (new != 1)}"
    text = hide_secrets(" ".join(reply.split()), *request.entries)
    return " · ".join(filter(None, [messages, tokens, fit(text, 70)]))


def notes(request: Request) -> list[str]:
    """Return what nobody says otherwise: which methods were not called, and why; what AutoGen did silently."""
    return [*(f"{name} not called: {why}." for name, why in request.not_called()), *request.remarks()]


def card(request: Request, namespace: dict[str, Any]) -> list[Tree]:
    """Return the whole card, below its title; the variables of a notebook may hold the client's class."""
    hide = _Hider(request)
    parts = [
        *(_p(f"▲ {hide.text(remark)}", "kit-warning") for remark in notes(request)),
        _heading("The methods, in the order of their calls"),
        _methods(request, hide),
        _heading("What the model got"),
        *_messages(request, hide),
        *_options(request, hide),
        *_prompt(request, hide),
        _heading("What came back"),
        *_choices(request, hide),
        _heading("The same call, without AutoGen"),
        code(call_of(request, namespace), "python"),
    ]
    data = json.dumps(as_json(request), indent=1, ensure_ascii=False)
    return [*parts, _details("All of it as JSON", [code(data, "json")])]


def as_json(request: Request) -> dict[str, Any]:
    """Return all that was noted, as JSON has it, keys hidden."""
    noted = {name: value for name, value in vars(request).items() if name not in ("client", "entries")}
    noted["calls"] = [vars(call) for call in request.calls]
    return _Hider(request).value(noted)


def call_of(request: Request, namespace: dict[str, Any]) -> str:
    """Return the call of `create` as a program that repeats it without AutoGen; keys come from variables."""
    asked = request.last("create")
    if not asked:
        return "# create was not called"
    cls, entry = type(request.client), request.entries[asked.entry or 0]
    taken: dict[str, str | None] = {}
    if not cls.__module__.startswith("autogen."):
        values = [as_python(entry, taken), *(f"{name}=..." for name in needed_by(cls))]
        template, imports = OWN, how_to_get(cls.__name__, {cls.__name__: cls, **namespace})
    elif cls.__name__ == "OpenAIClient" and entry.get("api_type", "openai") == "openai":
        known = {name: entry[name] for name in ("api_key", "base_url") if entry.get(name)}
        values, template, imports = [as_python(known, taken)], OPENAI, "from openai import OpenAI"
    else:
        return f"# {cls.__name__} is AutoGen's own client for {entry.get('api_type')}"
    params = pprint.pformat(_Hider(request).value(request.params), sort_dicts=False, width=90)
    written = template.format(
        imports=imports, name=cls.__name__, arguments=", ".join(values), params=re.sub("(?m)^", "    ", params)
    )
    return hide_secrets(f"import os\n\n{written}" if "os.environ[" in written else written, *request.entries)


class _Hider:
    """Hides keys: those of the entries, and what looks like one."""

    def __init__(self, request: Request) -> None:
        self.entries = request.entries

    def text(self, text: str) -> str:
        return hide_secrets(text, *self.entries)

    def value(self, value: Any) -> Any:
        """Return a value with stars for keys, and a name in place of what JSON does not have."""
        shown = json.dumps(masked(value), default=lambda other: f"<{type(other).__name__}>", ensure_ascii=False)
        return json.loads(self.text(shown))

    def shown(self, value: Any) -> str:
        value = self.value(value)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _methods(request: Request, hide: _Hider) -> Tree:
    rows = [_row(call, hide, len(request.messages)) for call in request.calls]
    rows += [[["code", {}, [name]], "", f"not called: {why}", ""] for name, why in request.not_called()]
    if not any(call.method == "constructor" for call in request.calls) and request.client is not None:
        rows.insert(0, [["code", {}, ["constructor"]], "", "called earlier", ""])
    heads: Tree = ["tr", {}, [["th", {"scope": "col"}, [h]] for h in ("method", "got", "returned", "time")]]
    body: list[Tree] = [["tr", {}, [["td", {}, [part]] for part in row]] for row in rows]
    return ["div", {"class": "kit-table"}, [["table", {}, [["thead", {}, [heads]], ["tbody", {}, body]]]]]


def _row(call: Call, hide: _Hider, messages: int) -> list[Tree]:
    if call.method == "create":
        got = f"params: {messages} messages, {', '.join(call.got)}"
    else:
        got = hide.shown(call.got) if call.got else "response"
    returned = f"✖ {hide.text(call.raised)}" if call.raised else hide.shown(call.returned)
    if call.method == "constructor" and not call.raised:
        returned = "the client"
    took = "…" if call.seconds is None else f"{call.seconds:.2f} s" if call.seconds >= 1 else f"{call.seconds * 1e3:.1f} ms"
    return [["code", {}, [call.method]], _folded(got), _folded(returned), took]


def _messages(request: Request, hide: _Hider) -> list[Tree]:
    shown = [_message(message, hide, at >= request.new) for at, message in enumerate(request.messages)]
    old, new = shown[: request.new], shown[request.new :]
    known = f"{len(old)} message{'s' * (len(old) != 1)}, as in the request before"
    return [*([_details(known, old)] if old else []), *new]


def _message(message: dict[str, Any], hide: _Hider, new: bool) -> Tree:
    """Return a message: its role and name, what it says, and what else it holds."""
    who = hide.text(" ".join(filter(None, [str(message.get("role")), str(message.get("name") or "")])))
    rest = {name: value for name, value in message.items() if name not in ("role", "name", "content") and value}
    content = message.get("content")
    texts = [] if content is None else [hide.shown(content)]
    texts += [f"{name}: {hide.shown(value)}" for name, value in rest.items()]
    mark: list[Tree] = [["span", {"class": "kit-chip kit-new"}, ["new"]]] if new else []
    head: Tree = ["div", {"class": "kit-who"}, [["strong", {}, [who]], *mark]]
    return ["div", {"class": "kit-got"}, [head, *map(_folded, texts)]]


def _options(request: Request, hide: _Hider) -> list[Tree]:
    options = {name: value for name, value in request.params.items() if name not in ("messages", "tools")}
    tools = request.params.get("tools")
    parts: list[Tree] = [_p(", ".join(f"{name}: {hide.shown(value)}" for name, value in options.items()))]
    named = ", ".join(str((tool.get("function") or {}).get("name")) for tool in tools or [] if isinstance(tool, dict))
    return [*parts, *([_details(f"tools: {hide.text(named)}", [code(hide.shown(tools), "json")])] if tools else [])]


def _prompt(request: Request, hide: _Hider) -> list[Tree]:
    """Return a local model's prompt as its template writes it, with what came out of the prefix cache marked."""
    client = request.client
    if not has(client, "prompt") or not hasattr(client, "tokenizer"):
        return []
    try:
        ids, cached = client.prompt(request.params), request.tokens[1]
        pieces = [client.tokenizer.decode(part) for part in (ids[:cached], ids[cached:])]
        special = [token for token in client.tokenizer.all_special_tokens if token]
    except Exception as error:  # what kept `create` from an answer, too
        return [_p(f"No prompt: {hide.text(str(error))}")]
    split = re.compile(f"({'|'.join(map(re.escape, special))})" if special else "(?!)")
    parts: list[Tree] = []
    for text, kind in zip(map(hide.text, pieces), ("kit-cached", ""), strict=True):
        marked: list[Tree] = [
            ["span", {"class": "kit-token"}, [part]] if part in special else part for part in split.split(text) if part
        ]
        parts += [["span", {"class": kind}, marked]] if kind and marked else marked
    summary = f"The prompt: {len(ids)} tokens" + (f", the first {cached} out of the prefix cache" if cached else "")
    return [_details(summary, [["pre", {"class": "kit-code", "data-language": "prompt"}, parts]])]


def _choices(request: Request, hide: _Hider) -> list[Tree]:
    """Return the choices, the first of which AutoGen takes, and what the agent made of that."""
    choices = request.response.get("choices")
    parts: list[Tree] = []
    for number, choice in enumerate(choices if isinstance(choices, list) else []):
        choice = choice if isinstance(choice, dict) else {"message": choice}
        message = choice["message"] if isinstance(choice.get("message"), dict) else {"content": choice.get("message")}
        reason = f" (finish_reason {choice['finish_reason']})" if choice.get("finish_reason") else ""
        taken = ", which AutoGen takes" if not number and len(choices) > 1 else ""
        thoughts = message.get("reasoning_content") or message.get("reasoning")
        inside: list[Tree] = [_p(hide.text(f"Choice {number}{taken}{reason}"), "kit-who")]
        inside += [_details("Thoughts, which stay in the response", [_folded(hide.shown(thoughts))])] if thoughts else []
        inside += [_folded(hide.shown(message["content"]))] if message.get("content") is not None else []
        inside += [_folded(f"calls {hide.shown(call)}") for call in message.get("tool_calls") or []]
        parts.append(["div", {"class": "kit-got"}, inside])
    if usage := request.usage:
        parts.append(_p(f"Usage: {hide.shown(usage)}"))
    reply = f"✖ {request.raised}" if request.raised else "…" if request.running else hide.shown(request.reply)
    return [*parts, ["div", {"class": "kit-got"}, [_p(f"The reply of {hide.text(request.agent)}", "kit-who"), _folded(hide.text(reply))]]]


def _said(reply: Any) -> str:
    """Return a reply in a few words: its text, or the tools that it calls."""
    if not isinstance(reply, dict):
        return str(reply)
    calls = [call.get("function") or {} for call in reply.get("tool_calls") or []]
    return reply.get("content") or ", ".join(f"{call.get('name')}({call.get('arguments')})" for call in calls)


def _p(text: str, kind: str = "kit-soft") -> Tree:
    return ["p", {"class": kind}, [text]]


def _heading(text: str) -> Tree:
    return ["p", {"class": "kit-heading"}, [text]]


def _details(summary: str, inside: list[Tree]) -> Tree:
    return ["details", {"class": "kit-more"}, [["summary", {}, [summary]], *inside]]


def _folded(text: str) -> Tree:
    """Return a text; of a long one its beginning, which opens."""
    if len(text) <= SHORT:
        return ["div", {"class": "kit-plain"}, [text]]
    inside: Tree = ["div", {"class": "kit-plain"}, [text]]
    return ["details", {"class": "kit-more"}, [["summary", {}, [f"{' '.join(text[:SHORT].split())} …"]], inside]]
