"""DummyModelClient, mostly seen through real agents."""

import copy
import pickle
import time

import pytest
from openai.types.chat import ChatCompletion

from kit.agents.inside import clients_of
from kit.clients.dummy import DummyModelClient, tool_call

ENTRY = {"model": "dummy", "model_client_cls": "DummyModelClient"}
HELLO = [{"role": "user", "content": "Hello there"}]


def client_of(agent):
    """The client that AutoGen built for the agent's only entry."""
    [client] = clients_of(agent)
    return client


def texts(response):
    return [choice.message.content for choice in response.choices]


# Replies ------------------------------------------------------------------------------------------


def test_without_replies_it_still_answers(agent):
    assert agent(DummyModelClient).generate_reply(HELLO) == "This is a dummy reply."


def test_a_fixed_text_answers_every_call(agent):
    bot = agent(DummyModelClient, replies="Yes.")
    assert [bot.generate_reply(HELLO) for _ in range(3)] == ["Yes."] * 3


def test_two_scripts_make_a_conversation(agent):
    teacher = agent(DummyModelClient, name="teacher", replies=["And 3 + 3?", "Right."])
    pupil = agent(DummyModelClient, name="pupil", replies=["4", "6"])
    chat = teacher.initiate_chat(pupil, message="What is 2 + 2?", max_turns=2)
    assert [(message["name"], message["content"]) for message in chat.chat_history] == [
        ("teacher", "What is 2 + 2?"),
        ("pupil", "4"),
        ("teacher", "And 3 + 3?"),
        ("pupil", "6"),
    ]


def test_a_function_gets_the_messages_system_message_included(agent):
    bot = agent(
        DummyModelClient,
        system_message="You echo.",
        replies=lambda messages: " / ".join(
            f"{message['role']}: {message['content']}" for message in messages
        ),
    )
    assert bot.generate_reply(HELLO) == "system: You echo. / user: Hello there"


def test_replies_may_stand_in_the_entry(agent):
    bot = agent(DummyModelClient, {"params": {"replies": "From the entry."}})
    assert bot.generate_reply(HELLO) == "From the entry."


def test_replies_at_registration_win_over_the_entry(agent):
    bot = agent(DummyModelClient, {"params": {"replies": "From the entry."}}, replies="From the code.")
    assert bot.generate_reply(HELLO) == "From the code."


@pytest.mark.parametrize("text", ["", "Çà et là: 漢字, 🎈\n\ttab", "  spaces stay  ", "{{ 'no' }} {format}"])
def test_a_text_arrives_unchanged(agent, text):
    assert agent(DummyModelClient, replies=text).generate_reply(HELLO) == text


# Choices ------------------------------------------------------------------------------------------


def test_one_text_fills_all_n_choices():
    response = DummyModelClient({**ENTRY, "n": 3}, replies="same").create({"messages": HELLO})
    assert texts(response) == ["same"] * 3
    assert [choice.index for choice in response.choices] == [0, 1, 2]


def test_a_scripts_item_may_hold_one_text_for_each_choice(agent):
    bot = agent(DummyModelClient, {"n": 2}, replies=[["first", "second"], "both"])
    response = bot.client.create(messages=HELLO)
    assert bot.client.extract_text_or_completion_object(response) == ["first", "second"]
    assert texts(bot.client.create(messages=HELLO)) == ["both", "both"]


def test_autogen_replies_with_the_first_choice(agent):
    assert (
        agent(DummyModelClient, {"n": 2}, replies=lambda _: ["first", "second"]).generate_reply(HELLO)
        == "first"
    )


def test_n_of_a_call_wins_over_the_entrys():
    client = DummyModelClient({**ENTRY, "n": 3}, replies="same")
    assert len(client.create({"messages": HELLO, "n": 2}).choices) == 2


