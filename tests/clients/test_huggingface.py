"""HuggingFaceModelClient answering: texts, token counts and choices, most of them of the real model."""

import copy
import threading

import pytest
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from kit.clients import huggingface as plain
from kit.clients.huggingface_fast import HuggingFaceModelClient

CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
COUNT = [{"role": "user", "content": "Count from 1 to 10, separated by commas."}]


@pytest.fixture
def client(real):
    """A client of the real model with a bare entry."""
    model, tokenizer = real
    return HuggingFaceModelClient({"model": "smol"}, loaded_model=model, tokenizer=tokenizer)


def plain_generate(client, messages, **options):
    """The rows of new tokens and the prompt's length that transformers alone gives for these messages."""
    text = client.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = client.tokenizer(text, return_tensors="pt", add_special_tokens=False)
    rows = client.model.generate(**prompt, **options)
    length = prompt["input_ids"].shape[1]
    return rows[:, length:].tolist(), length


def text_of(response):
    return response.choices[0].message.content


def tokens_of(client, response):
    """The tokens of the first choice's text."""
    return client.tokenizer(text_of(response), add_special_tokens=False)["input_ids"]


# In an agent --------------------------------------------------------------------------------------


def test_an_agent_knows_the_capital_of_france(agent, local_model_folder):
    entry = {"model": local_model_folder, "device": "cpu", "max_tokens": 20, "temperature": 0}
    assert "Paris" in agent(HuggingFaceModelClient, entry).generate_reply(CAPITAL)


def test_the_blogs_entry_works_and_max_length_means_new_tokens(agent, local_model_folder):
    entry = {"model": local_model_folder, "device": "cpu", "n": 1, "params": {"max_length": 5}}
    bot = agent(HuggingFaceModelClient, entry)
    bot.generate_reply(COUNT)
    used = bot.get_total_usage()[local_model_folder]
    assert (used["prompt_tokens"] > 5, used["completion_tokens"]) == (True, 5)


def test_two_agents_talk_and_the_usage_adds_up(agent, tiny):
    model, tokenizer = tiny
    entry = {"model": "tiny", "max_tokens": 4, "price": [1, 10]}
    one, two = (
        agent(HuggingFaceModelClient, entry, name=name, loaded_model=model, tokenizer=tokenizer)
        for name in ("one", "two")
    )
    chat = one.initiate_chat(two, message="Hi", max_turns=2)
    assert len(chat.chat_history) == 4
    used = two.get_total_usage()["tiny"]
    assert used["completion_tokens"] == 8
    assert used["cost"] == pytest.approx((used["prompt_tokens"] * 1 + 8 * 10) / 1000)


# The text and its tokens --------------------------------------------------------------------------


def test_a_greedy_answer_is_what_plain_generate_gives(client):
    response = client.create({"messages": CAPITAL, "temperature": 0, "max_tokens": 20})
    [row], prompt_tokens = plain_generate(client, CAPITAL, do_sample=False, max_new_tokens=20)
    assert text_of(response) == client.tokenizer.decode(row, skip_special_tokens=True)
    usage = response.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (prompt_tokens, len(row))
    assert usage.total_tokens == prompt_tokens + len(row)


TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (plain.HuggingFaceModelClient, {}),
        (HuggingFaceModelClient, {}),
        (HuggingFaceModelClient, {"tools": [TOOL], "tool_choice": "required"}),
        (HuggingFaceModelClient, {"response_format": {"type": "object"}}),
    ],
)
def test_prompt_is_what_create_reads(real, cls, options):
    model, tokenizer = real
    client = cls({"model": "smol", "max_tokens": 30}, loaded_model=model, tokenizer=tokenizer)
    params = {"messages": [{"role": "system", "content": "Be brief."}, *CAPITAL], **options}
    prompt = client.prompt(params)
    assert "<|im_start|>system\nBe brief." in tokenizer.decode(prompt) or "tools" in options
    assert len(prompt) == client.create(params).usage.prompt_tokens


def test_the_end_token_is_counted_but_not_shown(client):
    response = client.create({"messages": CAPITAL, "temperature": 0, "max_tokens": 20})
    [row], _ = plain_generate(client, CAPITAL, do_sample=False, max_new_tokens=20)
    assert client.tokenizer.decode(row).endswith("<|im_end|>")
    assert response.usage.completion_tokens == len(tokens_of(client, response)) + 1
    assert "<|" not in text_of(response)


def test_finish_reason_tells_an_end_from_a_limit(client):
    complete = client.create({"messages": CAPITAL, "temperature": 0, "max_tokens": 20})
    needed = complete.usage.completion_tokens
    just_enough = client.create({"messages": CAPITAL, "temperature": 0, "max_tokens": needed})
    one_short = client.create({"messages": CAPITAL, "temperature": 0, "max_tokens": needed - 1})
    assert [response.choices[0].finish_reason for response in (complete, just_enough, one_short)] == [
        "stop",
        "stop",
        "length",
    ]


@pytest.fixture(scope="module")
def counting(real):
    """The tokens with which transformers alone counts to ten."""
    client = HuggingFaceModelClient({"model": "smol"}, *real)
    [row], _ = plain_generate(client, COUNT, do_sample=False, max_new_tokens=20)
    return row


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("5", "1, 2, 3, 4, "),
        (["no such text", "5"], "1, 2, 3, 4, "),
        (("6", "5"), "1, 2, 3, 4, "),
        (["5", "4, 5"], "1, 2, 3, "),
    ],
)
def test_a_stop_string_cuts_the_text_before_it(client, counting, stop, text):
    response = client.create({"messages": COUNT, "temperature": 0, "max_tokens": 20, "stop": stop})
    assert text_of(response) == text
    assert response.choices[0].finish_reason == "stop"
    count = response.usage.completion_tokens  # the token that met the stop string included, not one more
    assert "5" in client.tokenizer.decode(counting[:count])
    assert "5" not in client.tokenizer.decode(counting[: count - 1])


