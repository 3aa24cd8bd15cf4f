"""Batches: calls that wait in several threads are answered together, each from its own prefix."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from packaging.version import Version
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.generation import GenerationMode

from . import prefixes
from .schemas import JsonOnly

# What transformers calls the KV cache; its older name goes away.
CACHE = "cache" if Version(transformers.__version__) >= Version("5.24") else "past_key_values"
BATCH = 8  # choices that are generated together, at most


@dataclass(eq=False)
class Request:
    """One call of `create` on its way through `generate`."""

    model: Any
    ids: list[int]  # the prompt
    options: dict[str, Any]
    schema: str | None
    streamer: Any
    prefix_tokens: int  # how many tokens to remember
    inputs: dict[str, Any] = field(default_factory=dict)  # what `generate` takes besides: images
    cached: int = 0  # how many tokens of the prompt came out of the prefix cache
    rows: list[list[int]] | None = None  # the new tokens of each choice, once they are there

    def can_join(self, other: Request) -> bool:
        """Return whether this request can be answered in one batch with `other`."""
        names = ("model", "options", "schema", "prefix_tokens")
        same = all(getattr(self, name) == getattr(other, name) for name in names)
        alone = self.streamer or other.streamer or self.inputs or other.inputs or "seed" in self.options
        return same and not alone and self.rows is None and self is not other


def answer(client: Any, request: Request) -> list[list[int]]:
    """Return the new tokens of each choice, once it is this request's turn or another took it along."""
    client._waiting.append(request)
    try:
        with client._lock:
            if request.rows is None:
                others = [other for other in client._waiting if other.can_join(request)]
                _run(client, [request, *others][: max(1, BATCH // request.options["num_return_sequences"])])
    finally:
        client._waiting.remove(request)
    return request.rows or []


@torch.inference_mode()
def _run(client: Any, group: list[Request]) -> None:
    """Answer requests that have the same options in one batch."""
    first, options = group[0], dict(group[0].options)
    count, lengths = options["num_return_sequences"], [len(request.ids) for request in group]
    if count > 1:  # prompt lookup is for one row
        options.pop("prompt_lookup_num_tokens", None)
    lookup = options.get("prompt_lookup_num_tokens") or 0
    tokens = max(lengths) + options["max_new_tokens"] + lookup
    if getattr(client.model.base_model, "rope_deltas", None) is not None:
        client.model.base_model.rope_deltas = None  # or Qwen's kind would place text by the last image
    # The tokens of all images are the same, so they tell nothing of what was computed.
    cuttable = not first.inputs and _is_cuttable(client.model, options, tokens) and min(lengths) > 1
    group = group if cuttable and not lookup else group[:1]
    rows = [request for request in group for _ in range(count if cuttable else 1)]
    if cuttable:
        cache = _recall(rows[0]) if len(rows) == 1 else _batch(rows)
        options |= {"num_return_sequences": 1, CACHE: cache}
    if first.schema:
        size, limit = client.model.config.get_text_config().vocab_size, options["max_new_tokens"]
        schema = JsonOnly(client.tokenizer, size, first.schema, limit)
        options["logits_processor"] = [*options.get("logits_processor", []), schema]
    prompts, width = [row.ids for row in rows], max(len(row.ids) for row in rows)
    with _going_on(client.model, cache) if cuttable and lookup else contextlib.nullcontext():
        output = client._generate(prompts, options, streamer=first.streamer, **first.inputs)
    for index, request in enumerate(group):
        choices = output[index * count : (index + 1) * count]
        if cuttable and request.prefix_tokens and cache.get_seq_length() == width + len(output[0]) - 1:
            row, left = index * count, width - len(request.ids)  # in the cache, and its padding
            ids = (request.ids + client._cut(choices[0], [])[0])[: cache.get_seq_length() - left]
            part = (slice(row, row + 1), slice(None), slice(left, left + len(ids)))
            prefixes.remember(request.model, ids, len(request.ids), cache, part, request.prefix_tokens)
        request.rows = choices


def _is_cuttable(model: Any, options: dict[str, Any], tokens: int) -> bool:
    """Return whether prefixes and batches work: greedy or sampled tokens, and a cache that can be cut.

    Recurrent and hybrid models, and sliding windows that are shorter than prompt and reply (`tokens`), keep
    a state that has already forgotten; layers that attend to images alone keep none for text; beam search
    reorders its cache. They get `generate`'s own way: one request at a time, all of it computed. Prompt
    lookup cuts the cache itself: what it guessed wrong is gone when `generate` returns.
    """
    settings = copy.deepcopy(model.generation_config)
    settings.update(**{**options, "prompt_lookup_num_tokens": None})
    return (
        settings.get_generation_mode() in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE)
        and settings.use_cache is not False
        and settings.cache_implementation is None
        and model._supports_default_dynamic_cache()
        and not getattr(model.config.get_text_config(), "cross_attention_layers", None)  # Llama 3.2 Vision
        and all(
            type(layer) is DynamicLayer
            or (type(layer) is DynamicSlidingWindowLayer and tokens <= layer.sliding_window)
            for layer in DynamicCache(config=model.config).layers
        )
    )


@contextlib.contextmanager
def _going_on(model: Any, cache: DynamicCache) -> Iterator[None]:
    """Let prompt lookup go on from a cache: transformers 5.23 would compute the whole prompt once more."""
    prepare = model.prepare_inputs_for_generation

    @functools.wraps(prepare)
    def rest(ids: torch.Tensor, next_sequence_length: int | None = None, **inputs: Any) -> Any:
        return prepare(ids, next_sequence_length or ids.shape[1] - cache.get_seq_length(), **inputs)

    model.prepare_inputs_for_generation = rest
    try:
        yield
    finally:
        del model.prepare_inputs_for_generation


def _recall(request: Request) -> DynamicCache:
    """Return a KV cache with what is known of a request's prompt."""
    if not request.prefix_tokens:
        return DynamicCache(config=request.model.config)
    cache, request.cached = prefixes.recall(request.model, request.ids)
    return cache


def _batch(rows: list[Request]) -> DynamicCache:
    """Return a KV cache for several rows: all but the last token of each prompt, padded on the left.

    What is not remembered is computed here, once for all choices of a request.
    """
    model, caches = rows[0].model, {request: _recall(request) for request in dict.fromkeys(rows)}
    for request, cache in caches.items():
        rest = torch.tensor([request.ids[request.cached : -1]], device=model.device)
        if rest.numel():
            model.base_model(rest, **{CACHE: cache}, use_cache=True)
    batch = DynamicCache(config=model.config)
    width = max(len(row.ids) for row in rows)
    for layer in range(len(batch.layers)):
        pairs = [(caches[row].layers[layer], (0, 0, width - len(row.ids), 0)) for row in rows]
        keys = torch.cat([torch.nn.functional.pad(states.keys, left) for states, left in pairs])
        values = torch.cat([torch.nn.functional.pad(states.values, left) for states, left in pairs])
        batch.update(keys, values, layer)  # each (rows, heads, width - 1, head size)
    return batch
