"""Watching real agents: all that AutoGen asks of a client is noted, and nothing is other than without it."""

import asyncio
import copy
import threading
import warnings
from types import SimpleNamespace

import pytest
from autogen import AssistantAgent, Cache, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent

from kit import DummyModelClient, HuggingFaceModelClient, register_model_clients, tool_call
from kit.agents.watching import Watching

FOUR = ["create", "cost", "get_usage", "message_retrieval"]  # in AutoGen's order
ENTRY = {"model": "a", "model_client_cls": "DummyModelClient"}
HELLO = [{"role": "user", "content": "Hello!"}]


class NoId:
    """As in the blog post: a response that has only what its protocol asks for."""

    __slots__ = ("config",)  # has no place for anything of ours

    def __init__(self, config):
        self.config = config

    def create(self, params):
        choices = [SimpleNamespace(message=SimpleNamespace(content=text)) for text in ("first", "second")]
        return SimpleNamespace(choices=choices, model="m")

    def message_retrieval(self, response):
        return [choice.message.content.upper() for choice in response.choices]

    def cost(self, response):
        return 0.25

    @staticmethod
    def get_usage(response):
        return {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "model": "m"}


def failing(method, error):
    def fail(self, *args):
        raise error

    return type("Failing", (DummyModelClient,), {method: fail})


def add(a: int, b: int) -> int:
    return a + b


def methods(request):
    return [call.method for call in request.calls]


@pytest.fixture
def user():
    return UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)


@pytest.fixture
def writers(agent):
    return [agent(DummyModelClient, name=name, replies=[f"I am {name}."] * 9) for name in ("ann", "bob")]


def manager_of(agents, **options):
    group = GroupChat(agents, messages=[], max_round=4, **options)
    return GroupChatManager(group, name="manager", llm_config=False, silent=True)


def test_a_request_holds_the_calls_in_autogens_order_what_was_new_and_the_reply(agent, user):
    assistant = agent(DummyModelClient, {"model": "parrot"}, replies=["Hello!", "Bye!"])
    watching = Watching([assistant])
    user.initiate_chat(assistant, message="Hi", max_turns=2, silent=True, summary_method=None)
    first, second = watching.requests
    assert methods(first) == methods(second) == FOUR
    assert [(r.number, r.agent, r.turn, r.reply) for r in (first, second)] == [
        (1, "assistant", 1, "Hello!"),
        (2, "assistant", 2, "Bye!"),
    ]
    assert [message["content"] for message in first.messages] == ["Be brief.", "Hi"]
    assert (first.new, second.new) == (0, 2)
    assert second.messages[:2] == first.messages
    assert second.params["model"] == "parrot"
    assert second.last("create").returned["choices"][0]["message"]["content"] == "Bye!"
    assert second.last("message_retrieval").returned == ["Bye!"]
    used = second.last("get_usage").returned
    assert second.tokens == (used["prompt_tokens"], 0, used["completion_tokens"])
    assert all(call.seconds is not None and not call.raised for call in second.calls)
    assert watching.totals["requests"] == 2
    assert watching.totals["read"] == first.tokens[0] + second.tokens[0]


def test_silent_mistakes_are_told(agent):
    assistant = agent(NoId)
    watching = Watching([assistant])
    assert assistant.generate_reply(HELLO) == "first"  # not FIRST
    (request,) = watching.requests
    assert methods(request) == FOUR[:3]
    assert [name for name, _ in request.not_called()] == ["message_retrieval"]
    usage, choices = request.remarks()
    assert "lacks cost" in usage
    assert "the first of 2 choices" in choices


def test_a_price_in_the_entry_takes_the_place_of_cost(agent):
    assistant = agent(DummyModelClient, {"price": [1, 1]})
    watching = Watching([assistant])
    assistant.generate_reply(HELLO)
    (request,) = watching.requests
    assert [name for name, _ in request.not_called()] == ["cost"]
    assert request.cost == sum(request.tokens) / 1000 > 0


