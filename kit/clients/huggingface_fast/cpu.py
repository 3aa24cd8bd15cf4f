"""For CPUs: linear layers with 8-bit weights, and an attention for one new token that is not slow."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    **kwargs: Any,
) -> Any:
    """PyTorch's attention, with the query heads that share a key packed into one, for one new token.

    On a CPU, `enable_gqa` (what transformers 5.23 takes without a mask) is several times slower there in
    bfloat16: 313 µs against 55 µs, for 9 heads over 3 and 700 tokens.
    """
    special = any(kwargs.get(name) is not None for name in ("softcap", "position_bias", "cache"))
    if special or query.shape[2] > 1 or attention_mask is not None or query.dtype == torch.float32:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    batch, heads, _, size = query.shape
    packed = query.reshape(batch, key.shape[1], -1, size)
    output = torch.nn.functional.scaled_dot_product_attention(packed, key, value, scale=kwargs.get("scaling"))
    return output.reshape(batch, 1, heads, -1), None


AttentionInterface.register("sdpa_packed", packed_attention)
AttentionMaskInterface.register("sdpa_packed", sdpa_mask)


class Int8Linear(torch.nn.Module):
    """A linear layer with 8 bits per weight and one scale per output; activations stay as they are."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().to(torch.float32, copy=True)  # embeddings may share the original
        scale = torch.linalg.vector_norm(weight, torch.inf, 1, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("weight", weight.div_(scale).round_().to(torch.int8))
        self.register_buffer("scale", scale.squeeze(1).bfloat16())
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= 24:  # while decoding: PyTorch's own operator, which reads the weights as they are
            y = torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self.scale).to(x.dtype)
        else:  # for a prompt, where that is slower than to widen the weights once
            y = torch.nn.functional.linear(rows, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], -1)


def check(quantization: Any, device: str) -> None:
    """Raise ValueError for a quantization that can't be had on a device."""
    if quantization != "int8" or device != "cpu":
        raise ValueError(
            f"No quantization {quantization!r} on {device!r}: there is 'int8', on 'cpu'. For others load the "
            "model yourself (transformers' quantization_config) and register with loaded_model= and tokenizer=."
        )


def prepare(model: Any, quantization: str | None) -> None:
    """Make a model that was just loaded fast."""
    if quantization:
        to_int8(model)
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation("sdpa_packed")


def to_int8(model: Any) -> None:
    """Give the linear layers 8-bit weights. Other layers, embeddings among them, stay as they are."""
    for name, module in list(model.named_modules()):
        if type(module) is torch.nn.Linear:
            model.set_submodule(name, Int8Linear(module))
    for parameter in model.parameters():  # or the whole file that was loaded stays in memory
        parameter.data = parameter.data.clone()
