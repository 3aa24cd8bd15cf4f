"""Structured output: only tokens with which the text can still become JSON of a schema."""

from __future__ import annotations

import functools
import json
from typing import Any

import torch
from pydantic import TypeAdapter
from transformers import LogitsProcessor


def schema_of(wanted: Any) -> str | None:
    """Return the JSON schema of a `response_format`: a pydantic class, a schema, or OpenAI's dictionary."""
    if wanted is None or wanted == {"type": "text"}:
        return None
    try:
        if isinstance(wanted, str):
            raise TypeError  # pydantic would evaluate it as Python
        schema = wanted if isinstance(wanted, dict) else closed(TypeAdapter(wanted).json_schema())
        if schema.get("type") == "json_schema":
            schema = dict(schema["json_schema"]["schema"])
        return json.dumps({"type": "object"} if schema.get("type") == "json_object" else schema)
    except (TypeError, ValueError, LookupError, RuntimeError):  # pydantic's own are RuntimeErrors
        raise ValueError(
            f"`response_format` must be a pydantic class or a JSON schema, not {wanted!r}."
        ) from None


def closed(schema: Any) -> Any:
    """Return a schema whose objects have no other fields than those it names, as in OpenAI's strict mode.

    Those that say something about further fields (dict[str, int]) stay as they are.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        result.setdefault("additionalProperties", False)
    return result


class JsonOnly(LogitsProcessor):
    """Allow only tokens with which the text can still become JSON of a schema; llguidance knows which.

    A small model would often write one long string until the limit cuts it off. So in the second half of
    the limit only what brings the text to its end is allowed, where there is a choice.
    """

    def __init__(self, tokenizer: Any, size: int, schema: str, limit: int) -> None:
        try:
            from llguidance import LLMatcher
        except ImportError:
            raise ImportError("`response_format` needs llguidance: pip install llguidance") from None
        vocabulary, self.masks, self.letter = _vocabulary(tokenizer, size)
        # Free whitespace would be another way to write until the limit.
        compact: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar = LLMatcher.grammar_from_json_schema(schema, defaults=compact)
        self.matcher = LLMatcher(vocabulary, grammar)
        if self.matcher.is_error():
            raise ValueError(
                f"`response_format` holds a schema that can't be followed: {self.matcher.get_error()}"
            )
        self.matchers: list[Any] = []
        self.left, self.hurry = limit, limit // 2

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not self.matchers:
            self.matchers = [self.matcher.deep_copy() for _ in input_ids]
        else:
            for matcher, token in zip(self.matchers, input_ids[:, -1].tolist(), strict=True):
                matcher.consume_token(token)
        bias = b"".join(matcher.compute_logit_bias() for matcher in self.matchers)
        allowed = torch.frombuffer(bytearray(bias), dtype=torch.uint8).view(len(self.matchers), -1) > 0
        self.left -= 1
        if self.left < self.hurry:
            allowed = torch.stack([self._closing(row) for row in allowed])
        return scores.masked_fill(~allowed.to(scores.device), float("-inf"))

    def _closing(self, allowed: torch.Tensor) -> torch.Tensor:
        """Return those of the allowed tokens that bring the text nearest to its end."""
        inside_a_string = allowed[self.letter]
        for name in ("end", '"') if inside_a_string else ("end", "}", "]", ",", '"', "no comma"):
            if (allowed & self.masks[name]).any():
                return allowed & self.masks[name]
        return allowed


@functools.lru_cache(maxsize=2)  # it takes a second
def _vocabulary(tokenizer: Any, size: int) -> tuple[Any, dict[str, torch.Tensor], int]:
    """Return llguidance's view of a tokenizer, which tokens help to end a JSON text, and a letter's token."""
    from llguidance.hf import from_tokenizer

    texts = tokenizer.batch_decode([[token] for token in range(size)])
    masks = {mark: torch.tensor([text == mark for text in texts]) for mark in '}],"'}
    masks["no comma"] = torch.tensor(["," not in text for text in texts])
    masks["end"] = torch.arange(size) == tokenizer.eos_token_id
    return from_tokenizer(tokenizer, n_vocab=size), masks, texts.index("z")