def test_a_reply_out_of_autogens_cache_asks_no_client(agent, tmp_path):
    assistant = agent(DummyModelClient)
    watching = Watching([assistant])
    with Cache.disk(1, str(tmp_path)) as cache:
        assistant.client_cache = cache
        replies = [assistant.generate_oai_reply(HELLO) for _ in range(2)]
    assert replies[0] == replies[1]
    first, second = watching.requests
    assert methods(first) == FOUR
    assert [name for name, _ in second.not_called()] == ["create"]
    assert second.messages == first.messages


def test_the_entry_that_answered_is_named_where_one_before_it_failed(folder):
    from openai import APIError

    error = APIError("busy", request=None, body=None)
    first = failing("create", error)
    entries = [{**ENTRY, "model_client_cls": "Failing"}, {**ENTRY, "model": "b"}]
    assistant = AssistantAgent("assistant", llm_config=LLMConfig(*entries), code_execution_config=False)
    assistant.register_model_client(first)
    assistant.register_model_client(DummyModelClient)
    watching = Watching([assistant])
    assistant.generate_reply(HELLO)
    (request,) = watching.requests
    assert [(call.method, call.entry) for call in request.calls][:2] == [("create", 0), ("create", 1)]
    assert "busy" in request.calls[0].raised
    assert "Entry 1 answered" in request.remarks()[0]
    assert request.new == 0


@pytest.mark.parametrize("method", FOUR)
def test_what_a_method_raises_is_noted_and_reaches_the_caller_as_it_is(agent, method):
    error = ValueError(f"{method} is broken")
    assistant = agent(failing(method, error))
    watching = Watching([assistant])
    with pytest.raises(ValueError) as raised:
        assistant.generate_reply(HELLO)
    assert raised.value is error
    (request,) = watching.requests
    assert request.raised == request.last(method).raised == f"ValueError: {method} is broken"
    assert not request.running and request.not_called() == []


def test_an_interrupt_ends_a_request_too(agent):
    assistant = agent(failing("create", KeyboardInterrupt()))
    watching = Watching([assistant])
    with pytest.raises(KeyboardInterrupt):
        assistant.generate_reply(HELLO)
    assert watching.requests[0].raised == "KeyboardInterrupt"


def test_constructors_are_noted_when_a_class_is_registered():
    assistant = AssistantAgent("assistant", llm_config=LLMConfig(ENTRY), code_execution_config=False)
    watching = Watching([assistant])
    assistant.register_model_client(DummyModelClient, replies=["Hi"])
    assistant.generate_reply(HELLO)
    (request,) = watching.requests
    assert methods(request) == ["constructor", *FOUR]
    assert request.calls[0].got["replies"] == ["Hi"]
    assert request.calls[0].got["config"]["model"] == "a"


def test_registering_again_and_new_tools_do_not_lose_the_watch(agent):
    assistant = agent(DummyModelClient)
    watching = Watching([assistant])
    assistant.register_for_llm(name="add", description="Add.")(add)  # AutoGen makes a new wrapper
    register_model_clients(assistant, DummyModelClient, replies=["again"])
    assert assistant.generate_reply(HELLO) == "again"
    assert methods(watching.requests[0]) == FOUR
    assert "tools" in watching.requests[0].params


def test_a_group_with_its_hidden_selector(writers, user):
    class Selector(DummyModelClient):
        pass

    entry = {"model": "s", "model_client_cls": "Selector"}
    manager = manager_of(writers, select_speaker_auto_llm_config=LLMConfig(entry))
    register_model_clients(manager, Selector, replies=["ann", "bob", "ann"])
    watching = Watching([manager])
    user.initiate_chat(manager, message="Hello!", silent=True, summary_method=None)
    asked = [
        (request.selects_for, request.agent, request.turn, request.reply) for request in watching.requests
    ]
    assert asked == [
        ("manager", "speaker_selection_agent", 1, "ann"),
        ("", "ann", 1, "I am ann."),
        ("manager", "speaker_selection_agent", 2, "bob"),
        ("", "bob", 1, "I am bob."),
        ("manager", "speaker_selection_agent", 3, "ann"),
        ("", "ann", 2, "I am ann."),
    ]
    assert methods(watching.requests[0]) == ["constructor", *FOUR]


