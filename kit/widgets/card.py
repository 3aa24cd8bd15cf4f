"""One request as a card: trees of elements (markdown.py), and its call as Python, without keys."""

from __future__ import annotations

import json
import pprint
import re
import textwrap
from typing import Any

from kit.agents.inside import has
from kit.agents.watching import Call, Request, as_data
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
    messages = _count(len(request.messages) - request.new, "new message")
    return " · ".join(filter(None, [messages, tokens, fit(" ".join(_outcome(request).split()), 70)]))


def notes(request: Request) -> list[str]:
    """Return what nobody says otherwise: methods that were not called, and what AutoGen did silently."""
    return [*(f"{name} not called: {why}." for name, why in request.not_called()), *request.remarks()]


def card(request: Request, namespace: dict[str, Any]) -> list[Tree]:
    """Return the whole card, below its title; the variables of a notebook may hold the client's class."""
    hide = _Hider(request)
    data = json.dumps(as_json(request), indent=1, ensure_ascii=False)
    return [
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
        _details("All of it as JSON", [code(data, "json")]),
    ]


def as_json(request: Request) -> dict[str, Any]:
    """Return all that was noted, as JSON has it, keys hidden."""
    noted = {name: value for name, value in vars(request).items() if name not in ("client", "entries")}
    return _Hider(request).value({**noted, "calls": list(map(vars, request.calls))})


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
    fields = {"name": cls.__name__, "arguments": ", ".join(values), "params": textwrap.indent(params, "    ")}
    written = template.format(imports=imports, **fields)
    return hide_secrets(f"import os\n\n{written}" if "os.environ[" in written else written, *request.entries)


class _Hider:
    """Hides keys: those of the entries, and what looks like one."""

    def __init__(self, request: Request) -> None:
        self.entries = request.entries

    def text(self, text: str) -> str:
        return hide_secrets(text, *self.entries)

    def value(self, value: Any) -> Any:
        """Return a value with stars for keys, and the name of a type in place of what JSON does not have."""
        return json.loads(self.text(json.dumps(as_data(masked(value)), ensure_ascii=False)))

    def shown(self, value: Any) -> str:
        value = self.value(value)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _methods(request: Request, hide: _Hider) -> Tree:
    """Return a table of the calls, and of the methods that were not called."""
    rows = [_row(call, hide, len(request.messages)) for call in request.calls]
    rows += [[_name(name), "", f"not called: {why}", ""] for name, why in request.not_called()]
    if not request.last("constructor") and request.client is not None:
        rows.insert(0, [_name("constructor"), "", "called earlier", ""])
    heads: Tree = ["tr", {}, [["th", {"scope": "col"}, [h]] for h in ("method", "got", "returned", "time")]]
    body: list[Tree] = [["tr", {}, [["td", {}, [part]] for part in row]] for row in rows]
    return ["div", {"class": "kit-table"}, [["table", {}, [["thead", {}, [heads]], ["tbody", {}, body]]]]]


def _row(call: Call, hide: _Hider, messages: int) -> list[Tree]:
    got = hide.shown(call.got) if call.got else "response"
    if call.method == "create":
        got = f"params: {messages} messages, {', '.join(call.got)}"
    returned = "the client" if call.method == "constructor" else hide.shown(call.returned)
    if call.raised:
        returned = f"✖ {hide.text(call.raised)}"
    seconds = call.seconds
    took = "…" if seconds is None else f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"
    return [_name(call.method), _folded(got), _folded(returned), took]


def _name(method: str) -> Tree:
    return ["code", {}, [method]]


def _messages(request: Request, hide: _Hider) -> list[Tree]:
    """Return the messages, those that the request before had folded away."""
    shown = [_message(message, hide, at >= request.new) for at, message in enumerate(request.messages)]
    known = f"{_count(request.new, 'message')}, as in the request before"
    old = [_details(known, shown[: request.new])] if request.new else []
    return [*old, *shown[request.new :]]


def _message(message: dict[str, Any], hide: _Hider, new: bool) -> Tree:
    """Return a message: its role and name, what it says, and what else it holds."""
    who = hide.text(" ".join(filter(None, [str(message.get("role")), str(message.get("name") or "")])))
    texts = [] if message.get("content") is None else [hide.shown(message["content"])]
    for name, value in message.items():
        if name not in ("role", "name", "content") and value:
            texts.append(f"{name}: {hide.shown(value)}")
    mark: list[Tree] = [["span", {"class": "kit-chip kit-new"}, ["new"]]] if new else []
    head: Tree = ["div", {"class": "kit-who"}, [["strong", {}, [who]], *mark]]
    return ["div", {"class": "kit-got"}, [head, *map(_folded, texts)]]


