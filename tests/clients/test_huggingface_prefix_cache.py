"""HuggingFaceModelClient's prefix cache: it saves what it says, changes no reply, and stays in its bounds."""

import contextlib
import copy
import gc
import os
import random
import weakref

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from kit.clients.huggingface_fast import HuggingFaceModelClient

SYSTEM = {"role": "system", "content": "Be brief."}
WORDS = ["a", "cat", "the", "dog", "Paris", "seven", "why", "not", "run", "over", "42", ",", ".", "?"]


def user(text):
    return {"role": "user", "content": text}


def answer(response):
    return {"role": "assistant", "content": text_of(response)}


def text_of(response):
    return response.choices[0].message.content


def texts_of(response):
    return [choice.message.content for choice in response.choices]


def cached(response):
    return response.usage.prompt_tokens_details.cached_tokens


def knows(client, messages):
    """Whether a prompt is remembered: all of it but the last token, which is always computed."""
    response = client.create({"messages": messages})
    return cached(response) == response.usage.prompt_tokens - 1


def prefixes(client):
    """What is kept in memory for the client's model. No reply tells that: what is kept may go unused."""
    return HuggingFaceModelClient._prefixes.get(client.model, [])


def prompt_of(client, messages):
    text = client.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return client.tokenizer(text, add_special_tokens=False)["input_ids"]


def plain_rows(client, messages, **options):
    """The new tokens of each choice that transformers alone gives for these messages."""
    prompt = torch.tensor([prompt_of(client, messages)])
    mask = torch.ones_like(prompt)
    rows = client.model.generate(input_ids=prompt, attention_mask=mask, **{"do_sample": False, **options})
    return rows[:, prompt.shape[1] :].tolist()


def plain_texts(client, messages, **options):
    rows = plain_rows(client, messages, **options)
    return client.tokenizer.batch_decode(rows, skip_special_tokens=True)


def beginning(one, other):
    """How many tokens two lists have in common from the start."""
    return len(os.path.commonprefix([one, other]))


@contextlib.contextmanager
def computed(client):
    """Count the tokens that the model computes."""
    counts = []
    hook = client.model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: counts.append(inputs[0].numel())
    )
    yield counts
    hook.remove()


@pytest.fixture
def responses(monkeypatch):
    """What all clients answer, in order."""
    responses, create = [], HuggingFaceModelClient.create

    def listen(client, params):
        responses.append(create(client, params))
        return responses[-1]

    monkeypatch.setattr(HuggingFaceModelClient, "create", listen)
    return responses


# What it saves ------------------------------------------------------------------------------------


def test_the_second_turn_computes_only_what_is_new(keen):
    client = keen(max_tokens=6)
    first = client.create({"messages": [SYSTEM, user("Hi")]})
    messages = [SYSTEM, user("Hi"), answer(first), user("Go on.")]
    with computed(client) as counts:
        second = client.create({"messages": messages})
    [row] = plain_rows(client, messages[:2], max_new_tokens=6)
    known = prompt_of(client, messages[:2]) + row[:-1]  # nobody has computed the last token of a reply yet
    assert cached(first) == 0
    assert cached(second) == beginning(known, prompt_of(client, messages)) > first.usage.prompt_tokens
    assert sum(counts) == second.usage.prompt_tokens - cached(second) + 5


def test_agents_in_a_chat_compute_only_what_is_new_to_them(agent, keen, responses):
    model, tokenizer = keen().model, keen().tokenizer
    one, two = (
        agent(
            HuggingFaceModelClient,
            {"model": "keen", "max_tokens": 4},
            name=name,
            system_message=f"You are {name}.",
            loaded_model=model,
            tokenizer=tokenizer,
        )
        for name in ("one", "two")
    )
    chat = one.initiate_chat(two, message="Hi", max_turns=4)
    assert len(chat.chat_history) == 8
    for before, after in zip(responses, responses[2:], strict=False):  # they take turns
        assert before.usage.prompt_tokens <= cached(after) < after.usage.prompt_tokens