def chat(watched, user, make):
    """Return all that a chat leaves behind, watched or not."""
    assistant = make()
    watching = Watching([assistant]) if watched else None
    result = user.initiate_chat(assistant, message="Add 1 and 2.", max_turns=2, silent=True)
    return result.chat_history, result.cost, assistant.client.total_usage_summary, watching


def test_results_histories_and_bills_are_those_of_an_agent_that_is_not_watched(agent, user):
    def make():
        script = [tool_call("add", a=1, b=2), "It is 3."]
        assistant = agent(DummyModelClient, {"price": [1, 2]}, replies=script)
        assistant.register_for_llm(name="add", description="Add.")(add)
        register_model_clients(assistant, DummyModelClient, replies=script)
        return assistant

    user.register_for_execution(name="add")(add)
    *plain, _ = chat(False, user, make)
    *watched, watching = chat(True, user, make)
    for history in (plain[0], watched[0]):  # the ids of calls are random
        for message in history:
            for part in [*message.get("tool_calls", []), *message.get("tool_responses", [])]:
                part.pop("id", None), part.pop("tool_call_id", None)
    assert plain == watched
    assert watching.requests[1].messages[-1]["role"] == "tool"


def test_the_local_model_streams_and_answers_as_ever_and_its_cache_is_counted(
    agent, user, local_model_folder, capsys
):
    entry = {"model": local_model_folder, "device": "cpu", "max_tokens": 8, "stream": True}
    replies = []
    for watched in (False, True):
        assistant, pieces = agent(HuggingFaceModelClient, entry), []
        assistant.client._clients[0].on_text = pieces.append
        watching = Watching([assistant]) if watched else None
        reply = assistant.generate_oai_reply(HELLO)[1]
        assert "".join(pieces) == reply
        replies += [reply, capsys.readouterr().out]
    assert replies[:2] == replies[2:]
    assistant.generate_oai_reply([*HELLO, {"role": "assistant", "content": reply}, *HELLO])
    assert watching.requests[1].tokens[1] > 0  # out of the prefix cache


def test_autogens_own_client_for_a_server(server, folder):
    entry = {"model": "a", "api_key": "sk-of-the-server", "base_url": server.address}
    assistant = AssistantAgent("assistant", llm_config=LLMConfig(entry), code_execution_config=False)
    watching = Watching([assistant])
    assert assistant.generate_reply(HELLO).endswith("Paris.")
    (request,) = watching.requests
    assert (methods(request), request.calls[0].class_name) == (FOUR, "OpenAIClient")
    assert request.usage["total_tokens"] > 0


def test_stop_takes_everything_away(writers, user):
    manager = manager_of(writers, speaker_selection_method="round_robin")
    watched = [*writers, manager, manager.groupchat]
    before = [vars(one).keys() for one in watched]
    watching = Watching([manager])
    user.initiate_chat(manager, message="Hello!", silent=True, summary_method=None)
    seen = len(watching.requests)
    watching.stop()
    assert [vars(one).keys() for one in watched] == before
    assert type(writers[0].client._clients) is list
    writers[0].generate_oai_reply(HELLO)
    assert len(watching.requests) == seen > 0


def test_two_watches_see_the_same_and_stop_in_any_order(agent):
    assistant = agent(DummyModelClient)
    first, second = Watching([assistant]), Watching([assistant])
    assistant.generate_reply(HELLO)
    first.stop()
    assistant.generate_reply(HELLO)
    second.stop()
    assistant.generate_reply(HELLO)
    assert [methods(request) for request in first.requests] == [FOUR]
    assert [methods(request) for request in second.requests] == [FOUR, FOUR]
    assert "register_model_client" not in vars(assistant)


def test_a_copy_of_an_agent_asks_with_its_own_client(agent):
    assistant = agent(DummyModelClient)
    watching = Watching([assistant])
    twin = copy.copy(assistant)
    twin.client = copy.deepcopy(assistant.client)
    twin._name = "twin"
    twin.generate_oai_reply(HELLO)
    assert twin.client.total_usage_summary and not assistant.client.total_usage_summary
    assert methods(watching.requests[0]) == FOUR


