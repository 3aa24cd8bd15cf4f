"""Tools: shown to the model by its chat template, and its calls read from what it writes.

Where the calls stand in a reply, NOTATIONS says, a line for each family of models; transformers' response
parser finds them. What stands there is read by its shape: JSON, tags, or Python.
"""

from __future__ import annotations

import ast
import json
import re
import uuid
import warnings
from dataclasses import dataclass
from typing import Any

from transformers.utils.chat_parsing import parse_response

# By a mark in the chat template, or a token that was added to the vocabulary. `name`, in a pattern, is the
# tool's. The first that fits counts.
NOTATIONS: dict[str, dict[str, Any]] = {
    "<tool_call>": {
        "open_pattern": r"\s*<tool_call>",
        "close": "</tool_call>",
    },  # Qwen, Hermes, GLM, Nemotron
    "[TOOL_CALLS]": {  # Mistral: a list of calls, and newer a name and its arguments
        "open_pattern": r"\[TOOL_CALLS\](?P<name>([\w.-]+(?=\[))?)((\[CALL_ID\][^\[]*)?\[ARGS\])?",
        "close_pattern": r"(?=\[TOOL_CALLS\])",
    },
    "to=functions.": {  # gpt-oss
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
        r"(?P<name>[\w.-]+)(<｜tool▁sep｜>|\s*```json)?",
        "close_pattern": r"(\s*```)?\s*<｜tool▁call▁end｜>(\s*<｜tool▁calls▁end｜>)?",
    },
    # Llama 3 and 4 mark a call with nothing, or with a token of their own: the whole reply is the call.
    "<|python_tag|>": {"open_pattern": r"^\s*(<\|python_tag\|>)?(?=[\[{])"},
    "<|python_start|>": {"open_pattern": r"^\s*(<\|python_start\|>)?(?=[\[{])", "close": "<|python_end|>"},
}
# Arguments between tags: Qwen 3.5 and Nemotron, GLM, MiniMax.
TAGGED = re.compile(
    r"\s*(?:<parameter(?:=| name=\")(.+?)\"?>|<arg_key>(.+?)</arg_key>\s*<arg_value>)"
    r"\s*(.*?)\s*(?:</parameter>|</arg_value>)\s*",
    re.DOTALL,
)
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
    if settings.get("functions"):
        warnings.warn(
            f"{client.config['model']!r} does not see the functions: this client takes `tools`, not the older "
            "`functions`.",
            stacklevel=3,
        )
    tools, choice = settings.get("tools") or [], settings.get("tool_choice") or "auto"
    names = [tool["function"]["name"] for tool in tools]
    if not tools or choice == "none":
        return None
    seen = "tools" in str(client.tokenizer.chat_template)
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
    return Tools(tools, seen, forced)


def notation(tokenizer: Any) -> dict[str, Any] | None:
    """Return how a model writes its calls, as a field of a response template; None if that is not known."""
    places = (str(tokenizer.chat_template), tokenizer.added_tokens_encoder)
    mark = next((mark for place in places for mark in NOTATIONS if mark in place), None)
    if mark is None:
        return None
    field = NOTATIONS[mark]
    named = "(?P<name>" in field.get("open_pattern", "")
    return {"repeats": True, **field, "transform": {"name": "{name}" if named else "", "body": "{content}"}}


def calls(found: list[dict[str, Any]], tools: Tools, complete: bool = True) -> list[dict[str, Any]]:
    """Return the calls that were found in a reply as OpenAI has them.

    Those that can't be read are left out, with a warning. `complete` says that the reply was not cut off.
    """
    read, broken = [], ""
    for part in found:
        name, body = (part["name"], part["body"]) if "body" in part else ("", part)
        try:
            read += _read(name, body, complete or part is not found[-1])
        except (ValueError, SyntaxError, LookupError, TypeError, AttributeError, RecursionError) as error:
            broken = broken or str(error) or type(error).__name__
    if broken:
        warnings.warn(f"A tool call in the reply can't be read: {broken}.", stacklevel=4)
    if not read:
        return []
    message = parse_response("\0" + json.dumps(read), CALLS, prefix="", tools=tools.offered)
    for call in message["tool_calls"]:
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
        call["id"] = uuid.uuid4().hex[:9]  # nine characters, as Mistral's template demands
    return message["tool_calls"]


def _read(name: str, body: Any, complete: bool) -> list[dict[str, Any]]:
    """Return the names and arguments of the calls that stand in one place of a reply."""
    if isinstance(body, str) and (tagged := TAGGED.findall(body)):
        rest = re.sub(r"<(function|invoke)(=| name=\")|\"?>|</\w+>", "", TAGGED.sub("", body)).strip()
        if not complete or not re.fullmatch(r"[\w.-]*", rest):
            raise ValueError(f"its tags are not closed: {body.strip()!r}")
        return [_call(name or rest, {one or other: value for one, other, value in tagged})]
    value = _value(body.strip()) if isinstance(body, str) else body
    if name:
        return [_call(name, value)]
    found = []
    for call in value if isinstance(value, list) else [value]:
        function = call.get("function", call)
        function = {**call, "name": function} if isinstance(function, str) else function
        arguments = (function[key] for key in ("arguments", "parameters", "args") if key in function)
        found.append(_call(function.get("name") or function.get("tool_name"), next(arguments, {})))
    return found


def _call(name: Any, arguments: Any) -> dict[str, Any]:
    arguments = json.loads(arguments) if isinstance(arguments, str) else arguments or {}
    if not isinstance(arguments, dict):
        raise ValueError(f"arguments must be an object, not {arguments!r}")
    if not name or not isinstance(name, str):
        raise ValueError(f"it names no tool: {arguments!r}")
    return {"name": name, "arguments": arguments}


def _value(text: str) -> Any:
    """Return what stands in a text of JSON, of several after each other, or of Python calls."""
    values, rest = [], text
    try:
        while rest or not values:
            value, end = json.JSONDecoder().raw_decode(rest)
            values.append(value)
            rest = rest[end:].lstrip("; \n")
        return values[0] if len(values) == 1 else values
    except json.JSONDecodeError as error:
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError):
            raise error from None
    nodes = tree.elts if isinstance(tree, ast.List) else [tree]
    if not all(isinstance(node, ast.Call) and not node.args for node in nodes):
        raise ValueError(f"neither JSON nor calls with named arguments: {text!r}")
    return [
        {
            "name": ast.unparse(node.func),
            "arguments": {word.arg: ast.literal_eval(word.value) for word in node.keywords},
        }
        for node in nodes
        if isinstance(node, ast.Call)
    ]


def _schema(name: str, parameters: dict[str, Any] | None = None, **_: Any) -> dict[str, Any]:
    """Return the JSON schema of a call of a tool."""
    arguments = {"type": "object", **(parameters or {}), "additionalProperties": False}
    properties = {"name": {"const": name}, "arguments": arguments}
    return {"type": "object", "properties": properties, "required": [*properties]}