def test_the_same_prompt_again_computes_its_last_token(keen):
    client = keen(max_tokens=1)
    first, again = (client.create({"messages": [user("Hi")]}) for _ in range(2))
    assert (cached(first), cached(again)) == (0, first.usage.prompt_tokens - 1)


CHAT = [SYSTEM, user("Hi"), {"role": "assistant", "content": "Hello there."}, user("Who are you?")]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param([user("Be long."), *CHAT[1:]], id="another system message"),
        pytest.param([SYSTEM, user("Ho"), *CHAT[2:]], id="an edited question"),
        pytest.param([*CHAT[:2], {"role": "assistant", "content": "Hello."}, CHAT[3]], id="an edited reply"),
        pytest.param([*CHAT[:2], CHAT[3]], id="a reply left out"),
    ],
)
def test_a_changed_history_is_known_up_to_the_change(keen, changed):
    client = keen(max_tokens=6)
    client.create({"messages": CHAT})
    response = client.create({"messages": changed})
    prompts = prompt_of(client, CHAT), prompt_of(client, changed)
    assert 0 < cached(response) == beginning(*prompts) < len(prompts[1])
    assert texts_of(response) == plain_texts(client, changed, max_new_tokens=6)


def test_of_several_prefixes_the_longest_counts(keen):
    client = keen(max_tokens=2)
    for last in ("Who?", "Who are you, and why?", "What?"):
        client.create({"messages": [*CHAT[:3], user(last)]})
    response = client.create({"messages": [*CHAT[:3], user("Who are you, and where?")]})
    assert cached(response) == beginning(
        *(prompt_of(client, [*CHAT[:3], user(f"Who are you, and {word}?")]) for word in ("why", "where"))
    )


def test_a_second_client_of_the_model_profits_another_model_does_not(keen):
    client, colleague = keen(max_tokens=2), keen(max_tokens=3)
    stranger = HuggingFaceModelClient(client.config, copy.deepcopy(client.model), client.tokenizer)
    client.create({"messages": CHAT})
    assert cached(stranger.create({"messages": CHAT})) == 0
    assert cached(colleague.create({"messages": CHAT})) == len(prompt_of(client, CHAT)) - 1


# No reply changes ---------------------------------------------------------------------------------


