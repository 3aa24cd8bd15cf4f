"""A model of a few numbers, made here, and creates that work with it."""

import torch
import transformers


def tiny_model():
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.LlamaConfig(vocab_size=20, max_position_embeddings=64, **sizes)
    return transformers.LlamaForCausalLM(config)


def generates(**options):
    return lambda self, params: tiny_model().generate(torch.tensor([[1, 2]]), **options)


def loads(**options):
    def create(self, params):
        tiny_model().save_pretrained("tiny")
        return transformers.AutoModelForCausalLM.from_pretrained("tiny", **options)

    return create
