"""The step for one new token: the logits of transformers' own modules, and used only where it has them."""

import copy

import pytest
import torch
from transformers import (
    DynamicCache,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
    StaticCache,
)
from transformers.models.auto import AutoModelForCausalLM

from kit.clients.huggingface_fast import HuggingFaceModelClient, cpu, step

SIZES = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
CONFIGS = {
    "Llama": LlamaConfig(**SIZES),
    "Llama, tied": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "Llama, biases": LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "Llama, one head per key": LlamaConfig(**{**SIZES, "num_key_value_heads": 4}),
    "Llama, YaRN": LlamaConfig(**SIZES, rope_parameters=YARN),
    "Llama, dynamic": LlamaConfig(**{**SIZES, "max_position_embeddings": 16}, rope_parameters=DYNAMIC),
    "Qwen2": Qwen2Config(**SIZES),
    "Qwen3": Qwen3Config(**SIZES),
    "Mistral": MistralConfig(**SIZES, sliding_window=None),
}


def build(config, dtype=torch.float32, quantization=None):
    """A model with random weights, and the same with the step, if it is for it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = AutoModelForCausalLM.from_config(copy.deepcopy(config)).eval()
        for name, weight in plain.named_parameters():  # norms and biases that matter, replies that vary
            weight.data = torch.rand_like(weight) + 0.5 if "norm" in name else torch.randn_like(weight) / 6
    plain.tie_weights()
    plain = plain.to(dtype)
    if quantization:
        cpu.quantize(plain, quantization)
    quick = copy.deepcopy(plain)
    step.install(quick)
    return plain, quick


def generate(model, ids, tokens=30, **options):
    # a prompt of 20 tokens, and as many new ones as asked for
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, **options}
    with torch.inference_mode():
        return model.generate(ids, attention_mask=torch.ones_like(ids), **options)


@pytest.fixture
def prompt():
    return torch.arange(20)[None] * 13 % 290 + 5


@pytest.fixture
def taken(monkeypatch):
    """How many tokens the step has made."""
    counts, real = [], step.Step.__call__

    def count(self, ids, positions, cache):
        counts.append(len(ids))
        return real(self, ids, positions, cache)

    monkeypatch.setattr(step.Step, "__call__", count)
    return counts


@pytest.mark.parametrize("name", CONFIGS)
def test_replies_in_float32_are_token_for_token_those_of_the_modules(name, prompt, taken):
    plain, quick = build(CONFIGS[name])
    taken.clear()
    want = generate(plain, prompt)
    assert want[0, 20:].unique().numel() > 5  # no reply of one word
    assert torch.equal(generate(quick, prompt), want)
    assert taken == [1] * 29  # the first one comes with the prompt


@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Qwen3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("quantization", [None, "int8", "int4"])
def test_logits_are_those_of_the_modules(name, dtype, quantization, prompt, taken):
    plain, quick = build(CONFIGS[name], dtype, quantization)
    taken.clear()
    one, other = DynamicCache(config=plain.config), DynamicCache(config=plain.config)
    with torch.inference_mode():
        assert torch.allclose(
            plain(prompt, past_key_values=one).logits, quick(prompt, past_key_values=other).logits, atol=1e-5
        )  # prompts go through the modules, whose weights are views now
        for position in range(20, 24):
            token = {"input_ids": prompt[:, -1:], "position_ids": torch.tensor([[position]])}
            want = plain(**token, past_key_values=one, use_cache=True).logits.float()
            have = quick(**token, past_key_values=other, use_cache=True).logits.float()
            far = (want - have).norm() / want.norm()
            assert far < (1e-5 if dtype == torch.float32 and not quantization else 0.03)
    assert len(taken) == 4
    for layer, known in zip(other.layers, one.layers, strict=True):
        assert layer.keys.shape == known.keys.shape and layer.values.shape == known.values.shape
        assert torch.allclose(layer.keys, known.keys, atol=0.2)


def test_choices_of_one_prompt_go_through_the_step_together(prompt, taken):
    plain, quick = build(CONFIGS["Qwen3"])
    taken.clear()
    options = {"do_sample": True, "num_return_sequences": 3, "top_k": 50}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        want = generate(plain, prompt, **options)
        torch.manual_seed(1)
        assert torch.equal(generate(quick, prompt, **options), want)
    assert taken == [3] * 29


def test_the_cache_grows_past_its_room_and_can_be_cut(prompt, taken):
    plain, quick = build(CONFIGS["Llama"])
    caches = [DynamicCache(config=plain.config) for _ in range(2)]
    for tokens in (300, 5):  # more than there is room for; then from a cache that was cut
        want, have = (
            generate(model, prompt, tokens, past_key_values=cache)
            for model, cache in zip((plain, quick), caches, strict=True)
        )
        assert torch.equal(want, have)
        for cache in caches:
            cache.crop(-(cache.get_seq_length() - 10))
    assert len(taken) > 300


LATER = {
    "a padded row": {"attention_mask": torch.tensor([[0] * 5 + [1] * 16])},
    "several tokens": {"input_ids": torch.tensor([[5, 6, 7]]), "position_ids": torch.tensor([[20, 21, 22]])},
    "hidden states": {"output_hidden_states": True},
    "a tuple": {"return_dict": False},
    "no cache": {"use_cache": False},
    "embeddings": {"input_ids": None, "inputs_embeds": torch.ones(1, 1, 64)},
}


@pytest.mark.parametrize("name", LATER)
def test_all_other_calls_are_left_to_the_modules(name, prompt, taken):
    plain, quick = build(CONFIGS["Llama"])
    taken.clear()
    token = {"input_ids": prompt[:, :1], "position_ids": torch.tensor([[20]]), "use_cache": True}
    found = []
    with torch.inference_mode():
        for model in (plain, quick):
            cache = DynamicCache(config=model.config)
            model(prompt, past_key_values=cache)
            found.append(model(**{**token, **LATER[name]}, past_key_values=cache))
    want, have = (one[0] if isinstance(one, tuple) else one.logits for one in found)
    assert torch.allclose(want, have, atol=1e-5)
    assert taken == []


def test_another_kind_of_cache_and_a_call_with_gradients_are_left_to_the_modules(prompt, taken):
    plain, quick = build(CONFIGS["Llama"])
    taken.clear()
    static = [StaticCache(config=plain.config, max_cache_len=64) for _ in range(2)]
    want, have = (
        generate(model, prompt, 5, past_key_values=cache)
        for model, cache in zip((plain, quick), static, strict=True)
    )
    assert torch.equal(want, have)
    cache = DynamicCache(config=plain.config)
    token = {"input_ids": prompt[:, :1], "position_ids": torch.tensor([[20]]), "use_cache": True}
    quick(prompt, past_key_values=cache)
    assert quick(**token, past_key_values=cache).logits.requires_grad
    assert taken == []


OTHERS = {
    "another architecture": GPT2Config(vocab_size=300, n_embd=64, n_layer=1, n_head=2),
    "a sliding window": MistralConfig(**SIZES, sliding_window=16),
    "another activation": LlamaConfig(**SIZES, hidden_act="gelu"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_of_another_kind_keeps_its_modules(name, prompt, taken):
    plain, quick = build(OTHERS[name])
    assert type(quick).forward is type(plain).forward
    assert torch.equal(generate(quick, prompt), generate(plain, prompt))
    assert taken == []


def test_a_step_that_disagrees_is_not_used(monkeypatch, prompt):
    real = step.Step.__call__
    monkeypatch.setattr(step.Step, "__call__", lambda *args: real(*args) * 1.1)
    plain, quick = build(CONFIGS["Llama"])
    assert torch.equal(generate(quick, prompt), generate(plain, prompt))


@pytest.mark.parametrize("change", ["a new weight", "a new layer", "a copy"])
def test_a_model_that_was_changed_is_no_longer_stepped(change, prompt):
    plain, quick = build(CONFIGS["Llama"])
    quick = copy.deepcopy(quick) if change == "a copy" else quick
    for model in (plain, quick):
        at = model.model.layers[0].self_attn
        if change == "a new layer":
            at.q_proj = torch.nn.Sequential(at.q_proj, torch.nn.LayerNorm(128))
        elif change == "a new weight":
            at.q_proj.weight = torch.nn.Parameter(at.q_proj.weight.detach() * -3)
        else:
            at.q_proj.weight.data.mul_(-3)
    assert torch.equal(generate(quick, prompt), generate(plain, prompt))


@pytest.mark.parametrize("quantization", [None, "int8", "int4"])
def test_the_weights_are_there_once(quantization):
    def storages(*tensors):
        return {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}

    plain, quick = build(CONFIGS["Qwen2"], quantization=quantization)
    before, after = (storages(*model.parameters(), *model.buffers()) for model in (plain, quick))
    assert sum(after.values()) == sum(before.values())
    at = quick.model.layers[0].self_attn
    assert len(storages(at.q_proj.weight, at.k_proj.weight, at.v_proj.weight)) == 1  # views of one


def test_a_client_loads_it_and_remembers_what_it_computed(tiny_folder, tiny, taken):
    client = HuggingFaceModelClient({"model": str(tiny_folder), "device": "cpu", "dtype": "float32"})
    alone = HuggingFaceModelClient({"model": "alone", "prefix_cache": 0}, *tiny)
    taken.clear()
    messages = [{"role": "user", "content": "Hi"}]
    for _ in range(3):
        want, have = (one.create({"messages": messages, "max_tokens": 8}) for one in (alone, client))
        text = have.choices[0].message.content
        assert text == want.choices[0].message.content
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "And?"}]
    assert have.usage.prompt_tokens_details.cached_tokens > 15
    assert len(taken) == 3 * 7
    HuggingFaceModelClient.unload()


def test_an_exception_in_the_middle_of_a_reply_leaves_the_next_one_as_it_was(tiny_folder, taken):
    def fail(piece):
        raise KeyboardInterrupt

    entry = {"model": str(tiny_folder), "device": "cpu", "dtype": "float32", "max_tokens": 8}
    call = {"messages": [{"role": "user", "content": "Hi"}]}
    client = HuggingFaceModelClient(entry)
    want = client.create(call).choices[0].message.content
    with pytest.raises(KeyboardInterrupt):
        HuggingFaceModelClient(entry, on_text=fail).create(call)
    assert client.create(call).choices[0].message.content == want
    HuggingFaceModelClient.unload()