@pytest.mark.parametrize(
    ("reply", "n", "complaint"),
    [
        (["a", "b"], 3, r"This reply has 2 texts for n=3 choices: \['a', 'b'\]"),
        (["a"], 2, r"This reply has 1 text for n=2 choices"),
        ([], 1, r"This reply has 0 texts for n=1 choices"),
        (None, 1, r"A reply must be a text, a message, or a list of one for each choice, not None"),
        (["a", 5], 2, r"A reply must be a text, a message, or a list of one for each choice, not \['a', 5\]"),
        ("a", "2", r"n must be a whole number of at least 1, not '2'"),
        ("a", 0, r"n must be a whole number of at least 1, not 0"),
        ("a", -1, r"n must be a whole number of at least 1, not -1"),
    ],
)
def test_a_reply_must_be_a_text_for_each_choice(reply, n, complaint):
    client = DummyModelClient(ENTRY, replies=lambda messages: reply)
    with pytest.raises((TypeError, ValueError), match=complaint):
        client.create({"messages": HELLO, "n": n})


# Mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("replies", [5, {"a": "b"}, b"bytes", {"x"}])
def test_replies_of_another_type_are_refused_at_registration(agent, replies):
    with pytest.raises(TypeError, match="`replies` must be a text, a list or a function, not "):
        agent(DummyModelClient, replies=replies)


def test_an_unknown_keyword_is_named(agent):
    with pytest.raises(
        TypeError, match="DummyModelClient takes `replies`, `delay` and `on_text`, not 'reply', 'speed'"
    ):
        agent(DummyModelClient, reply="Hello", speed=2)


def test_a_script_that_ran_out_says_its_length(agent):
    asker = agent(DummyModelClient, name="asker", replies="Go on.")
    storyteller = agent(
        DummyModelClient, name="storyteller", replies=["Once upon a time", "there was an end."]
    )
    with pytest.raises(RuntimeError, match="The script has 2 replies, and this is call 3") as caught:
        asker.initiate_chat(storyteller, message="Tell me a story.", max_turns=5)
    assert "Add a reply to the script, or end the chat earlier (max_turns, is_termination_msg)" in str(
        caught.value
    )


def test_an_empty_script_has_run_out_at_once(agent):
    with pytest.raises(RuntimeError, match="The script has 0 replies, and this is call 1"):
        agent(DummyModelClient, replies=[]).generate_reply(HELLO)


def test_a_script_of_one_reply_is_told_as_one(agent):
    bot = agent(DummyModelClient, replies=["only this"])
    bot.generate_reply(HELLO)
    with pytest.raises(RuntimeError, match="The script has 1 reply, and this is call 2"):
        bot.generate_reply(HELLO)


def test_an_error_of_your_own_function_comes_through(agent):
    with pytest.raises(KeyError, match="topic"):
        agent(DummyModelClient, replies=lambda messages: messages[0]["topic"]).generate_reply(HELLO)


# What it remembers --------------------------------------------------------------------------------


def test_calls_keep_what_each_turn_received(agent):
    asker = agent(DummyModelClient, name="asker", replies="And then?")
    bot = agent(DummyModelClient, {"custom_field": 7}, replies=["one", "two"])
    asker.initiate_chat(bot, message="Begin.", max_turns=2)
    first, second = client_of(bot).calls
    assert [message["content"] for message in first["messages"]] == ["Be brief.", "Begin."]
    assert [message["content"] for message in second["messages"]] == [
        "Be brief.",
        "Begin.",
        "one",
        "And then?",
    ]
    assert first["custom_field"] == 7


def test_failed_calls_are_kept_too():
    client = DummyModelClient(ENTRY, replies=["only one"])
    client.create({"messages": HELLO})
    with pytest.raises(RuntimeError, match="call 2"):
        client.create({"messages": [{"role": "user", "content": "again"}]})
    assert [call["messages"][-1]["content"] for call in client.calls] == ["Hello there", "again"]


def test_the_config_entry_is_left_as_it_was():
    entry = {**ENTRY, "n": 2, "price": [1, 2], "params": {"replies": ["a", "b"]}}
    before = copy.deepcopy(entry)
    client = DummyModelClient(entry)
    client.create({"messages": HELLO, "n": 1})
    client.config["model"] = "another"
    assert entry == before


# Usage, cost and the response ---------------------------------------------------------------------


