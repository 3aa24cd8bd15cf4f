"""Tools: shown to the model by its chat template, and its calls read from what it writes.

Where the calls stand in a reply, NOTATIONS says, a line for each family of models; transformers' response
parser finds them. What stands there is read by its shape: JSON, tags, or Python.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import uuid
import warnings
from dataclasses import dataclass
from typing import Any

from transformers.utils.chat_parsing import parse_response

from .messages import shows, whole

# How a call begins that nothing marks: a whole reply, in JSON or in Python.
BARE = (
    r'(?=\[?{\s*("type":\s*"function",\s*)?"(name|function)":\s*"[\w.-]+",\s*"(parameters|arguments)":'
    r"|\[\w[\w.]*\()"
)
# By a mark that opens a call, in the chat template or, as a token, in the vocabulary; the first that fits
# counts. `name`, in a pattern, is the tool's. Each is a field of a response template:
# https://huggingface.co/docs/transformers/main/en/chat_response_parsing
NOTATIONS: dict[str, dict[str, Any]] = {
    # Qwen 3.5, Qwen 3 Coder and Nemotron 3; the coder often leaves out the first mark.
    "<function=": {"open_pattern": r"\s*(<tool_call>|(?=<function=))", "close": "</tool_call>"},
    # Qwen, Hermes, SmolLM3, GLM, Granite 4
    "<tool_call>": {"open_pattern": r"\s*<tool_call>", "close": "</tool_call>"},
    "[TOOL_CALLS]": {  # Mistral: a list of calls, and newer a name and its arguments
        "open_pattern": r"\[TOOL_CALLS\]\s*(?P<name>([\w.-]+(?=\s*[\[{]))?)(\[CALL_ID\][^\[]*)?(\[ARGS\])?",
        "close_pattern": r"(?=\[TOOL_CALLS\])",
    },
    "<|call|>": {  # gpt-oss
        "open_pattern": r"(<\|start\|>assistant)?(<\|channel\|>(commentary|analysis))? ?to=functions\."
        r"(?P<name>[\w.-]+)((?!<\|message\|>).)*<\|message\|>",
        "close": "<|call|>",
    },
    "<|tool_call_start|>": {"open": "<|tool_call_start|>", "close": "<|tool_call_end|>"},  # LFM2
    "<|tool_call>": {  # Gemma 4
        "open_pattern": r"<\|tool_call>call:(?P<name>[\w.-]+)",
        "close": "<tool_call|>",
        "content": "json",
        "content_args": {
            "unquoted_keys": True,
            "string_delims": [['<|"|>', '<|"|>']],
            "allow_non_json": True,
        },
    },
    "<|tool_call|>": {"open": "<|tool_call|>", "close": "<|/tool_call|>"},  # Granite 3, Phi-4
    "<|START_ACTION|>": {"open": "<|START_ACTION|>", "close": "<|END_ACTION|>"},  # Cohere
    "<｜tool▁calls▁begin｜>": {  # DeepSeek
        "open_pattern": r"(<｜tool▁calls▁begin｜>)?\s*<｜tool▁call▁begin｜>(function<｜tool▁sep｜>)?"
        r"(?P<name>[\w.-]+)(<｜tool▁sep｜>|\s*```json)?|\s*<｜tool▁calls▁end｜>(?P<name>)",
        "close_pattern": r"(\s*```)?\s*<｜tool▁call▁end｜>",
    },
    "<TOOLCALL>": {"open": "<TOOLCALL>", "close": "</TOOLCALL>"},  # Nemotron Nano 2
    "<function_calls>": {"open": "<function_calls>", "close": "</function_calls>"},  # OLMo 3
    "<|python_tag|>": {"open_pattern": rf"^\s*(<\|python_tag\|>|{BARE})"},  # Llama 3
    "<|python_start|>": {"open_pattern": rf"^\s*(<\|python_start\|>|{BARE})", "close": "<|python_end|>"},
}
# Arguments between tags: Qwen 3.5, Nemotron 3 and GLM.
TAGGED = re.compile(
    r"\s*(?:<parameter=(.+?)>|<arg_key>(.+?)</arg_key>\s*<arg_value>)\n?(.*?)\n?</(?:parameter|arg_value)>\s*",
    re.DOTALL,
)
NAMED = re.compile(r"\s*(?:<function=)?([A-Za-z_][\w.-]*)>?\s*(</function>)?\s*")
# A call as it stands in OpenAI's answers, for transformers to turn its arguments into their tool's types.
CALLS = {
    "start_anchor": "\0",
    "fields": {
        "tool_calls": {
            "open": "\0",
            "content": "json",
            "transform_each": True,
            "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{arguments}"}},
        }
    },
}


@dataclass
class Tools:
    """The tools of one call."""

    offered: list[dict[str, Any]]
    seen: bool  # by the chat template; what it has no place for, the system message describes
    forced: list[str]  # names of those one of which must be called

    def schema(self) -> str:
        """Return the JSON schema of a call that must be made."""
        functions = [tool["function"] for tool in self.offered]
        return json.dumps({"anyOf": [_schema(**each) for each in functions if each["name"] in self.forced]})


def offered(client: Any, settings: dict[str, Any]) -> Tools | None:
    """Return the tools of an entry and a call, None where there are none.

    A model whose template has no place for tools must call one when the user has spoken, and answers in
    words when the result is there: by itself, it would never call.

    Raises:
        ValueError: `tool_choice` names no tool.
    """
    model, tokenizer = client.config["model"], client.tokenizer
    if settings.get("functions"):
        warnings.warn(
            f"{model!r} does not see the functions: this client takes `tools`, not the older `functions`.",
            stacklevel=3,
        )
    tools, choice = settings.get("tools") or [], settings.get("tool_choice") or "auto"
    names = [tool["function"]["name"] for tool in tools]
    if not tools or choice == "none":
        return None
    probe = {"name": "probe", "description": "", "parameters": {"type": "object", "properties": {}}}
    hello = [{"role": "user", "content": "Hello"}]
    seen = shows(tokenizer, hello, "probe", tools=[{"type": "function", "function": probe}])
    if isinstance(choice, dict):
        forced = [name for name in names if name == choice.get("function", choice).get("name")]
    else:
        user_spoke = settings["messages"][-1].get("role") not in ("tool", "function")
        forced = names if choice == "required" or (not seen and user_spoke) else []
    if not forced and choice not in ("auto", "required"):
        raise ValueError(
            f"tool_choice must be 'auto', 'none', 'required' or one of the tools ({', '.join(names)}), "
            f"not {choice!r}."
        )
    if seen and not forced and not (notation(tokenizer) or getattr(tokenizer, "response_template", None)):
        warnings.warn(
            f"A tool call of {model!r} stays text: the tokenizer has no response_template, and the chat "
            'template has none of the marks that this client knows. "tool_choice": "required" works.',
            stacklevel=3,
        )
    return Tools(tools, seen, forced)


def mark_of(tokenizer: Any) -> tuple[str, str]:
    """Return the marks with which a model opens and closes its calls, both empty if they are not known."""
    missing = (None, tokenizer.unk_token_id)
    in_template = (mark for mark in NOTATIONS if mark in str(tokenizer.chat_template))
    tokens = (mark for mark in NOTATIONS if tokenizer.convert_tokens_to_ids(mark) not in missing)
    mark = next(itertools.chain(in_template, tokens), "")
    return mark, NOTATIONS[mark].get("close", "") if mark else ""


def notation(tokenizer: Any) -> dict[str, Any] | None:
    """Return how a model writes its calls, as a field of a response template; None if that is not known."""
    mark, _ = mark_of(tokenizer)
    if not mark:
        return None
    field = NOTATIONS[mark]
    named = "(?P<name>" in field.get("open_pattern", "")
    return {"repeats": True, **field, "transform": {"name": "{name}" if named else "", "body": "{content}"}}


def calls(found: list[dict[str, Any]], tools: Tools, complete: bool = True) -> list[dict[str, Any]]:
    """Return the calls that were found in a reply as OpenAI has them.

    Those that can't be read are left out, with a warning. `complete` says that the reply was not cut off.
    """
    read: list[dict[str, Any]] = []
    broken = ""
    for part in found:
        name, body = (part["name"], part["body"]) if "body" in part else ("", part)
        try:
            items = _items(name, body, complete or part is not found[-1])
        except UNREADABLE as error:
            items, broken = [], broken or str(error)
        for item in items:
            try:
                read.append(_call(*item))
            except UNREADABLE as error:
                broken = broken or str(error)
    if broken:
        fate = "is left out" if read else "stays text"
        warnings.warn(f"A tool call in the reply can't be read, so it {fate}: {broken}.", stacklevel=4)
    if not read:
        return []
    message = parse_response("\0" + json.dumps(read), CALLS, prefix="", tools=tools.offered)
    for call in message["tool_calls"]:
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
        call["id"] = uuid.uuid4().hex[:9]  # nine characters, as Mistral's template demands
    return message["tool_calls"]


UNREADABLE = (ValueError, SyntaxError, LookupError, TypeError, AttributeError, RecursionError, MemoryError)


def _items(name: str, body: Any, complete: bool) -> list[tuple[Any, Any]]:
    """Return the names and arguments that stand in one place of a reply, not looked into yet.

    Each is for `_call`, which finds out if it is one.
    """
    if not isinstance(body, str):
        values = body if isinstance(body, list) else [body]
        return [(name, value) for value in values]
    rest, text = TAGGED.sub(" ", body), body.strip()
    if tagged := NAMED.fullmatch(rest):
        if not complete and not tagged[2]:
            raise ValueError(f"it was cut off: {_start(text)}")
        return [(tagged[1], {one or other: value for one, other, value in TAGGED.findall(body)})]
    if name and not text and complete:
        return [(name, {})]
    values, rest = [], text
    try:
        while rest := rest.lstrip("[],; \n"):  # a list, or one after the other; the last may be cut off
            value, end = json.JSONDecoder().raw_decode(rest)
            values.append((name, value))
            rest = rest[end:]
    except json.JSONDecodeError:
        if values:
            return [*values, (None, rest)]
        try:
            return _python(text)
        except UNREADABLE:
            raise ValueError(f"it is neither JSON nor a call in Python: {_start(text)}") from None
    return values


def _python(text: str) -> list[tuple[Any, Any]]:
    """Return the names and arguments of calls in Python, in a list or one on each line."""
    lines: list[Any] = [line.value for line in ast.parse(text).body]  # type: ignore[attr-defined]
    nodes = [node for line in lines for node in getattr(line, "elts", [line])]
    if not all(isinstance(node, ast.Call) for node in nodes):
        raise ValueError
    return [(ast.unparse(node.func), node) for node in nodes]


def _call(name: Any, given: Any) -> dict[str, Any]:
    """Return a call, given by its arguments, or without a name by itself."""
    if isinstance(given, ast.Call):
        if given.args or not all(word.arg for word in given.keywords):
            raise ValueError(f"its arguments need names: {_start(ast.unparse(given))}")
        given = {word.arg: ast.literal_eval(word.value) for word in given.keywords}
    if not name:
        if not isinstance(given, dict):
            raise ValueError(f"it is no object: {_start(given)}")
        function = given.get("function", given)
        function = {**given, "name": function} if isinstance(function, str) else function
        name = function.get("name") or function.get("tool_name")
        given = next((function[key] for key in ("arguments", "parameters", "args") if key in function), {})
    arguments = json.loads(given) if isinstance(given, str) and given else given or {}
    if not isinstance(arguments, dict):
        raise ValueError(f"its arguments are no object: {_start(given)}")
    if not name or not isinstance(name, str):
        raise ValueError(f"it names no tool: {_start(given)}")
    return {"name": name, "arguments": whole(arguments)}


def _start(value: Any) -> str:
    """Return the beginning of what can't be read."""
    text = str(value)
    return repr(text if len(text) < 100 else text[:97] + "...")


def _schema(name: str, parameters: dict[str, Any] | None = None, **_: Any) -> dict[str, Any]:
    """Return the JSON schema of a call of a tool."""
    arguments = {"type": "object", **(parameters or {}), "additionalProperties": False}
    properties = {"name": {"const": name}, "arguments": arguments}
    return {"type": "object", "properties": properties, "required": [*properties]}
