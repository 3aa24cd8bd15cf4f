"""One new token without the overhead of modules: a forward written out for layers of Llama's kind.

A small model on a CPU spends much of a token's time between its operators. `generate` stays as it is: only
the forward of a single token is replaced, and only in a model where it gives the modules' logits.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

import torch
import transformers
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import CausalLMOutputWithPast

from .cpu import FEW, Int4Linear, Int8Linear

KINDS = [getattr(transformers, f"{name}ForCausalLM") for name in ("Llama", "Mistral", "Qwen2", "Qwen3")]
ROOM = 256  # tokens by which a cache grows at once


def install(model: Any) -> None:
    """Give a model that was just loaded the step, if it is of a known kind and the step agrees with it."""
    config, kind = model.config, type(model)
    whole = all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)  # no window
    if kind not in KINDS or config.hidden_act != "silu" or not whole or not (linears := _linears(model)):
        return
    step = Step(model, linears)
    if not _agree(model, step):
        return

    @functools.wraps(kind.forward)  # `generate` looks at the names of its arguments
    def forward(self: Any, *args: Any, **inputs: Any) -> Any:
        if args or not self.step or not self.step.takes(self, inputs):
            return kind.forward(self, *args, **inputs)
        cache = inputs["past_key_values"]
        logits = self.step(inputs["input_ids"], inputs["position_ids"], cache)
        return CausalLMOutputWithPast(logits=logits, past_key_values=cache)

    model.step = step
    model.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


class Step:
    """The forward of one new token per row."""

    def __init__(self, model: Any, linears: list[Any]) -> None:
        self.eps, self.embedding = model.config.rms_norm_eps, model.model.embed_tokens.weight
        self.rotary, self.norm = model.model.rotary_emb, model.model.norm.weight
        self.head = _call(linears[0], model.dtype)
        self.heads, self.groups = model.config.num_attention_heads, model.config.num_key_value_heads
        self.layers = []
        for layer in model.model.layers:
            at, mlp, scales = layer.self_attn, layer.mlp, None
            if hasattr(at, "q_norm"):  # Qwen3: (query and key heads, head size)
                pair = ((at.q_norm, self.heads), (at.k_norm, self.groups))
                scales = torch.cat([norm.weight.detach().expand(count, -1) for norm, count in pair])
            qkv, gate_up = _fuse([at.q_proj, at.k_proj, at.v_proj]), _fuse([mlp.gate_proj, mlp.up_proj])
            calls = [_call(one, model.dtype) for one in (qkv, at.o_proj, gate_up, mlp.down_proj)]
            norms = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
            self.layers.append((*norms, scales, at.scaling, *calls))
        self.weights = _weights(linears)

    def __deepcopy__(self, memo: Any) -> None:
        """Nothing: in a copy of the model, the weights are no longer views of these."""

    def takes(self, model: Any, inputs: Any) -> bool:
        """Return whether a call is for one new token, in the way that `generate` asks for it."""
        read = ("input_ids", "position_ids", "past_key_values", "attention_mask")
        ids, positions, cache, mask = (inputs.get(name) for name in read)
        known, config = {*read, "use_cache", "return_dict", "logits_to_keep", "tokenizer"}, model.config
        return (
            all(name in known or value is None for name, value in inputs.items())
            and not (ids is None or ids.shape[1] != 1 or len(ids) > FEW)
            and not (positions is None or positions.shape != ids.shape)
            and type(cache) is DynamicCache
            and bool(length := cache.get_seq_length())
            and all(type(layer) is DynamicLayer for layer in cache.layers)
            and (mask is None or (mask.shape == (len(ids), length + 1) and bool(mask.all())))
            and bool(inputs.get("use_cache") and inputs.get("return_dict", True))
            and not (config.output_attentions or config.output_hidden_states)
            and not (cache.offloading or model.training or torch.is_grad_enabled())
            # At the first step with a cache: are the weights still these?
            and (hasattr(cache.layers[0], "room") or self.weights == _weights(_linears(model)))
        )

    def __call__(self, ids: torch.Tensor, positions: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """Return the logits, (rows, 1, vocabulary), of ids at positions, both (rows, 1); the cache grows."""
        x = embedding(ids[:, 0], self.embedding)
        (rows, size), turned = x.shape, self.heads + self.groups
        cos, sin = self.rotary(x, positions)  # (rows, 1, head size)
        first, second = sin.chunk(2, -1)
        half, sin = first.shape[-1], torch.cat([-first, second], -1)
        for weights, layer in zip(self.layers, cache.layers, strict=True):
            inner, outer, scales, scaling, qkv, out, gate_up, down = weights
            heads = qkv(rms_norm(x, (size,), inner, self.eps)).view(rows, turned + self.groups, 2 * half)
            query = heads[:, :turned]
            if scales is not None:
                query = rms_norm(query, (2 * half,), None, self.eps) * scales
            query = (query * cos).addcmul_(query.roll(half, -1), sin)
            keys, values = _grow(layer, query[:, self.heads :], heads[:, turned:])
            query = query[:, : self.heads].view(rows, self.groups, -1, 2 * half)  # as packed_attention does
            mixed = scaled_dot_product_attention(query, keys, values, scale=scaling)
            x = x + out(mixed.reshape(rows, -1))
            gate, up = gate_up(rms_norm(x, (size,), outer, self.eps)).chunk(2, -1)
            x = x + down(silu(gate).mul_(up))
        return self.head(rms_norm(x, (size,), self.norm, self.eps))[:, None]


def _grow(layer: Any, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Add a token, each (rows, heads, head size), to a layer of a cache, in place where there is room."""
    rows, heads, length, size = layer.keys.shape
    space, keys, values = getattr(layer, "room", (layer.keys, None, None))
    if layer.keys is not keys or layer.values is not values or length == space.shape[3]:
        space = layer.keys.new_empty(2, rows, heads, length + ROOM, size)
        space[0, :, :, :length], space[1, :, :, :length] = layer.keys, layer.values
    space[0, :, :, length], space[1, :, :, length] = key, value
    layer.keys, layer.values = space.narrow(3, 0, length + 1).unbind()
    layer.room = space, layer.keys, layer.values
    return layer.keys, layer.values


