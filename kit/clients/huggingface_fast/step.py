"""One new token without the overhead of modules: a forward written out for layers of Llama's kind.

A small model on a CPU spends much of a token's time between its operators. `generate` stays as it is; only
the forward of a single token is replaced, where its numbers are those of the modules.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu
from transformers import (
    DynamicCache,
    LlamaForCausalLM,
    MistralForCausalLM,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import CausalLMOutputWithPast

from .cpu import FEW, Int4Linear, Int8Linear

KINDS = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)
LINEAR = (torch.nn.Linear, Int8Linear, Int4Linear)
ROOM = 256  # tokens by which a cache grows at once


def install(model: Any) -> None:
    """Give a model the step if it is of a known kind, and if the step gives the logits of the modules."""
    config, kind = model.config, type(model)
    layers = DynamicCache(config=config).layers
    plain = kind in KINDS and config.hidden_act == "silu" and all(type(one) is DynamicLayer for one in layers)
    if not plain or any(type(part) not in LINEAR for part in _linears(model)):
        return
    step = Step(model)
    if not _agree(model, step):
        return

    @functools.wraps(kind.forward)  # `generate` looks at the names of its arguments
    def forward(self: Any, *args: Any, **inputs: Any) -> Any:
        if not args and self.step and self.step.takes(self, inputs):
            cache = inputs["past_key_values"]
            return CausalLMOutputWithPast(
                logits=self.step(inputs["input_ids"], inputs["position_ids"], cache), past_key_values=cache
            )
        return kind.forward(self, *args, **inputs)

    model.step = step
    model.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


class Step:
    """The forward of one new token per row."""

    def __init__(self, model: Any) -> None:
        config, base = model.config, model.model
        self.eps, self.rotary, self.norm = config.rms_norm_eps, base.rotary_emb, base.norm.weight
        self.embedding, self.head = base.embed_tokens.weight, _call(model.lm_head)
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.layers = []
        for layer in base.layers:
            at, mlp, norms = layer.self_attn, layer.mlp, None
            if hasattr(at, "q_norm"):  # Qwen3: (heads that are turned, head size)
                pair = ((at.q_norm, self.heads), (at.k_norm, self.groups))
                norms = torch.cat([norm.weight.detach().expand(count, -1) for norm, count in pair])
            qkv, gate_up = _fuse([at.q_proj, at.k_proj, at.v_proj]), _fuse([mlp.gate_proj, mlp.up_proj])
            inner, outer = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
            calls = [_call(one) for one in (qkv, at.o_proj, gate_up, mlp.down_proj)]
            self.layers.append((inner, outer, norms, at.scaling, *calls))
        self.weights = [part.weight for part in _linears(model)]

    def __deepcopy__(self, memo: Any) -> None:
        """A copy of the model goes without: its weights are no longer views of these."""

    def takes(self, model: Any, inputs: dict[str, Any]) -> bool:
        """Return whether a call is for one new token, in the way that `generate` asks for it."""
        given = {name for name, value in inputs.items() if value is not None}
        names = {"input_ids", "position_ids", "past_key_values", "use_cache"}
        harmless = {"attention_mask", "return_dict", "logits_to_keep", "tokenizer"}
        cache, ids, mask = (inputs.get(name) for name in ("past_key_values", "input_ids", "attention_mask"))
        if not names <= given <= names | harmless:
            return False
        if ids.shape[1] != 1 or len(ids) > FEW or type(cache) is not DynamicCache or cache.offloading:
            return False
        length = cache.get_seq_length()
        return bool(
            length
            and all(type(layer) is DynamicLayer for layer in cache.layers)
            and inputs["use_cache"] is True
            and inputs.get("return_dict", True)
            and not (torch.is_grad_enabled() or model.training)
            and not (model.config.output_attentions or model.config.output_hidden_states)
            and inputs["position_ids"].shape == ids.shape
            and (mask is None or (mask.shape == (len(ids), length + 1) and mask.all()))
            # A cache has room of its own from its first step on: time to see if the weights are still these.
            and (hasattr(cache.layers[0], "room") or self._holds(model))
        )

    def _holds(self, model: Any) -> bool:
        parts = _linears(model)
        return all(type(part) in LINEAR for part in parts) and all(
            part.weight is weight for part, weight in zip(parts, self.weights, strict=True)
        )

    def __call__(self, ids: torch.Tensor, positions: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """Return the logits, (rows, 1, vocabulary), of ids at positions, both (rows, 1); the cache grows."""
        x = embedding(ids[:, 0], self.embedding)  # (rows, size)
        (rows, size), turned = x.shape, self.heads + self.groups
        cos, sin = self.rotary(x, positions)  # (rows, 1, head size)
        sin = torch.cat([-sin[..., : sin.shape[-1] // 2], sin[..., sin.shape[-1] // 2 :]], -1)
        half = sin.shape[-1] // 2
        for weights, layer in zip(self.layers, cache.layers, strict=True):
            inner, outer, norms, scaling, qkv, out, gate_up, down = weights
            heads = qkv(rms_norm(x, (size,), inner, self.eps)).view(rows, turned + self.groups, -1)
            query = heads[:, :turned]
            if norms is not None:
                query = rms_norm(query, query.shape[-1:], None, self.eps) * norms
            query = (query * cos).addcmul_(query.roll(half, -1), sin)
            keys, values = _grow(layer, query[:, self.heads :], heads[:, turned:])
            query = query[:, : self.heads].view(rows, self.groups, -1, 2 * half)
            mixed = scaled_dot_product_attention(query, keys, values, scale=scaling)
            x = x + out(mixed.reshape(rows, -1))
            gate, up = gate_up(rms_norm(x, (size,), outer, self.eps)).chunk(2, -1)
            x = x + down(silu(gate).mul_(up))
        return self.head(rms_norm(x, (size,), self.norm, self.eps))[:, None]


def _grow(layer: Any, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Add a token, each (rows, heads, head size), to a layer of a cache, in place where there is room."""
    length, room = layer.keys.shape[2], getattr(layer, "room", None)
    if room is None or layer.keys is not room[1] or layer.values is not room[2] or length == room[0].shape[3]:
        rows, heads, _, size = layer.keys.shape
        space = layer.keys.new_empty(2, rows, heads, length + ROOM, size)
        space[0, :, :, :length], space[1, :, :, :length] = layer.keys, layer.values
    else:
        space = room[0]
    space[0, :, :, length], space[1, :, :, length] = key, value
    layer.keys, layer.values = space.narrow(3, 0, length + 1).unbind()
    layer.room = space, layer.keys, layer.values
    return layer.keys, layer.values