def test_usage_counts_words_and_every_choice():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": None}, *HELLO]
    usage = DummyModelClient({**ENTRY, "n": 2}, replies="one two three").create({"messages": messages}).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (4, 6, 10)


def test_cost_is_the_entrys_price_per_thousand_tokens():
    client = DummyModelClient({**ENTRY, "price": [10, 100]}, replies="one two three")
    assert client.cost(client.create({"messages": HELLO})) == pytest.approx((2 * 10 + 3 * 100) / 1000)


def test_cost_is_zero_without_a_price():
    client = DummyModelClient(ENTRY)
    assert client.cost(client.create({"messages": HELLO})) == 0


def test_an_agent_sums_up_usage_and_cost(agent, caplog):
    bot = agent(DummyModelClient, {"price": [10, 100]}, replies="one two three")
    for _ in range(2):
        bot.generate_reply(HELLO)  # 4 words in ("Be brief." is sent along), 3 out
    used = {"cost": pytest.approx(0.68), "prompt_tokens": 8, "completion_tokens": 6, "total_tokens": 14}
    assert bot.get_total_usage() == {"total_cost": pytest.approx(0.68), "dummy": used}
    assert bot.client.total_usage_summary == bot.get_total_usage()
    bot.print_usage_summary()
    assert "cost: 0.68, prompt_tokens: 8, completion_tokens: 6, total_tokens: 14" in caplog.text


def test_autogen_asks_message_retrieval_for_the_text(agent):
    class Loud(DummyModelClient):
        def message_retrieval(self, response):
            return [text.upper() for text in super().message_retrieval(response)]

    assert agent(Loud, replies="hello").generate_reply(HELLO) == "HELLO"


def test_the_response_is_openais_own_type_with_an_id_of_its_own():
    client = DummyModelClient(ENTRY, replies="Hi.")
    first, second = client.create({"messages": HELLO}), client.create({"messages": HELLO})
    assert isinstance(first, ChatCompletion)
    assert first.id and first.id != second.id
    assert (first.model, first.choices[0].finish_reason) == ("dummy", "stop")


def test_a_response_can_be_pickled_after_autogen_had_it(agent):
    response = agent(DummyModelClient, {"price": [1, 1]}, replies="keep me").client.create(messages=HELLO)
    copied = pickle.loads(pickle.dumps(response))
    assert (texts(copied), copied.cost) == (["keep me"], response.cost)


# Whole messages and tools -------------------------------------------------------------------------


def test_tool_call_makes_the_message_of_a_model_that_calls_a_tool():
    first, second = tool_call("weather", city="Málaga", days=2), tool_call("weather")
    assert (first.role, first.content, len(first.tool_calls)) == ("assistant", None, 1)
    assert first.tool_calls[0].function.name == "weather"
    assert first.tool_calls[0].function.arguments == '{"city": "Málaga", "days": 2}'
    assert second.tool_calls[0].function.arguments == "{}"
    assert tool_call("greet", name="Ann").tool_calls[0].function.arguments == '{"name": "Ann"}'
    assert first.tool_calls[0].type == "function"
    assert first.tool_calls[0].id and first.tool_calls[0].id != second.tool_calls[0].id


def test_a_function_in_the_place_of_a_tool_s_name_is_refused_with_what_to_write():
    with pytest.raises(TypeError, match=r'the name of a tool, in quotes: tool_call\("print", \.\.\.\)'):
        tool_call(print, text="Hi")


def with_a_tool(agent, replies):
    """A chat in which the dummy has a tool that the user executes; return what was said."""
    from autogen import UserProxyAgent, register_function

    def weather(city: str) -> str:
        return f"Sunny in {city}."

    bot = agent(DummyModelClient)
    user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    register_function(weather, caller=bot, executor=user, description="Tell the weather.")
    bot.register_model_client(DummyModelClient, replies=replies)  # giving it a tool emptied the place
    chat = user.initiate_chat(bot, message="How is the weather?", max_turns=len(replies))
    return chat.chat_history, client_of(bot)


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