@pytest.mark.parametrize("stop", ["", [], [""]])
def test_an_empty_stop_string_stops_nothing(tiny_client, stop):
    response = tiny_client().create({"messages": CAPITAL, "max_tokens": 6, "stop": stop})
    assert response.usage.completion_tokens == 6


# Choices ------------------------------------------------------------------------------------------


def test_n_choices_come_from_one_generate_call_and_differ(tiny_client, monkeypatch):
    client = tiny_client(n=3, temperature=1.0, max_tokens=5)
    outputs, generate = [], client.model.generate
    monkeypatch.setattr(
        client.model, "generate", lambda **inputs: outputs.append(generate(**inputs)) or outputs[-1]
    )
    response = client.create({"messages": CAPITAL})
    assert len(outputs) == 1
    assert len({choice.message.content for choice in response.choices}) == 3
    assert [choice.index for choice in response.choices] == [0, 1, 2]
    prompt_tokens = plain_generate(client, CAPITAL, max_new_tokens=1)[1]
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (prompt_tokens, 15)


def test_a_stop_string_ends_its_own_choice_only(tiny_client):
    client = tiny_client(n=3, temperature=1.0, max_tokens=8)
    before = client.create({"messages": CAPITAL, "seed": 1})
    row = tokens_of(client, before)
    stop = client.tokenizer.decode(row[3:4])
    after = client.create({"messages": CAPITAL, "seed": 1, "stop": stop})
    assert [choice.finish_reason for choice in after.choices] == ["stop", "length", "length"]
    assert text_of(after) == client.tokenizer.decode(row[:3])
    assert [choice.message.content for choice in after.choices[1:]] == [
        choice.message.content for choice in before.choices[1:]
    ]
    assert after.usage.completion_tokens == 4 + 8 + 8


def test_greedy_choices_are_refused_since_they_are_all_the_same(tiny_client):
    with pytest.raises(ValueError, match="n=2 choices of greedy decoding would all be the same") as caught:
        tiny_client(n=2).create({"messages": CAPITAL})
    assert "Set a temperature above 0 (0.7, say), or n to 1." in str(caught.value)
    with pytest.raises(ValueError, match="n=3 choices of greedy decoding"):
        tiny_client(n=3, temperature=0.7).create({"messages": CAPITAL, "temperature": 0})


def test_beams_give_several_choices_without_sampling(tiny_client):
    client = tiny_client(n=2, max_tokens=4, params={"num_beams": 2})
    assert len({choice.message.content for choice in client.create({"messages": CAPITAL}).choices}) == 2


# End tokens, padding, interruption ----------------------------------------------------------------


def test_any_of_several_end_tokens_ends_the_answer(tiny_client):
    client = tiny_client(max_tokens=8)
    [row], _ = plain_generate(client, CAPITAL, do_sample=False, max_new_tokens=8)
    client.model.generation_config.eos_token_id = [2, row[3]]
    response = client.create({"messages": CAPITAL})
    assert response.choices[0].finish_reason == "stop"
    assert response.usage.completion_tokens == row.index(row[3]) + 1


def test_a_choice_that_ended_earlier_is_not_padded_even_without_a_pad_token(tiny_client, transformers_log):
    client = tiny_client(n=2, temperature=1.0, seed=1, max_tokens=8)
    row = tokens_of(client, client.create({"messages": CAPITAL}))
    client.tokenizer = copy.deepcopy(client.tokenizer)
    client.tokenizer.pad_token = client.model.generation_config.pad_token_id = None
    client.model.generation_config.eos_token_id = row[3]
    response = client.create({"messages": CAPITAL})
    assert (text_of(response), response.usage.completion_tokens) == (client.tokenizer.decode(row[:4]), 4 + 8)
    assert transformers_log.text == ""


def test_a_model_without_end_token_can_still_be_stopped(tiny_client):
    client = tiny_client(n=2, temperature=1.0, seed=1, max_tokens=8)
    row = tokens_of(client, client.create({"messages": CAPITAL}))
    client.tokenizer = copy.deepcopy(client.tokenizer)
    client.tokenizer.pad_token = client.model.generation_config.pad_token_id = None
    client.model.generation_config.eos_token_id = None
    response = client.create({"messages": CAPITAL, "stop": client.tokenizer.decode(row[3:4])})
    assert (text_of(response), response.usage.completion_tokens) == (client.tokenizer.decode(row[:3]), 4 + 8)


def test_an_interrupted_answer_leaves_the_client_usable(tiny_client):
    class PressCtrlC(StoppingCriteria):
        def __call__(self, *args, **kwargs):
            raise KeyboardInterrupt

    client = tiny_client(max_tokens=3)
    random_state = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        client.create(
            {
                "messages": CAPITAL,
                "seed": 5,
                "params": {"stopping_criteria": StoppingCriteriaList([PressCtrlC()])},
            }
        )
    assert torch.equal(torch.get_rng_state(), random_state)
    answers = []
    other = threading.Thread(
        target=lambda: answers.append(client.create({"messages": CAPITAL})), daemon=True
    )  # a thread of its own: it would wait for ever, had the first one kept the lock
    other.start()
    other.join(60)
    assert [answer.usage.completion_tokens for answer in answers] == [3]
