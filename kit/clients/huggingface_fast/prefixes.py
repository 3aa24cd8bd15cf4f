"""Prefix cache: keys and values of finished prompts and replies, so that only what is new is computed.

The idea is that of vLLM's automatic prefix caching
(https://docs.vllm.ai/en/latest/design/prefix_caching.html), for whole conversations instead of blocks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import DynamicCache

PREFIX_TOKENS = 8192  # of prompts and replies, remembered per model


@dataclass(eq=False)
class Prefix:
    """What a model computed for a prompt and its reply: keys and values, by layer.

    Each is a tensor of shape (1, heads, tokens, head size).
    """

    ids: list[int]
    prompt_tokens: int
    states: list[tuple[torch.Tensor, torch.Tensor]]


KNOWN: WeakKeyDictionary[Any, list[Prefix]] = WeakKeyDictionary()  # by model


def recall(model: Any, ids: list[int]) -> tuple[DynamicCache, int]:
    """Return a KV cache with the longest beginning of a prompt that is known, and its number of tokens."""
    cache = DynamicCache(config=model.config)
    best = max(KNOWN.get(model, []), key=lambda old: _shared(old.ids, ids), default=None)
    # The last token is always computed: its logits say how the reply begins.
    cached = min(_shared(best.ids, ids), len(ids) - 1) if best else 0
    for layer, (keys, values) in enumerate(best.states if best and cached else []):
        cache.update(keys[:, :, :cached], values[:, :, :cached], layer)
    return cache, cached


def remember(
    model: Any, ids: list[int], prompt_tokens: int, cache: DynamicCache, part: tuple[slice, ...], most: int
) -> None:
    """Keep the part of a cache that belongs to some tokens, for the prompts to come.

    Of all that is known for a model, at most `most` tokens are kept.
    """
    states = [(layer.keys[part].clone(), layer.values[part].clone()) for layer in cache.layers]
    # Where a conversation went on, its new state holds the old one.
    known = [old for old in KNOWN.get(model, []) if _shared(old.ids, ids) < old.prompt_tokens]
    known.append(Prefix(ids, prompt_tokens, states))
    while sum(len(prefix.ids) for prefix in known) > most:
        del known[0]  # the one that has waited longest
    KNOWN[model] = known


def _shared(one: list[int], other: list[int]) -> int:
    """Return how many tokens two lists have in common from the start."""
    return len(os.path.commonprefix([one, other]))