@pytest.mark.parametrize(
    "call",
    [
        tool_call("weather", city="Rome"),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"tool_calls": [CALL]},
    ],
    ids=["tool_call", "dict", "short-dict"],
)
def test_a_scripted_tool_call_is_executed_and_its_result_comes_back(agent, call):
    said, client = with_a_tool(agent, [call, "It is sunny."])
    assert [message["content"] or "" for message in said] == [
        "How is the weather?",
        "",
        "Sunny in Rome.",
        "It is sunny.",
    ]
    assert said[2]["role"] == "tool"
    second = client.calls[1]["messages"]
    assert second[-1]["tool_call_id"] == second[-2]["tool_calls"][0]["id"]
    assert client.calls[0]["tools"][0]["function"]["name"] == "weather"


def test_a_function_may_return_a_message(agent):
    def reply(messages):
        asked = messages[-1]["role"] == "tool"
        return messages[-1]["content"] if asked else tool_call("weather", city="Oslo")

    bot = agent(DummyModelClient, replies=reply)
    assert bot.generate_reply(HELLO)["tool_calls"][0]["function"]["arguments"] == '{"city": "Oslo"}'
    assert bot.generate_reply([{"role": "tool", "content": "Snow.", "tool_call_id": "1"}]) == "Snow."


def test_a_message_may_be_one_of_several_choices(agent):
    bot = agent(DummyModelClient, {"n": 2}, replies=[["text", tool_call("weather")], tool_call("weather")])
    first, second = (bot.client.create(messages=HELLO) for _ in range(2))
    assert [choice.finish_reason for choice in first.choices] == ["stop", "tool_calls"]
    assert [choice.finish_reason for choice in second.choices] == ["tool_calls"] * 2
    retrieved = bot.client.extract_text_or_completion_object(first)
    assert retrieved[0] == "text" and retrieved[1].tool_calls


def test_a_message_without_a_tool_call_is_a_text(agent):
    bot = agent(DummyModelClient, replies=[{"content": "Hi."}, {"content": None}])
    assert [bot.generate_reply(HELLO) for _ in range(2)] == ["Hi.", ""]


@pytest.mark.parametrize(
    "message",
    [{"role": "user", "content": "Hi."}, {"content": 5}, {"tool_calls": "weather"}, {"tool_calls": [{}]}],
)
def test_a_dict_that_is_no_message_is_shown(message):
    client = DummyModelClient(ENTRY, replies=[message])
    with pytest.raises(ValueError, match="This reply is not a message in OpenAI's form: ") as caught:
        client.create({"messages": HELLO})
    assert repr(message) in str(caught.value)


# Failures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [TimeoutError("too slow"), TimeoutError, KeyboardInterrupt()])
def test_an_exception_in_a_script_is_raised_at_its_turn(agent, failure):
    bot = agent(DummyModelClient, replies=["fine", failure, "fine again"])
    assert bot.generate_reply(HELLO) == "fine"
    with pytest.raises(failure if isinstance(failure, type) else type(failure)) as caught:
        bot.generate_reply(HELLO)
    assert caught.value is failure or isinstance(failure, type)
    assert bot.generate_reply(HELLO) == "fine again"
    assert len(client_of(bot).calls) == 3


def test_a_function_may_return_an_exception_or_raise_it(agent):
    for replies in (lambda messages: OSError("cable cut"), lambda messages: {}["cable"]):
        with pytest.raises((OSError, KeyError), match="cable"):
            agent(DummyModelClient, replies=replies).generate_reply(HELLO)


def refused():
    """The error that a busy server of OpenAI's API leads to."""
    import httpx
    from openai import RateLimitError

    request = httpx.Request("POST", "http://localhost/v1/chat/completions")
    return RateLimitError("slow down", response=httpx.Response(429, request=request), body=None)


def pair(first, second):
    """An agent with two entries, a client of the dummy's for each."""
    from autogen import AssistantAgent, LLMConfig

    entries = [{**ENTRY, "model": name} for name in ("first", "second")]
    bot = AssistantAgent("pair", llm_config=LLMConfig(*entries), system_message="Be brief.")
    for replies in (first, second):
        bot.register_model_client(DummyModelClient, replies=replies)
    return bot


