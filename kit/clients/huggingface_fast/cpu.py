"""For CPUs: linear layers with weights of 8 or 4 bits, and a faster attention for one new token."""

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

FEW = 24  # rows, up to which the operators for quantized weights are the faster ones
GROUP = 32  # neighbouring weights that share a scale, in 4 bits


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
        if len(rows) <= FEW:  # while decoding
            y = self.multiply(rows.bfloat16().contiguous()).to(x.dtype)
        else:  # for a prompt, where that is slower than to widen the weights once
            y = torch.nn.functional.linear(rows, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], -1)

    def multiply(self, rows: torch.Tensor) -> torch.Tensor:
        """Return a few rows in bfloat16 times the weights, by the operator that reads them as they are."""
        return torch._weight_int8pack_mm(rows, self.weight, self.scale)


class Int4Linear(Int8Linear):
    """A linear layer with 4 bits per weight for new tokens, in groups of 32, and 8 bits for prompts.

    For a prompt, 4 bits would take twice as long to widen as 8 bits do.
    """

    packed: torch.Tensor
    scales: torch.Tensor

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__(linear)
        groups = linear.weight.detach().float().unflatten(1, (-1, GROUP))  # (outputs, groups, 32)
        low, high = groups.aminmax(dim=2, keepdim=True)
        scale = ((high - low) / 15).clamp(min=1e-12).bfloat16()
        middle = (low + 8 * scale.float()).bfloat16()  # the operator adds it to scale * (0..15 - 8)
        levels = ((groups - middle) / scale + 8).round().clamp(0, 15).int().flatten(1)
        self.register_buffer("packed", torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1))
        self.register_buffer("scales", torch.cat([scale, middle], 2).transpose(0, 1).contiguous())

    def multiply(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.packed, GROUP, self.scales.contiguous())

    @staticmethod
    def fits(linear: torch.nn.Linear) -> bool:
        """Return whether the operator takes a layer of this size."""
        return linear.in_features % GROUP == 0 and linear.out_features % 64 == 0


def check(quantization: Any, device: str) -> None:
    """Raise ValueError for a quantization that can't be had on a device."""
    if quantization not in ("int8", "int4") or device != "cpu":
        raise ValueError(
            f"No quantization {quantization!r} on {device!r}: there is 'int8' and 'int4', on 'cpu'. For "
            "others load the model yourself (transformers' quantization_config) and register with "
            "loaded_model= and tokenizer=."
        )


def prepare(model: Any, quantization: str | None) -> None:
    """Make a model that was just loaded fast."""
    if quantization:
        quantize(model, quantization)
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation("sdpa_packed")


def quantize(model: Any, quantization: str) -> None:
    """Give the linear layers weights of 8 bits, or of 4 where their size allows it and they are no head.

    Other layers, embeddings among them, stay as they are.

    Raises:
        ValueError: the model has no such layers, or some that read their weights past `forward`.
    """
    head, kind = model.get_output_embeddings(), type(model).__name__
    layers = {name: module for name, module in model.named_modules() if type(module) is torch.nn.Linear}
    if not any(module is not head for module in layers.values()):
        raise ValueError(f"{kind} has no linear layers to quantize: leave out `quantization`.")
    for name, module in layers.items():
        small = quantization == "int4" and module is not head and Int4Linear.fits(module)
        model.set_submodule(name, Int4Linear(module) if small else Int8Linear(module))
    for parameter in model.parameters():  # or the whole file that was loaded stays in memory
        parameter.data = parameter.data.clone()
    try:
        with torch.inference_mode():
            model(torch.tensor([[0, 1]]), use_cache=False)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"{kind} can't be quantized, because it reads the weights of its layers past them: leave out "
            f"`quantization`. ({str(error).splitlines()[0]})"
        ) from None