def next_history(history, reply, chance):
    """What an agent may send next: grown by a turn, cut back, edited, or under a new system message."""
    text = " ".join(chance.choices(WORDS, k=chance.randint(1, 8)))
    change = chance.choice(["grow", "grow", "grow", "grow", "cut", "edit", "system"])
    if change == "grow":
        return [*history, {"role": "assistant", "content": reply}, user(text)]
    if change == "cut":
        return history[: 2 * chance.randint(1, len(history) // 2)]
    index = 0 if change == "system" else chance.randrange(1, len(history))
    return [*history[:index], {**history[index], "content": text}, *history[index + 1 :]]


def count_hits(client, turns):
    """Let two agents send random histories, check each reply, and count the prompts that were known."""
    chance = random.Random(0)
    histories, hits = [[{"role": "system", "content": name}, user("Hi")] for name in ("One", "Two")], 0
    for turn in range(turns):
        history, limit = histories[turn % 2], chance.randint(1, 8)
        response = client.create({"messages": history, "max_tokens": limit})
        assert texts_of(response) == plain_texts(client, history, max_new_tokens=limit), f"turn {turn}"
        hits += cached(response) > response.usage.prompt_tokens // 2
        histories[turn % 2] = next_history(history, text_of(response), chance)
    return hits


def test_random_histories_get_the_replies_of_plain_generate(keen):
    assert count_hits(keen(), turns=60) > 30


def test_ten_random_histories_get_the_real_models_replies(local_model_folder):
    client = HuggingFaceModelClient({"model": local_model_folder, "device": "cpu", "dtype": "float32"})
    assert count_hits(client, turns=10) > 3


def test_several_choices_share_one_prompt_and_the_next_turn_knows_it(keen):
    client = keen(n=3, temperature=1.0, seed=1, max_tokens=5)
    with computed(client) as counts:
        first = client.create({"messages": CHAT})
    assert sum(counts) == first.usage.prompt_tokens - 1 + 3 * 5
    messages = [*CHAT, answer(first), user("Go on.")]
    second = client.create({"messages": messages, "n": 1, "temperature": 0})
    assert cached(second) > first.usage.prompt_tokens
    assert texts_of(second) == plain_texts(client, messages, max_new_tokens=5)


@pytest.mark.parametrize("n", [1, 3])
def test_a_seed_gives_the_same_texts_with_and_without_the_cache(keen, n):
    options = {"messages": CHAT, "n": n, "temperature": 0.9, "seed": 1, "max_tokens": 6}
    cold = keen(prefix_cache=0).create(options)
    keen().create({"messages": CHAT[:2]})
    half_warm, warm = (keen().create(options) for _ in range(2))
    assert 0 == cached(cold) < cached(half_warm) < cached(warm) == len(prompt_of(keen(), CHAT)) - 1
    assert texts_of(cold) == texts_of(half_warm) == texts_of(warm)
    assert len(set(texts_of(cold))) == n


@pytest.mark.parametrize("choices", [{}, {"n": 2, "top_k": 1}])
def test_after_a_stop_string_the_next_turn_is_right(keen, choices):
    client = keen(max_tokens=8)
    [row] = plain_rows(client, CHAT, max_new_tokens=8)
    stop = client.tokenizer.decode(row[4:5])
    first = client.create({"messages": CHAT, "stop": stop, **choices})
    assert text_of(first) == client.tokenizer.decode(row[:4])
    messages = [*CHAT, answer(first), user("Go on.")]
    second = client.create({"messages": messages})
    assert cached(second) == beginning(prompt_of(client, CHAT) + row[:4], prompt_of(client, messages))
    assert texts_of(second) == plain_texts(client, messages, max_new_tokens=8)


def test_after_an_end_token_the_next_turn_is_right(keen):
    client = keen(max_tokens=8)
    [row] = plain_rows(client, CHAT, max_new_tokens=8)
    client.model.generation_config.eos_token_id = row[4]
    first = client.create({"messages": CHAT})
    messages = [*CHAT, answer(first), user("Go on.")]
    second = client.create({"messages": messages})
    assert first.usage.completion_tokens == 5
    assert cached(second) == beginning(prompt_of(client, CHAT) + row[:4], prompt_of(client, messages))
    assert texts_of(second) == plain_texts(client, messages, max_new_tokens=8)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_reply_broken_off_by_its_reader_leaves_the_prefixes_as_they_were(keen, error, n):
    client = keen(max_tokens=8)
    client.create({"messages": CHAT[:2]})

    def break_off(piece):
        raise error

    client.on_text = break_off
    with pytest.raises(error):
        client.create({"messages": CHAT, "n": n, "top_k": 1})
    client.on_text = None
    response = client.create({"messages": CHAT})
    assert cached(response) == beginning(prompt_of(client, CHAT[:2]), prompt_of(client, CHAT))
    assert texts_of(response) == plain_texts(client, CHAT, max_new_tokens=8)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_model_that_breaks_down_in_the_middle_leaves_the_prefixes_as_they_were(keen, error, steps):
    client = keen(max_tokens=8)
    client.create({"messages": CHAT[:2]})
    left = iter(range(steps))

    def break_down(module, inputs):
        if next(left, None) is None:
            raise error

    hook = client.model.lm_head.register_forward_pre_hook(break_down)
    with pytest.raises(error):
        client.create({"messages": CHAT})
    hook.remove()
    response = client.create({"messages": CHAT})
    assert cached(response) == beginning(prompt_of(client, CHAT[:2]), prompt_of(client, CHAT))
    assert texts_of(response) == plain_texts(client, CHAT, max_new_tokens=8)


# Where it can't work ------------------------------------------------------------------------------

FORGETFUL = {
    "mistral": {"sliding_window": 16},
    "gemma3_text": {"sliding_window": 16, "layer_types": ["full_attention", "sliding_attention"]},
    "mamba": {},
    "rwkv": {},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"]},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
}
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "initializer_range": 0.3,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}


def small_client(tokenizer, kind, **config):
    """A client of a tiny random model of some kind."""
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **SMALL, **config)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
    return HuggingFaceModelClient({"model": kind, "temperature": 0, "max_tokens": 6}, model, tokenizer)