def _options(request: Request, hide: _Hider) -> list[Tree]:
    """Return the other params, and the tools."""
    options = {name: value for name, value in request.params.items() if name not in ("messages", "tools")}
    parts: list[Tree] = [_p(", ".join(f"{name}: {hide.shown(value)}" for name, value in options.items()))]
    if tools := request.params.get("tools"):
        names = [str((tool.get("function") or {}).get("name")) for tool in as_data(tools)]
        parts.append(_details(f"tools: {hide.text(', '.join(names))}", [code(hide.shown(tools), "json")]))
    return parts


def _prompt(request: Request, hide: _Hider) -> list[Tree]:
    """Return a local model's prompt as its template writes it, what came out of the prefix cache marked."""
    client = request.client
    if not has(client, "prompt") or not hasattr(client, "tokenizer"):
        return []
    try:
        ids, cached = client.prompt(request.params), request.tokens[1]
        old, new = (hide.text(client.tokenizer.decode(part)) for part in (ids[:cached], ids[cached:]))
        special = set(client.tokenizer.all_special_tokens)
    except Exception as error:  # what kept `create` from an answer, too
        return [_p(f"No prompt: {hide.text(str(error))}")]
    split = re.compile(f"({'|'.join(map(re.escape, special)) or '(?!)'})")

    def marked(text: str) -> list[Tree]:
        parts = filter(None, split.split(text))
        return [["span", {"class": "kit-token"}, [part]] if part in special else part for part in parts]

    parts = [["span", {"class": "kit-cached"}, marked(old)], *marked(new)]
    from_cache = f", the first {cached} out of the prefix cache" if cached else ""
    prompt: Tree = ["pre", {"class": "kit-code", "data-language": "prompt"}, parts]
    return [_details(f"The prompt: {len(ids)} tokens{from_cache}", [prompt])]


def _choices(request: Request, hide: _Hider) -> list[Tree]:
    """Return the choices, the first of which AutoGen takes, the usage, and what the agent made of it."""
    choices = request.response.get("choices")
    choices = choices if isinstance(choices, list) else []
    parts = [_choice(choice, number, len(choices), hide) for number, choice in enumerate(choices)]
    if usage := request.usage:
        parts.append(_p(f"Usage: {hide.shown(usage)}"))
    head = _p(f"The reply of {hide.text(request.agent)}", "kit-who")
    return [*parts, ["div", {"class": "kit-got"}, [head, _folded(_outcome(request, whole=True))]]]


def _choice(choice: Any, number: int, count: int, hide: _Hider) -> Tree:
    choice = choice if isinstance(choice, dict) else {"message": choice}
    message = choice.get("message")
    message = message if isinstance(message, dict) else {"content": message}
    taken = ", which AutoGen takes" if count > 1 and not number else ""
    reason = f" (finish_reason {choice['finish_reason']})" if choice.get("finish_reason") else ""
    inside: list[Tree] = [_p(hide.text(f"Choice {number}{taken}{reason}"), "kit-who")]
    if thoughts := message.get("reasoning_content") or message.get("reasoning"):
        inside.append(_details("Thoughts, which stay in the response", [_folded(hide.shown(thoughts))]))
    if message.get("content") is not None:
        inside.append(_folded(hide.shown(message["content"])))
    inside += [_folded(f"calls {hide.shown(call)}") for call in message.get("tool_calls") or []]
    return ["div", {"class": "kit-got"}, inside]


def _outcome(request: Request, whole: bool = False) -> str:
    """Return what the agent's reply is, or what was raised in its place."""
    hide, reply = _Hider(request), request.reply
    if request.raised:
        return f"✖ {hide.text(request.raised)}"
    if request.running:
        return "…"
    if whole or not isinstance(reply, dict):
        return hide.shown(reply) if whole else hide.text(repr(reply))
    calls = [call.get("function") or {} for call in reply.get("tool_calls") or []]
    written = ", ".join(f"{call.get('name')}({call.get('arguments')})" for call in calls)
    return hide.text(written or repr(reply.get("content")))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _p(text: str, kind: str = "kit-soft") -> Tree:
    return ["p", {"class": kind}, [text]]


def _heading(text: str) -> Tree:
    return _p(text, "kit-heading")


def _details(summary: str, inside: list[Tree]) -> Tree:
    return ["details", {"class": "kit-more"}, [["summary", {}, [summary]], *inside]]


def _folded(text: str) -> Tree:
    """Return a text; of a long one its beginning, which opens."""
    whole: Tree = ["div", {"class": "kit-plain"}, [text]]
    return whole if len(text) <= SHORT else _details(f"{' '.join(text[:SHORT].split())} …", [whole])
