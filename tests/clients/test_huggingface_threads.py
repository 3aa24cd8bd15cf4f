"""HuggingFaceModelClient in several threads: each call gets its own reply; those that wait share a batch."""

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.clients.huggingface_fast import BATCH, HuggingFaceModelClient

pytestmark = pytest.mark.timeout(120)  # a deadlock fails

TOPICS = ["cats", "a red house and the sea", "Paris", "seven", "why not", "the end of a very long day"]


def chat(text):
    return [{"role": "user", "content": f"Tell me about {text}."}]


def text_of(response):
    return response.choices[0].message.content


def texts_of(response):
    return [choice.message.content for choice in response.choices]


def cached(response):
    return response.usage.prompt_tokens_details.cached_tokens


@pytest.fixture
def alone(keen_model):
    """A function that returns the reply that transformers alone gives."""
    model, tokenizer = keen_model

    def reply(messages, max_tokens):
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
        row = model.generate(**prompt, max_new_tokens=max_tokens, do_sample=False)[0]
        return tokenizer.decode(row[prompt["input_ids"].shape[1] :], skip_special_tokens=True)

    return reply


# Each gets its own reply --------------------------------------------------------------------------


def test_many_threads_get_the_replies_that_they_get_alone(keen, alone):
    calls = [(chat(topic), tokens) for topic in TOPICS for tokens in (5, 5, 8, 20)] * 2
    expected = [alone(*call) for call in calls]
    assert len(set(expected)) > 15
    clients = [keen(), keen(prefix_cache=0), keen(prefix_cache=100)]

    def reply(index):
        messages, tokens = calls[index]
        return text_of(clients[index % 3].create({"messages": messages, "max_tokens": tokens}))

    with ThreadPoolExecutor(len(calls)) as pool:
        assert list(pool.map(reply, range(len(calls)))) == expected


def test_chats_in_threads_keep_their_own_histories(keen, alone):
    def talk(topic):
        client, messages, hits = keen(max_tokens=6), chat(topic), []
        for _ in range(4):
            response = client.create({"messages": messages})
            hits.append(cached(response) / response.usage.prompt_tokens > 0.5)
            assert text_of(response) == alone(messages, 6)
            messages = [*messages, {"role": "assistant", "content": text_of(response)}, *chat("it")]
        return hits

    with ThreadPoolExecutor(len(TOPICS)) as pool:
        assert all(hits[1:] == [True] * 3 for hits in pool.map(talk, TOPICS))


def test_two_agents_at_once_each_get_their_own_text(agent, keen, alone):
    model, tokenizer = keen().model, keen().tokenizer
    entry = {"model": "keen", "max_tokens": 8}
    one, two = (
        agent(HuggingFaceModelClient, entry, name, name, loaded_model=model, tokenizer=tokenizer)
        for name in ("one", "two")
    )

    async def both():
        return await asyncio.gather(
            one.a_generate_reply(chat("cats")),
            two.a_generate_reply(chat("Paris")),
            two.a_generate_reply(chat("it")),
        )

    def expected(name, topic):
        return alone([{"role": "system", "content": name}, *chat(topic)], 8)

    assert asyncio.run(both()) == [expected("one", "cats"), expected("two", "Paris"), expected("two", "it")]


# Batches ------------------------------------------------------------------------------------------


def test_calls_that_wait_are_answered_in_one_batch_and_their_next_turns_are_known(keen, alone, ask_at_once):
    client = keen(max_tokens=8)
    client.create({"messages": chat(TOPICS[1])})  # one of them starts from a prefix
    futures, sizes = ask_at_once(*((client, {"messages": chat(topic)}) for topic in TOPICS))
    assert sizes == [1, len(TOPICS) - 1]
    assert [text_of(future.result()) for future in futures] == [alone(chat(topic), 8) for topic in TOPICS]
    for topic, future in zip(TOPICS, futures, strict=True):
        reply = {"role": "assistant", "content": text_of(future.result())}
        messages = [*chat(topic), reply, *chat("it")]
        response = client.create({"messages": messages})
        assert future.result().usage.prompt_tokens <= cached(response) < response.usage.prompt_tokens
        assert text_of(response) == alone(messages, 8)


