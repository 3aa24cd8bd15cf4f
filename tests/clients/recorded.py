"""Tiny models for tests: their configuration, and one that gives recorded replies."""

from transformers import LlamaConfig, LlamaForCausalLM


def tiny_config(tokenizer, **fields):
    """The configuration of a Llama with one small layer, for the vocabulary of a tokenizer."""
    tokens = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaConfig(**{"vocab_size": len(tokenizer), **sizes, **tokens, **fields})


class Recorded(LlamaForCausalLM):
    """A tiny model that gives one recorded reply after the other, and keeps the prompts."""

    def generate(self, **inputs):
        self.prompts.append(inputs["input_ids"][0].tolist())
        self.reply, self.said = self.replies.pop(0), 0
        return super().generate(**inputs)

    def forward(self, *args, **inputs):
        output = super().forward(*args, **inputs)
        output.logits[:] = -1000.0
        output.logits[:, -1, self.reply[min(self.said, len(self.reply) - 1)]] = 1000.0
        self.said += 1
        return output