def _linears(model: Any) -> list[Any]:
    """Return the linear layers, the head first; none if some are of a kind that the step does not know."""
    names = ["self_attn." + part for part in ("q_proj", "k_proj", "v_proj", "o_proj")]
    names += ["mlp." + part for part in ("gate_proj", "up_proj", "down_proj")]
    layers = [layer.get_submodule(name) for layer in model.model.layers for name in names]
    known = (torch.nn.Linear, Int8Linear, Int4Linear)
    layers.insert(0, model.lm_head)
    return layers if all(type(layer) in known for layer in layers) else []


def _weights(linears: list[Any]) -> list[tuple[int, int]]:
    """Return what tells whether layers have the weights that they had, and where these lie."""
    return [(id(one.weight), one.weight.data_ptr()) for one in linears]


def _fuse(parts: list[Any]) -> Any:
    """Return one linear layer in place of several with the same input; their weights become views of it."""
    whole = copy.deepcopy(parts[0])
    for name, _ in [*whole.named_parameters(), *whole.named_buffers()]:
        tensors, dim = [getattr(part, name) for part in parts], 1 if name == "scales" else 0
        fused = getattr(whole, name).data = torch.cat([tensor.data for tensor in tensors], dim)
        for tensor, view in zip(tensors, fused.split([one.shape[dim] for one in tensors], dim), strict=True):
            tensor.data = view
    return whole


def _call(layer: Any, dtype: torch.dtype) -> Any:
    """Return the shortest way to call a linear layer for a few rows of a dtype."""
    if type(layer) is torch.nn.Linear:
        return functools.partial(linear, weight=layer.weight, bias=layer.bias)
    return layer.multiply if layer.bias is None and dtype == torch.bfloat16 else layer.forward


@torch.inference_mode()
def _agree(model: Any, step: Step) -> bool:
    """Return whether the step gives the modules' logits for a few tokens, but for rounding."""
    exact = model.dtype == torch.float32 and type(model.lm_head) is torch.nn.Linear
    ids, one = torch.arange(1, 9)[None] * 997 % model.config.vocab_size, DynamicCache(config=model.config)
    model(ids[:, :4], past_key_values=one)
    other = copy.deepcopy(one)
    for index in range(4, 8):
        token, position = ids[:, index : index + 1], torch.tensor([[index]])
        want = model(token, position_ids=position, past_key_values=one).logits.float()
        if not (step(token, position, other).float() - want).norm() < (1e-4 if exact else 0.05) * want.norm():
            return False
    return True