def test_in_a_batch_each_call_profits_from_its_own_prefix(keen, ask_at_once):
    client = keen(max_tokens=2)
    for topic in TOPICS:
        client.create({"messages": chat(topic)})
    futures, sizes = ask_at_once(*((client, {"messages": chat(topic)}) for topic in TOPICS))
    assert sizes == [1, len(TOPICS) - 1]
    assert [cached(future.result()) for future in futures] == [
        future.result().usage.prompt_tokens - 1 for future in futures
    ]


def test_a_batch_has_no_more_choices_than_its_limit(keen, ask_at_once):
    client = keen(max_tokens=3)
    assert ask_at_once(*[(client, {"messages": chat("it")})] * 12)[1] == [1, BATCH, 11 - BATCH]


def test_a_prompt_of_one_token_is_answered_too(keen, ask_at_once):
    client = keen(max_tokens=4)
    client.tokenizer = copy.deepcopy(client.tokenizer)
    client.tokenizer.chat_template = "{{ messages[0].content }}"
    calls = [(client, {"messages": [{"role": "user", "content": text}]}) for text in ("a", "cat", "a cat")]
    expected = [text_of(client.create(params)) for client, params in calls]
    assert [text_of(future.result()) for future in ask_at_once(*calls)[0]] == expected
    assert [text_of(client.create(params)) for client, params in calls] == expected


def test_calls_for_several_choices_share_a_batch(keen, ask_at_once):
    client = keen(max_tokens=3, n=3, temperature=1.0)
    futures, sizes = ask_at_once(*((client, {"messages": chat(topic)}) for topic in TOPICS))
    assert sizes == [3, 6, 6, 3]
    assert all(len(set(texts_of(future.result()))) == 3 for future in futures)


def test_more_choices_than_a_batch_holds_are_made_all_the_same(keen, ask_at_once):
    client = keen(max_tokens=3, n=BATCH + 1, temperature=1.0)
    futures, sizes = ask_at_once(*[(client, {"messages": chat("it")})] * 2)
    assert sizes == [BATCH + 1] * 2
    assert [len(future.result().choices) for future in futures] == sizes


def test_rows_that_end_at_different_tokens_keep_their_own_ends(keen, ask_at_once):
    off = keen(max_tokens=8, prefix_cache=0)
    first = off.create({"messages": chat(TOPICS[1])})
    _, end, *_ = off.tokenizer(text_of(first), add_special_tokens=False)["input_ids"]
    off.model.generation_config.eos_token_id = end
    chats = [chat(topic) for topic in ("it", *TOPICS[:3])]
    alone = [off.create({"messages": messages}) for messages in chats]
    assert len({reply.usage.completion_tokens for reply in alone}) > 1
    client = keen(max_tokens=8, prefix_cache=sum(reply.usage.total_tokens for reply in alone))
    futures, sizes = ask_at_once(*((client, {"messages": messages}) for messages in chats))
    assert sizes == [1, 3]
    for future, reply in zip(futures, alone, strict=True):
        assert texts_of(future.result()) == texts_of(reply)
        assert future.result().usage.completion_tokens == reply.usage.completion_tokens
    # What is behind an end is not remembered: there would be no room left for the first.
    again = client.create({"messages": chats[0]})
    assert cached(again) == again.usage.prompt_tokens - 1