def test_threads_and_async_are_not_mixed_up(agent):
    assistants = [agent(DummyModelClient, name=f"a{index}", replies=None) for index in range(4)]
    watching = Watching(assistants)

    def talk(assistant):
        for turn in range(20):
            assistant.generate_oai_reply([{"role": "user", "content": f"{assistant.name} {turn}"}])

    threads = [threading.Thread(target=talk, args=[assistant]) for assistant in assistants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(request.number for request in watching.requests) == list(range(1, 81))
    for request in watching.requests:
        assert methods(request) == FOUR
        assert request.messages[-1]["content"] == f"{request.agent} {request.turn - 1}"
    assert asyncio.run(assistants[0].a_generate_reply(HELLO))
    assert methods(watching.requests[-1]) == FOUR


def test_a_client_that_asks_another_agent_is_one_request_in_another(agent):
    inner = agent(DummyModelClient, name="inner")

    class Asking(DummyModelClient):
        def create(self, params):
            inner.generate_oai_reply(HELLO)
            return super().create(params)

    outer = agent(Asking, name="outer")
    watching = Watching([outer, inner])
    outer.generate_reply(HELLO)
    assert [(request.agent, methods(request)) for request in watching.requests] == [
        ("outer", FOUR),
        ("inner", FOUR),
    ]


def test_old_requests_go_and_histories_are_kept_once(agent):
    assistant = agent(DummyModelClient)
    watching, history = Watching([assistant], limit=3), []
    for turn in range(5):
        history.append({"role": "user", "content": f"turn {turn}"})
        assistant.generate_oai_reply(history)
    assert [request.number for request in watching.requests] == [3, 4, 5]
    assert watching.totals["requests"] == 5
    first, _, last = watching.requests
    assert all(one is other for one, other in zip(first.messages, last.messages, strict=False))
    history[0]["content"] = "changed later"
    assert last.messages[1]["content"] == "turn 0"


def test_whatever_a_client_returns_is_noted_without_running_its_code(agent):
    class Odd:
        id = 1
        model = "m"

        def __init__(self):
            self.choices = [SimpleNamespace(message=SimpleNamespace(content="ok"))]
            self.self = self

        def __repr__(self):
            raise RuntimeError

    class Client(DummyModelClient):
        def create(self, params):
            return Odd()

        def message_retrieval(self, response):
            return ["ok"]

        def cost(self, response):
            return 0

        @staticmethod
        def get_usage(response):
            return {}

    assistant = agent(Client)
    watching = Watching([assistant])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert assistant.generate_reply(HELLO) == "ok"
    assert watching.requests[0].response["choices"][0]["message"]["content"] == "ok"
    assert "returned nothing" in watching.requests[0].remarks()[0]


@pytest.mark.parametrize("usage", [3, "many", [], {"prompt_tokens_details": 5}, {"prompt_tokens": "ten"}])
def test_an_odd_usage_and_listeners_that_fail_do_not_reach_the_chat(agent, usage):
    class Client(DummyModelClient):
        def create(self, params):
            return SimpleNamespace(choices=super().create(params).choices, model="m", id="1", usage=usage)

        def cost(self, response):
            return 0

        @staticmethod
        def get_usage(response):
            return {"prompt_tokens": "ten"}

    assistant = agent(Client, replies=["Hi"] * 2)
    watching = Watching([assistant])
    watching.on_change.append(lambda request: 1 / 0)

    class Array(str):
        def __eq__(self, other):
            raise ValueError("of an array with more than one element")

        __hash__ = str.__hash__

    for _ in range(2):
        assert assistant.generate_oai_reply([{"role": "user", "content": Array("Hello!")}])[1] == "Hi"
    assert watching.requests[1].tokens == (0, 0, 0)


@pytest.mark.parametrize("nobody", ["assistant", ENTRY, None, DummyModelClient])
def test_what_is_no_agent_is_refused(nobody):
    with pytest.raises(TypeError, match="agent"):
        Watching([nobody])
