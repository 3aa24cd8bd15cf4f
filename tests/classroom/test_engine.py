"""The engine of a class, with the real model: what is computed together, and what one by one."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest
from transformers import LlamaConfig, MambaConfig, MambaForCausalLM

from kit.classroom.engine import Engine
from kit.classroom.request import Refused, Rules
from kit.clients.huggingface_fast import HuggingFaceModelClient

RULES = Rules("class-1", "class-model", max_tokens=64, max_prompt_tokens=2048)
GREEDY = {"temperature": 0.0, "top_p": 1.0}
CACHE = (32 * 200, 32)  # tokens, and tokens in a block
JAPAN = [{"role": "user", "content": "What is the capital of Japan?"}]  # no token of the reply is a near tie
FOX = [{"role": "user", "content": "Invent a name for a fox."}]
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


@pytest.fixture(scope="module")
def engine(local_model_folder):
    HuggingFaceModelClient(
        {"model": local_model_folder, "device": "cpu"}
    )  # prepares its model; a class's is none of it
    return Engine(Path(local_model_folder), "cpu", "auto", GREEDY, RULES, CACHE)


@contextlib.asynccontextmanager
async def running(engine):
    engine.start()
    try:
        yield
    finally:
        engine.stop()


async def reply(engine, **fields):
    """Return the response, and the pieces that came before it."""
    pieces, response = [], None
    async for kind, item in engine.ask("class-model", {"messages": JAPAN, "max_tokens": 16, **fields}):
        if kind == "response":
            response = item
        else:
            pieces.append((kind, item))
    return response, pieces


def together(engine, *requests):
    """Answer requests that come at the same moment."""

    async def ask():
        async with running(engine):
            return await asyncio.gather(*(reply(engine, **fields) for fields in requests))

    return asyncio.run(ask())


def text(answer):
    return answer[0].choices[0].message.content


def test_a_reply_comes_in_pieces_that_join_to_it(engine):
    [(response, pieces)] = together(engine, {})
    assert response.choices[0].message.content == "The capital of Japan is Tokyo."
    assert "".join(piece for _, piece in pieces) == "The capital of Japan is Tokyo."
    assert (response.model, response.choices[0].finish_reason) == ("class-model", "stop")
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (37, 8)


def test_a_limit_and_a_stop_string_count_for_their_own_request(engine):
    cut, stopped, whole = together(engine, {"max_tokens": 3}, {"stop": [" Japan"]}, {})
    assert (text(cut), cut[0].choices[0].finish_reason) == ("The capital of", "length")
    assert (text(stopped), stopped[0].choices[0].finish_reason) == ("The capital of", "stop")
    assert "".join(piece for _, piece in stopped[1]) == "The capital of"
    assert "Tokyo" in text(whole)


def test_a_temperature_of_ones_own_changes_nobody_elses_reply(engine):
    warm = [{"messages": FOX, "temperature": 1.0}] * 4
    *foxes, greedy, cold = together(engine, *warm, {}, {"temperature": 1e-9})
    assert len({text(fox) for fox in foxes}) > 1
    assert text(greedy) == text(cold) == "The capital of Japan is Tokyo."


def test_requests_with_a_temperature_are_computed_together(engine, monkeypatch):
    monkeypatch.setattr(type(engine), "wrote", None)  # one by one
    [(response, _)] = together(engine, {"temperature": 0.7})
    assert response.usage.completion_tokens > 0


def test_a_seed_gives_the_same_reply_again_whatever_goes_on_beside_it(engine):
    own = {"messages": FOX, "temperature": 1.0, "seed": 7}
    beside = [{"messages": FOX, "temperature": 1.0, "max_tokens": 60}] * 2
    first, again, other, greedy, *_ = together(engine, own, own, {**own, "seed": 8}, {}, *beside)
    assert text(first) == text(again) != text(other)
    assert text(greedy) == "The capital of Japan is Tokyo."


def test_a_seed_without_a_temperature_changes_nothing_and_goes_with_the_others(engine):
    seeded, plain = together(engine, {"seed": 3}, {})
    assert text(seeded) == text(plain)


def test_a_schema_several_choices_and_tools_work_though_a_batch_cannot_do_them(engine):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema}}
    fitted, three, called = together(
        engine,
        {"response_format": wanted},
        {"n": 3, "temperature": 1.0, "seed": 1},
        {"tools": [ADD], "tool_choice": "required", "max_tokens": 40},
    )
    assert text(fitted).startswith('{"n": ')
    assert len(three[0].choices) == 3
    [call] = called[0].choices[0].message.tool_calls
    assert (call.function.name, called[0].choices[0].finish_reason) == ("add", "tool_calls")


def test_with_a_temperature_for_everybody_a_request_may_still_have_none(local_model_folder):
    warm = Engine(Path(local_model_folder), "cpu", "auto", {"temperature": 1.0, "top_p": 1.0}, RULES, CACHE)
    *foxes, cold = together(warm, *[{"messages": FOX}] * 3, {"temperature": 0})
    assert len({text(fox) for fox in foxes}) > 1
    assert text(cold) == "The capital of Japan is Tokyo."


@pytest.mark.parametrize(
    ("fields", "error", "part"),
    [
        ({"messages": [{"role": "user", "content": "word " * 2100}]}, Refused, "and 2,048 are allowed"),
        (
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": 3}] * 2, "n": 2},
            ValueError,
            "same text",
        ),
        ({"response_format": {"type": "json_schema"}}, ValueError, "response_format"),
        ({"tools": [ADD], "tool_choice": {"function": {"name": "sub"}}}, ValueError, "add"),
        ({"stop": 3}, ValueError, "stop"),
        ({"temperature": "hot"}, ValueError, "temperature"),
        ({"seed": 2**70}, ValueError, "seed"),
        ({"chat_template_kwargs": {"tokenize": False}}, ValueError, "chat template"),
    ],
)
def test_what_cannot_be_is_said_and_harms_nobody(engine, fields, error, part):
    async def ask():
        async with running(engine):
            with pytest.raises(error, match=part):
                await reply(engine, **fields)
            return text(await reply(engine))

    assert asyncio.run(ask()) == "The capital of Japan is Tokyo."


@pytest.mark.parametrize("fields", [{}, {"temperature": 1.0}])
def test_a_reply_that_nobody_waits_for_is_no_longer_computed(engine, fields):
    async def leave():
        async with running(engine):
            asking = engine.ask("class-model", {"messages": FOX, "max_tokens": 2000, **fields})
            async for _ in asking:
                break
            await asking.aclose()
            await asyncio.sleep(1)
            before = time.process_time()
            await asyncio.sleep(1)
            return time.process_time() - before

    assert asyncio.run(leave()) < 0.3


# Models without attention, and devices


def save(model, folder, tokenizer_of):
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((Path(tokenizer_of) / name).read_bytes())
    return folder


def test_a_model_with_a_state_is_served_one_by_one(local_model_folder, tmp_path):
    config = MambaConfig(
        vocab_size=49152, hidden_size=32, num_hidden_layers=2, eos_token_id=2, pad_token_id=2
    )
    folder = save(MambaForCausalLM(config), tmp_path / "mamba", local_model_folder)
    mamba = Engine(folder, "cpu", "auto", GREEDY, RULES, CACHE)
    [(response, _)] = together(mamba, {"max_tokens": 4})
    assert response.usage.completion_tokens == 4
    assert mamba.cache is None


def test_the_model_is_loaded_as_the_client_loads_it(tmp_path):
    (tmp_path / "config.json").write_text(LlamaConfig().to_json_string())
    with pytest.raises(ValueError, match="Can't load"):
        Engine(tmp_path, "cpu", "auto", GREEDY, RULES, CACHE)