def test_openais_own_errors_make_autogen_ask_the_next_entry_and_others_do_not():
    assert pair([refused()], "from the second").generate_reply(HELLO) == "from the second"
    with pytest.raises(TimeoutError):
        pair([TimeoutError()], "from the second").generate_reply(HELLO)


def test_the_last_entrys_error_comes_through():
    with pytest.raises(type(refused()), match="slow down"):
        pair([refused()], [refused()]).generate_reply(HELLO)


# Time and limits ----------------------------------------------------------------------------------


def test_a_reply_takes_as_long_as_its_delay(agent):
    begin = time.perf_counter()
    assert agent(DummyModelClient, replies="Hi there.", delay=0.15).generate_reply(HELLO) == "Hi there."
    assert time.perf_counter() - begin >= 0.15


def test_a_failure_comes_at_once(agent):
    begin = time.perf_counter()
    with pytest.raises(TimeoutError):
        agent(DummyModelClient, replies=[TimeoutError()], delay=60).generate_reply(HELLO)
    assert time.perf_counter() - begin < 30


@pytest.mark.parametrize("delay", [-1, "1", None])
def test_a_delay_that_is_no_time_is_refused(agent, delay):
    with pytest.raises(ValueError, match=f"`delay` must be a number of seconds, not {delay!r}."):
        agent(DummyModelClient, delay=delay)


@pytest.mark.parametrize("text", ["One two three.", "", "  a \n b  \n", "   ", "word"])
def test_on_text_gets_the_words_of_the_reply_one_after_the_other(agent, text):
    pieces = []
    bot = agent(DummyModelClient, replies=text, on_text=pieces.append)
    assert bot.generate_reply(HELLO) == text
    assert "".join(pieces) == text
    assert len(pieces) >= len(text.split())


def test_the_words_are_spread_over_the_delay(agent):
    times = []
    bot = agent(
        DummyModelClient,
        replies="one two three four",
        delay=0.2,
        on_text=lambda _: times.append(time.perf_counter()),
    )
    begin = time.perf_counter()
    bot.generate_reply(HELLO)
    assert [time_ - begin >= 0.05 * turn for turn, time_ in enumerate(times, 1)] == [True] * 4


def test_on_text_gets_the_first_choice_as_it_was_cut(agent):
    pieces = []
    bot = agent(DummyModelClient, {"n": 2, "max_tokens": 1}, replies=[["a b", "c"]], on_text=pieces.append)
    bot.generate_reply(HELLO)
    assert pieces == ["a"]


@pytest.mark.parametrize(
    ("limit", "text", "reason"),
    [
        (1, "One", "length"),
        (2, "One\n two", "length"),
        (3, "One\n two  three ", "stop"),
        (9, "One\n two  three ", "stop"),
    ],
)
def test_a_text_of_more_words_than_max_tokens_is_cut(agent, limit, text, reason):
    bot = agent(DummyModelClient, {"max_tokens": limit}, replies="One\n two  three ")
    response = bot.client.create(messages=HELLO)
    assert (texts(response), response.choices[0].finish_reason) == ([text], reason)
    assert response.usage.completion_tokens == min(limit, 3)


def test_max_tokens_of_a_call_wins_over_the_entrys():
    client = DummyModelClient({**ENTRY, "max_tokens": 3}, replies="one two three four")
    assert texts(client.create({"messages": HELLO, "max_tokens": 1})) == ["one"]
    assert texts(client.create({"messages": HELLO, "max_tokens": None})) == ["one two three"]


def test_max_tokens_leaves_an_empty_text_and_a_message_alone():
    client = DummyModelClient({**ENTRY, "max_tokens": 1}, replies=["", tool_call("f", text="a b c")])
    assert texts(client.create({"messages": HELLO})) == [""]
    choice = client.create({"messages": HELLO}).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0].function.arguments == '{"text": "a b c"}'


@pytest.mark.parametrize("limit", [0, -1, "5", 2.5])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(ValueError, match=f"max_tokens must be a whole number of at least 1, not {limit!r}"):
        DummyModelClient(ENTRY).create({"messages": HELLO, "max_tokens": limit})
