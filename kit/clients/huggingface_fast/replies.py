"""Replies: thoughts, text and tool calls, told apart by the marks that a family of models sets.

transformers' response parser does it, with the response template of the tokenizer if that brings one, else
with the declarations here and in tools.py.
"""

from __future__ import annotations

import functools
from typing import Any

from transformers.utils.chat_parsing import parse_response

from .tools import notation

# How models mark their thoughts, by a mark in their chat template.
THOUGHTS: dict[str, dict[str, Any]] = {
    "<response>": {  # Granite 3, which marks the reply as well
        "open_pattern": r"<think>|</?response>",
        "close_pattern": r"</think>\s*(<response>)?|(?<=<response>)",
        "join": "",
    },
    "</think>": {"open": "<think>", "close": "</think>"},  # Qwen, DeepSeek, SmolLM3, Nemotron, GLM
    "[/THINK]": {"open": "[THINK]", "close": "[/THINK]"},  # Mistral
    "<|END_THINKING|>": {"open": "<|START_THINKING|>", "close": "<|END_THINKING|>"},  # Cohere
    "<channel|>": {"open_pattern": r"<\|channel>\w*\n?", "close": "<channel|>"},  # Gemma 4
    "<|channel|>analysis": {  # gpt-oss, which marks the reply as well
        "open_pattern": r"(<\|start\|>\w*)?<\|channel\|>((?=final)|(?!final)\w*(<\|message\|>)?)"
        r"|<\|start\|>\w*",
        "close_pattern": r"(<\|end\|>(<\|start\|>\w*)?<\|channel\|>)?final[^<]*<\|message\|>|<\|end\|>",
    },
}
TEXT = {"content": "text", "content_args": {"strip": False}, "repeats": True, "join": ""}

Fields = dict[str, dict[str, Any]]


def fields_of(tokenizer: Any, tools: bool) -> Fields:
    """Return the parts of a model's replies, as fields of a response template; without tools, no calls."""
    if own := getattr(tokenizer, "response_template", None):
        names = {name: "reasoning_content" if name == "thinking" else name for name in own["fields"]}
        return {names[name]: own["fields"][name] for name in names if tools or name != "tool_calls"}
    mark = next((mark for mark in THOUGHTS if mark in str(tokenizer.chat_template)), None)
    called = notation(tokenizer) if tools else None
    return {
        **({"tool_calls": called} if called else {}),
        **({"reasoning_content": {"repeats": True, "join": "\n", **THOUGHTS[mark]}} if mark else {}),
        "content": TEXT,
    }


def reading(
    tokenizer: Any, ends: list[int], ids: list[int], fields: Fields
) -> tuple[dict[str, Any], str, set[int]]:
    """Return what the parser has to know of a reply to a prompt.

    That is a response template, with what the prompt itself begins the reply, and the special tokens that
    the parser must not see, because they mark none of the parts.
    """
    own = getattr(tokenizer, "response_template", None)
    if own and fields != {"content": TEXT}:
        return {**own, "fields": fields, "defaults": {}}, tokenizer.decode(ids), set(ends)
    opening = str(fields.get("reasoning_content", {}).get("open", "")).strip()
    opened = tokenizer.decode(ids[-16:]).rstrip().endswith(opening)
    marks, special = str(fields).replace("\\", ""), _special_tokens(tokenizer, len(tokenizer))
    hidden = {token for token, text in special.items() if text not in marks}
    return {"start_anchor": "\0", "fields": fields}, opening if opened else "", hidden


def parts(tokenizer: Any, ends: list[int], row: list[int], ids: list[int], fields: Fields) -> dict[str, Any]:
    """Return what a row of new tokens says after a prompt, part by part.

    Raises:
        ValueError: a tokenizer's own response template can't read it.
    """
    template, opening, hidden = reading(tokenizer, ends, ids, fields)
    text = tokenizer.decode([token for token in row if token not in hidden])
    thoughts = fields.get("reasoning_content", {})
    if thoughts.get("close", "\0") in text.partition(thoughts.get("open", "\0"))[0]:
        opening = opening or thoughts.get("open", "")  # a model may only close them
    found = {"content": "", **parse_response(text, template, prefix=opening)}
    if "reasoning_content" in fields:  # blank lines follow the thoughts, even where these are empty
        found["content"] = found["content"].lstrip()
    return found


@functools.lru_cache(maxsize=4)  # Gemma has thousands of added tokens: they take ten milliseconds
def _special_tokens(tokenizer: Any, size: int) -> dict[int, str]:
    """Return the special tokens of a tokenizer by their ids; with another size, it is another tokenizer."""
    return {token: added.content for token, added in tokenizer.added_tokens_decoder.items() if added.special}