@pytest.mark.parametrize("kind", FORGETFUL)
def test_a_model_whose_state_can_not_be_cut_computes_everything_and_is_right(keen, kind):
    client = small_client(keen().tokenizer, kind, **FORGETFUL[kind])
    for messages in (CHAT[:2], CHAT, CHAT, CHAT[:2]):
        response = client.create({"messages": messages})
        assert cached(response) == 0
        assert texts_of(response) == plain_texts(client, messages, max_new_tokens=6)
    assert prefixes(client) == []


@pytest.mark.parametrize("kind", [kind for kind, fields in FORGETFUL.items() if "sliding_window" in fields])
def test_a_window_forgets_nothing_while_the_chat_is_shorter(keen, ask_at_once, kind):
    tokenizer = keen().tokenizer
    window = len(prompt_of(keen(), CHAT)) + 6
    client = small_client(tokenizer, kind, **{**FORGETFUL[kind], "sliding_window": window})
    longer = [*CHAT, {"role": "assistant", "content": "It is."}, user("Why?")]
    hits = []
    for messages in (CHAT[:2], CHAT, longer, CHAT):
        response = client.create({"messages": messages})
        hits.append(cached(response) > 0)
        assert texts_of(response) == plain_texts(client, messages, max_new_tokens=6)
    assert hits == [False, True, False, True]
    chats = [CHAT, CHAT[:2], [user("Hi")], [user("What is a cat?")]]
    futures, sizes = ask_at_once(*((client, {"messages": messages}) for messages in chats))
    assert sizes == [1, 3]
    for messages, future in zip(chats, futures, strict=True):
        assert texts_of(future.result()) == plain_texts(client, messages, max_new_tokens=6)


@pytest.mark.parametrize(
    "params", [{"num_beams": 2}, {"num_beams": 2, "num_return_sequences": 2}, {"use_cache": False}]
)
def test_beams_and_a_call_without_cache_compute_everything_and_are_right(keen, params):
    room = keen(max_tokens=6).create({"messages": CHAT}).usage.total_tokens
    client = keen(max_tokens=6, prefix_cache=room, params=params)
    for messages in (CHAT, CHAT, [user("Something else")]):
        response = client.create({"messages": messages})
        assert cached(response) == 0
        assert texts_of(response) == plain_texts(keen(), messages, max_new_tokens=6, **params)
    assert knows(keen(), CHAT), "nothing took its room"


# How much it remembers ----------------------------------------------------------------------------


def test_no_more_tokens_are_remembered_than_the_entry_allows(keen):
    client, chats = keen(max_tokens=4, prefix_cache=150), []
    for number in range(20):
        client.create({"messages": [user(f"{number} " * (number + 1))]})
        assert sum(len(prefix.ids) for prefix in prefixes(client)) <= 150
        chats.append(len(prefixes(client)))
    assert max(chats) == 3


def test_the_chat_that_has_waited_longest_is_forgotten_first(keen):
    client = keen(max_tokens=4, prefix_cache=80)
    colours = (" red", " green", " blue")
    red, green, blue = ([{"role": "system", "content": colour * 20}] for colour in colours)
    for chat in (red, green, red, blue):
        client.create({"messages": chat})
    assert [knows(client, chat) for chat in (red, blue, green)] == [True, True, False]