def _linears(model: Any) -> list[Any]:
    """Return the layers whose weights the step reads."""
    parts = [model.lm_head]
    for layer in model.model.layers:
        at, mlp = layer.self_attn, layer.mlp
        parts += [at.q_proj, at.k_proj, at.v_proj, at.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj]
    return parts


def _fuse(parts: list[Any]) -> Any:
    """Return one linear layer in place of several with the same input; their weights become views of its."""
    whole = copy.deepcopy(parts[0])
    for name, _ in [*whole.named_parameters(), *whole.named_buffers()]:
        tensors, dim = [getattr(part, name) for part in parts], 1 if name == "scales" else 0
        fused = torch.cat([tensor.data for tensor in tensors], dim)
        getattr(whole, name).data = fused
        sizes = [tensor.shape[dim] for tensor in tensors]
        for tensor, view in zip(tensors, fused.split(sizes, dim), strict=True):
            tensor.data = view
    return whole


def _call(layer: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the shortest way to call a linear layer for few rows."""
    if type(layer) is torch.nn.Linear:
        return functools.partial(linear, weight=layer.weight, bias=layer.bias)
    return layer.forward


@torch.inference_mode()
def _agree(model: Any, step: Step) -> bool:
    """Return whether the step gives the modules' logits, but for rounding, for a few tokens."""
    exact = model.dtype == torch.float32 and type(model.lm_head) is torch.nn.Linear
    ids = torch.arange(1, 9)[None] * 997 % model.config.vocab_size
    one, other = DynamicCache(config=model.config), DynamicCache(config=model.config)
    for cache in (one, other):
        model(ids[:, :4], past_key_values=cache)
    for index in range(4, 8):
        token, position = ids[:, index : index + 1], torch.tensor([[index]])
        want = model(token, position_ids=position, past_key_values=one).logits.float()
        if not (step(token, position, other).float() - want).norm() < (1e-4 if exact else 0.05) * want.norm():
            return False
    return True
