"""Requests that are computed together; test_engine.py has the real model in them."""

import asyncio
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.generation.continuous_batching import input_outputs

from kit.classroom.batches import Batches, on_the_same_weights

TINY = LlamaConfig(
    vocab_size=64,
    hidden_size=16,
    intermediate_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    eos_token_id=0,
    pad_token_id=0,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = LlamaForCausalLM(TINY).eval()
    model.lm_head.weight.data *= 500  # at random, they would all be close to each other
    return model


def test_a_copy_has_the_same_weights_and_settings_of_its_own(model):
    copy = on_the_same_weights(model)
    for one, other in zip(model.parameters(), copy.parameters(), strict=True):
        assert one.data_ptr() == other.data_ptr()
    assert copy.config is not model.config


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_on_the_cpu_nothing_is_pinned_since_a_macs_torch_puts_that_on_its_gpu(device, model, monkeypatch):
    monkeypatch.setattr(input_outputs, "get_available_devices", lambda: frozenset({"cpu", "mps"}))
    manager = SimpleNamespace(warmup=lambda: None, start=lambda: None, cancel_request=None)
    monkeypatch.setattr(LlamaForCausalLM, "init_continuous_batching", lambda *_, **__: manager)
    Batches(model.to(torch.device(device)), False, 1.0, 1024, 32, asyncio.new_event_loop())
    assert len(input_outputs.get_available_devices()) == (1 if device == "cpu" else 2)


def computed(model, sampled, *requests, read=lambda tokens: None):
    """Return the replies to prompts with their options; `read` is told how many tokens each step reads."""

    async def compute():
        batches = Batches(model, sampled, 1.0, 4096, 32, asyncio.get_running_loop())
        batches.model.get_input_embeddings().register_forward_hook(lambda _, args, __: read(args[0].numel()))
        client = SimpleNamespace(gone=SimpleNamespace(is_set=lambda: False))

        def one(prompt, options):
            options = {"max_new_tokens": 6, "do_sample": sampled, **options}
            return batches.compute(client, SimpleNamespace(ids=prompt, options=options, streamer=None))

        try:
            return await asyncio.gather(*(asyncio.to_thread(one, *request) for request in requests))
        finally:
            batches.stop()

    return asyncio.run(compute())


def ids(model, sampled, *temperatures):
    """Let the batches compute one prompt, once for each temperature, and return the replies."""
    return computed(model, sampled, *(([5, 6, 7], {"temperature": each}) for each in temperatures))


def test_beside_a_short_prompt_each_slice_of_a_long_one_is_read_once(model):
    read = []
    model.generation_config.eos_token_id = None  # so that the short reply is as long as it may be
    long = [1 + number % 63 for number in range(1000)]
    short, reply = computed(model, False, ([5, 6, 7], {"max_new_tokens": 400}), (long, {}), read=read.append)
    assert len(short) == 400 and sum(read) < 1000 + 400 + 200
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    assert reply == model.generate(torch.tensor([long]), **options)[0, 1000:].tolist()


def test_without_drawing_all_get_the_likeliest_tokens(model):
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    wanted = model.generate(torch.tensor([[5, 6, 7]]), **options)[0, 3:].tolist()
    assert ids(model, False, None, None) == [wanted, wanted]


def test_each_draws_with_its_own_temperature_and_none_can_break_the_others(model):
    first, second, *hot = ids(model, True, 1e-30, 1e-30, *[1e308] * 4)
    assert first == second
    assert len({tuple(row) for row in hot}) > 1