def test_a_short_chat_that_has_waited_goes_before_a_long_one(keen):
    client = keen(max_tokens=4, prefix_cache=90)
    short, long, other = ([{"role": "system", "content": "word " * words}] for words in (1, 40, 20))
    for chat in (short, long, other):
        client.create({"messages": chat})
    assert [knows(client, chat) for chat in (long, other, short)] == [True, True, False]


def test_a_chat_that_just_fits_is_remembered(keen):
    length = keen(max_tokens=4, prefix_cache=0).create({"messages": CHAT}).usage.total_tokens - 1
    for size, expected in ((length - 1, False), (length, True)):
        client = keen(max_tokens=4, prefix_cache=size)
        client.create({"messages": CHAT})
        assert knows(client, CHAT) == expected


def test_what_is_too_long_to_be_remembered_is_still_answered(keen):
    client = keen(max_tokens=4, prefix_cache=20)
    for _ in range(2):
        response = client.create({"messages": CHAT})
        assert texts_of(response) == plain_texts(client, CHAT, max_new_tokens=4)
        assert cached(response) == 0


def test_zero_switches_it_off_for_this_client_alone(keen):
    client, off = keen(max_tokens=4), keen(max_tokens=4, prefix_cache=0)
    for _ in range(2):
        assert cached(off.create({"messages": CHAT})) == 0
    assert cached(client.create({"messages": CHAT})) == 0
    assert cached(off.create({"messages": CHAT})) == 0
    assert cached(client.create({"messages": CHAT})) > 0


@pytest.mark.parametrize("size", [-1, "yes", 1.5])
def test_a_size_that_makes_no_sense_is_refused(keen, size):
    with pytest.raises(ValueError, match="prefix_cache must be a number of tokens, 0 for none") as caught:
        keen(prefix_cache=size)
    assert str(caught.value).endswith(f"not {size!r}.")


def test_a_chat_of_five_turns_is_remembered_once(keen):
    def talk(client):
        messages = [user("Hi")]
        for _ in range(5):
            response = client.create({"messages": messages})
            messages = [*messages, answer(response), user("Go on.")]
        return response.usage.total_tokens

    off = keen(max_tokens=4, prefix_cache=0)
    room = off.create({"messages": CHAT}).usage.total_tokens + talk(off)
    client = keen(max_tokens=4, prefix_cache=room)
    client.create({"messages": CHAT})
    talk(client)
    assert knows(client, CHAT), "earlier turns took its room"


def test_what_is_remembered_takes_the_memory_of_its_tokens_alone(keen):
    client = keen(max_tokens=4, n=3, temperature=1.0)
    client.create({"messages": CHAT})
    [prefix] = prefixes(client)
    for states in prefix.states[0]:
        assert states.shape[2] == len(prefix.ids)
        assert states.untyped_storage().nbytes() == states.nbytes


def test_two_chats_that_begin_alike_are_both_remembered(keen):
    client = keen(max_tokens=4)
    chats = [[*CHAT[:3], user(last)] for last in ("Why?", "Where are you?")]
    for chat in chats:
        client.create({"messages": chat})
    for chat in chats:
        assert cached(client.create({"messages": chat})) == len(prompt_of(client, chat)) - 1


def test_unload_forgets_the_prefixes(keen):
    client = keen(max_tokens=4)
    client.create({"messages": CHAT})
    HuggingFaceModelClient.unload()
    assert prefixes(client) == []
    assert cached(client.create({"messages": CHAT})) == 0
    assert cached(client.create({"messages": CHAT})) > 0


def test_prefixes_do_not_keep_a_model_alive(keen):
    tokenizer, model = keen().tokenizer, copy.deepcopy(keen().model)
    client = HuggingFaceModelClient({"model": "keen", "max_tokens": 4}, model, tokenizer)
    client.create({"messages": CHAT})
    states = weakref.ref(prefixes(client)[0])
    gone = weakref.ref(model)
    del client, model
    gc.collect()
    assert (gone(), states()) == (None, None)