@pytest.mark.parametrize(
    "call",
    [
        pytest.param({"seed": 1, "temperature": 1.0}, id="seed"),
        pytest.param({"stream": True}, id="stream"),
        pytest.param({"params": {"num_beams": 2}}, id="beams"),
    ],
)
def test_calls_that_stand_alone_are_answered_one_by_one(keen, ask_at_once, call):
    client = keen(max_tokens=4, **call)
    expected = [texts_of(client.create({"messages": chat(topic)})) for topic in TOPICS]
    futures, sizes = ask_at_once(*((client, {"messages": chat(topic)}) for topic in TOPICS))
    assert sizes == [1] * len(TOPICS)
    assert [texts_of(future.result()) for future in futures] == expected


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"max_tokens": 5}, id="limit"),
        pytest.param({"stop": "no such text"}, id="stop"),
        pytest.param({"top_k": 1}, id="sampling"),
        pytest.param({"prefix_cache": 50}, id="prefix cache"),
        pytest.param({"response_format": {"type": "boolean"}}, id="schema"),
    ],
)
def test_calls_with_other_options_are_not_mixed_in(keen, ask_at_once, other):
    entry = {"max_tokens": 4}
    one, two = keen(**entry), keen(**{**entry, **other})
    calls = [(client, {"messages": chat(topic)}) for topic in TOPICS for client in (one, two)]
    expected = [text_of(client.create(params)) for client, params in calls]
    futures, sizes = ask_at_once((one, {"messages": chat("it")}), *calls)
    assert sizes == [1, 6, 6]
    assert [text_of(future.result()) for future in futures[1:]] == expected


def test_calls_to_another_model_are_not_mixed_in(keen, ask_at_once):
    client = keen(max_tokens=4)
    stranger = HuggingFaceModelClient(client.config, copy.deepcopy(client.model), client.tokenizer)
    calls = [(client, {"messages": chat("it")}), (stranger, {"messages": chat("it")})] * 2
    assert ask_at_once(*calls)[1] == [1, 1]


def test_a_stream_shows_its_own_text_while_others_wait(keen, alone, ask_at_once):
    pieces = {topic: [] for topic in TOPICS}
    clients = {topic: keen(max_tokens=8) for topic in TOPICS}
    for topic, client in clients.items():
        client.on_text = pieces[topic].append
    _, sizes = ask_at_once(*((client, {"messages": chat(topic)}) for topic, client in clients.items()))
    assert sizes == [1] * len(TOPICS)
    assert ["".join(texts) for texts in pieces.values()] == [alone(chat(topic), 8) for topic in TOPICS]


@pytest.mark.parametrize("order", ["stream first", "stream last"])
def test_a_stream_neither_joins_others_nor_takes_them_along(keen, alone, ask_at_once, order):
    pieces, client = [], keen(max_tokens=8)
    stream = HuggingFaceModelClient(client.config, client.model, client.tokenizer, on_text=pieces.append)
    clients = [stream, client, client] if order == "stream first" else [client, client, stream]
    calls = [(client, {"messages": chat(topic)}) for client, topic in zip(clients, TOPICS, strict=False)]
    futures, sizes = ask_at_once((client, {"messages": chat("it")}), *calls)
    assert sorted(sizes) == [1, 1, 2]
    assert [text_of(future.result()) for future in futures[1:]] == [alone(chat(t), 8) for t in TOPICS[:3]]
    assert "".join(pieces) == alone(chat(TOPICS[clients.index(stream)]), 8)


# When something breaks ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("broken", [1, 2])
def test_a_failure_hits_one_call_and_the_others_get_their_replies(keen, alone, ask_at_once, error, broken):
    client = keen(max_tokens=8)
    calls = [(client, {"messages": chat(topic)}) for topic in TOPICS]
    futures, sizes = ask_at_once(*calls, fail={broken: error()})
    assert sizes == ([1, 5] if broken == 1 else [1, 5, 4])
    failed = [type(future.exception()) for future in futures if future.exception()]
    assert failed == [error]
    for topic, future in zip(TOPICS, futures, strict=True):
        assert future.exception() or text_of(future.result()) == alone(chat(topic), 8)
    assert text_of(client.create({"messages": chat("it")})) == alone(chat("it"), 8)


def test_a_callback_may_ask_the_same_model(keen, alone):
    client, helper, replies = keen(max_tokens=3), keen(max_tokens=6), {}

    def ask_back(piece):
        replies[piece] = text_of(helper.create({"messages": chat(piece)}))

    client.on_text = ask_back
    assert text_of(client.create({"messages": chat("cats")})) == alone(chat("cats"), 3)
    assert len(replies) > 1
    assert replies == {piece: alone(chat(piece), 6) for piece in replies}
