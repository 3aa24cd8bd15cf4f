"""RecordingModelClient, mostly seen through real agents: what is recorded, replayed, refused and kept out."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from kit.agents.inside import clients_of
from kit.clients.dummy import DummyModelClient, tool_call
from kit.clients.recording import RecordingModelClient

ENTRY = {"model": "dummy", "model_client_cls": "RecordingModelClient"}
HELLO = [{"role": "user", "content": "Hello there"}]


class Namespace:
    """The class that lesson 01 ends with: answers of its own type, without an `id`."""

    made = 0

    def __init__(self, config, **kwargs):
        Namespace.made += 1
        self.model = config["model"]

    def create(self, params):
        message = SimpleNamespace(content=f"You said: {params['messages'][-1]['content']}")
        choices = [SimpleNamespace(message=message) for _ in range(params.get("n", 1))]
        return SimpleNamespace(choices=choices, model=self.model)

    def message_retrieval(self, response):
        return [choice.message.content for choice in response.choices]

    def cost(self, response):
        return 0.5

    @staticmethod
    def get_usage(response):
        used = {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}
        return {**used, "cost": response.cost, "model": response.model}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "talk.jsonl"


def dummy(replies="Hi.", **options):
    """A ready-made client of a real agent's conversation, for `client=`."""
    return DummyModelClient({"model": "dummy", **options}, replies=replies)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def says(text):
    return [{"role": "user", "content": text}]


# Record and replay --------------------------------------------------------------------------------


def test_what_was_recorded_is_replayed_without_the_client(agent, path):
    first = agent(RecordingModelClient, path=path, client=dummy(["One.", "Two."]))
    said = [first.generate_reply(says(text)) for text in ("a", "b")]
    again = agent(RecordingModelClient, path=path)
    assert [again.generate_reply(says(text)) for text in ("b", "a")] == said[::-1] == ["Two.", "One."]


def test_a_whole_chat_is_replayed_word_for_word(agent, path):
    def chat(**kwargs):
        asker = agent(DummyModelClient, name="asker", replies=["And then?", "Go on."])
        teller = agent(RecordingModelClient, name="teller", path=path, **kwargs)
        return asker.initiate_chat(teller, message="Tell me a story.", max_turns=3).chat_history

    recorded = chat(client=dummy(["Once", "upon", "a time."]))
    assert chat() == recorded
    assert recorded[-1]["content"] == "a time."
    assert [len(line["request"]["messages"]) for line in lines(path)] == [2, 4, 6]


def test_what_is_recorded_is_not_asked_again(agent, path):
    agent(RecordingModelClient, path=path, client=dummy("Recorded.")).generate_reply(HELLO)
    other = dummy("New.")
    bot = agent(RecordingModelClient, path=str(path), client=other)
    assert (bot.generate_reply(HELLO), bot.generate_reply(says("Bye"))) == ("Recorded.", "New.")
    assert len(other.calls) == 1


def test_the_same_request_twice_gets_both_replies_in_their_order(agent, path):
    first = agent(RecordingModelClient, path=path, client=dummy(["heads", "tails"]))
    assert [first.generate_reply(HELLO) for _ in range(2)] == ["heads", "tails"]
    again = agent(RecordingModelClient, path=path)
    assert [again.generate_reply(HELLO) for _ in range(2)] == ["heads", "tails"]
    with pytest.raises(LookupError, match=r"is recorded 2 time\(s\) in .*talk.jsonl and was asked once more"):
        again.generate_reply(HELLO)


def test_a_class_is_made_from_the_entry_and_only_when_it_is_needed(agent, path):
    Namespace.made = 0
    for expected in (1, 1):
        bot = agent(RecordingModelClient, {"model": "mine"}, path=path, client=Namespace)
        assert [bot.generate_reply(says("a")), bot.generate_reply(says("b"))] == [
            "You said: a",
            "You said: b",
        ]
        assert Namespace.made == expected
    assert bot.client.create(messages=says("a")).model == "mine"


def test_a_learners_response_becomes_openais_with_usage_and_cost(agent, path):
    for client in (Namespace, None):
        bot = agent(RecordingModelClient, {"n": 2}, path=path, client=client)
        response = bot.client.create(messages=says("a"))
        assert isinstance(response, ChatCompletion) and response.id
        assert [choice.message.content for choice in response.choices] == ["You said: a"] * 2
        assert [choice.finish_reason for choice in response.choices] == ["stop", "stop"]
        used = {"cost": 0.5, "prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}
        assert bot.client.total_usage_summary == {"total_cost": 0.5, "dummy": used}


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}])
def test_a_client_that_counts_nothing_can_be_recorded(agent, path, usage):
    cls = type(
        "Uncounted", (Namespace,), {"get_usage": lambda self, response: usage, "cost": lambda *_: None}
    )
    bot = agent(RecordingModelClient, path=path, client=cls)
    assert bot.generate_reply(HELLO) == "You said: Hello there"
    assert bot.client.total_usage_summary["dummy"]["total_tokens"] == 0
    assert bot.client.total_usage_summary["total_cost"] == 0


def test_usage_cost_and_finish_reason_are_those_of_the_recording(agent, path):
    bills, reasons = [], []
    for client in (dummy("one two three four", price=[10, 100], max_tokens=3), None):
        bot = agent(RecordingModelClient, path=path, client=client)
        reasons.append(bot.client.create(messages=HELLO).choices[0].finish_reason)
        bills.append(bot.client.total_usage_summary)
    used = {"cost": pytest.approx(0.32), "prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert bills == [{"total_cost": pytest.approx(0.32), "dummy": used}] * 2
    assert reasons == ["length", "length"]


def test_the_reply_is_what_message_retrieval_made_of_the_response(agent, path):
    class Loud(DummyModelClient):
        def message_retrieval(self, response):
            return [text.upper() for text in super().message_retrieval(response)]

    first = agent(RecordingModelClient, path=path, client=Loud({"model": "dummy"}, replies="hello"))
    assert first.generate_reply(HELLO) == "HELLO"
    assert agent(RecordingModelClient, path=path).generate_reply(HELLO) == "HELLO"


@pytest.mark.parametrize("text", ["", "Çà et là: 漢字, 🎈", "a\u2028b\x85c\x0cd\r\ne\n", '"{}"\\n', "  "])
def test_a_text_comes_back_unchanged(agent, path, text):
    for client in (dummy(text), None):
        bot = agent(RecordingModelClient, path=path, system_message=text, client=client)
        assert bot.generate_reply(says(f"{text}?")) == text
    assert "漢" not in text or "漢字, 🎈" in path.read_text(encoding="utf-8")  # to be read by people


def test_a_failure_is_passed_on_and_not_recorded(agent, path):
    first = agent(RecordingModelClient, path=path, client=dummy([TimeoutError("too slow"), "At last."]))
    with pytest.raises(TimeoutError, match="too slow"):
        first.generate_reply(HELLO)
    assert not path.exists()
    assert first.generate_reply(HELLO) == "At last."
    replay = agent(RecordingModelClient, path=path)
    with pytest.raises(LookupError):
        replay.generate_reply(says("unknown"))
    assert replay.generate_reply(HELLO) == "At last."


def test_a_failure_does_not_count_as_asked(agent, path):
    shared = {"path": path, "client": dummy([TimeoutError(), "Once."])}
    first, second = (agent(RecordingModelClient, **shared) for _ in range(2))
    with pytest.raises(TimeoutError):
        first.generate_reply(HELLO)
    assert second.generate_reply(HELLO) == first.generate_reply(HELLO) == "Once."
    assert len(lines(path)) == 1


def test_a_reply_that_autogen_filters_out_is_replayed_too(agent, path):
    def keep(context, response):
        return "yes" in response.choices[0].message.content

    for client in (dummy("no"), None):
        bot = agent(RecordingModelClient, path=path, client=client)
        assert bot.client.create(messages=HELLO, filter_func=keep).choices[0].message.content == "no"


# Tools and structured output ----------------------------------------------------------------------


def with_clock(agent, **kwargs):
    """Two agents, one of which has a tool that the other executes; return what was said."""
    from autogen import UserProxyAgent, register_function

    def clock(place: str) -> str:
        return f"It is 12:00 in {place}."

    user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    bot = agent(RecordingModelClient, **kwargs)
    register_function(clock, caller=bot, executor=user, description="Tell the time.")
    bot.register_model_client(RecordingModelClient, **kwargs)  # giving it a tool emptied the place
    return user.initiate_chat(bot, message="What time is it?", max_turns=2).chat_history


def test_a_tool_call_its_result_and_the_answer_are_replayed(agent, path):
    recorded = with_clock(agent, path=path, client=dummy([tool_call("clock", place="Málaga"), "Noon."]))
    contents = [message.get("content") or "" for message in recorded]
    assert contents == ["What time is it?", "", "It is 12:00 in Málaga.", "Noon."]
    assert with_clock(agent, path=path) == recorded
    assert recorded[1]["tool_calls"][0]["function"] == {"name": "clock", "arguments": '{"place": "Málaga"}'}
    assert [line["response"]["choices"][0]["finish_reason"] for line in lines(path)] == ["tool_calls", "stop"]
    assert all(line["request"]["tools"][0]["function"]["name"] == "clock" for line in lines(path))


CALL = {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"tool_calls": [CALL]},
        SimpleNamespace(
            content=None,
            function_call=None,
            tool_calls=[SimpleNamespace(**{**CALL, "function": SimpleNamespace(**CALL["function"])})],
        ),
        tool_call("clock").model_copy(update={"tool_calls": None, "content": "no call"}),
    ],
    ids=["dict", "short-dict", "namespace", "openai"],
)
def test_a_learners_message_objects_are_recorded(agent, path, message):
    cls = type("Messages", (Namespace,), {"message_retrieval": lambda self, response: [message]})
    replies = [
        agent(RecordingModelClient, path=path, client=client).generate_reply(HELLO) for client in (cls, None)
    ]
    assert replies[0] == replies[1]
    assert replies[0] == "no call" or replies[0]["tool_calls"] == [CALL]
    reason = lines(path)[0]["response"]["choices"][0]["finish_reason"]
    assert reason == ("stop" if replies[0] == "no call" else "tool_calls")


class Ticket(BaseModel):
    kind: str


def test_a_pydantic_class_as_response_format_is_recorded_by_its_schema(agent, path):
    reply = '{"kind": "bug"}'
    entry = {"response_format": Ticket}
    first = agent(RecordingModelClient, entry, path=path, client=dummy(reply))
    assert first.generate_reply(HELLO) == reply
    assert lines(path)[0]["request"]["response_format"] == Ticket.model_json_schema()
    assert agent(RecordingModelClient, entry, path=path).generate_reply(HELLO) == reply

    class Ticket2(BaseModel):
        kind: int

    Ticket2.__name__ = "Ticket"
    with pytest.raises(LookupError, match='[+] +"type": "integer"'):
        agent(RecordingModelClient, {"response_format": Ticket2}, path=path).generate_reply(HELLO)


def test_options_that_json_can_not_hold_do_not_hinder(path):
    def make_params():  # functions and objects of this call: elsewhere in memory each time
        return {"messages": HELLO, "model": "m", "params": {"f": lambda: 0, "g": object(), "t": (1, int)}}

    client = RecordingModelClient(ENTRY, path, dummy("Yes."))
    client.create(make_params())
    kept = [make_params() for _ in range(3)]
    assert RecordingModelClient(ENTRY, path).create(kept[-1]).choices[0].message.content == "Yes."
    assert lines(path)[0]["request"]["params"]["t"] == [1, "int"]
    assert " at 0x" not in path.read_text()


# What is not recorded -----------------------------------------------------------------------------


@pytest.fixture
def recorded(agent, path):
    """A recording of two turns."""
    asker = agent(DummyModelClient, name="asker", replies=["And in Italy?"])
    bot = agent(RecordingModelClient, {"temperature": 0.1}, path=path, client=dummy(["Paris.", "Rome."]))
    asker.initiate_chat(bot, message="The capital of France?", max_turns=2)
    return path


CHAT = [
    {"role": "user", "content": "The capital of France?", "name": "asker"},
    {"role": "assistant", "content": "Paris.", "name": "assistant"},
    {"role": "user", "content": "And in Italy?", "name": "asker"},
]


@pytest.mark.parametrize(
    ("entry", "system_message", "messages", "lines_of_diff"),
    [
        ({}, "Be kind.", CHAT[:1], ['-   "content": "Be brief."', '+   "content": "Be kind."']),
        ({}, "Be brief.", [{**CHAT[0], "name": "ann"}], ['"asker"', '"ann"']),
        ({}, "Be brief.", [*CHAT[:2], {**CHAT[2], "content": "Spain?"}], ["Italy?", "Spain?"]),
        ({}, "Be brief.", [*CHAT, CHAT[1], CHAT[2]], ["+  {"]),
        ({"temperature": 0.5}, "Be brief.", CHAT, ["0.1", "0.5"]),
        ({"max_tokens": 9}, "Be brief.", CHAT[:1], ['+ "max_tokens": 9']),
        ({"model": "big"}, "Be brief.", CHAT, ['- "model": "dummy"', '+ "model": "big"']),
        ({"params": {"top_k": 3}, "n": 2}, "Be brief.", CHAT, ['"top_k": 3']),
    ],
)
def test_another_request_is_refused_and_shown_beside_the_nearest(
    agent, recorded, entry, system_message, messages, lines_of_diff
):
    bot = agent(
        RecordingModelClient, {"temperature": 0.1, **entry}, system_message=system_message, path=recorded
    )
    with pytest.raises(LookupError, match="This request is not in .*talk.jsonl") as caught:
        bot.generate_reply(messages)
    first, *diff, last = str(caught.value).split("\n")
    assert first.endswith("the nearest one there:")
    assert all(part in "\n".join(diff) for part in lines_of_diff), caught.value
    assert last.startswith("Register with client=")
    assert len(lines(recorded)) == 2


def test_a_field_that_decides_no_reply_may_differ(agent, recorded):
    entry = {"temperature": 0.1, "device": "cuda:1", "tags": ["other"], "price": [1, 1]}
    bot = agent(RecordingModelClient, entry, path=recorded)
    assert [bot.generate_reply(CHAT[:1]), bot.generate_reply(CHAT)] == ["Paris.", "Rome."]


READ = "Much to read. " * 500
NUMBERS = " ".join(map(str, range(1500)))  # a text without an end of a sentence


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (f"{READ}A. {READ}", f"{READ}B. {READ}", ["-", "A. Much to read.", "+", "B. Much to read."]),
        (f"A{NUMBERS}", NUMBERS, ['-   "content": "A0', '+   "content": "0', "..."]),
    ],
)
def test_of_a_long_message_only_the_place_is_shown(agent, path, old, new, shown):
    agent(RecordingModelClient, path=path, client=dummy(), system_message=old).generate_reply(HELLO)
    with pytest.raises(LookupError) as caught:
        agent(RecordingModelClient, path=path, system_message=new).generate_reply(HELLO)
    assert all(part in str(caught.value) for part in shown)
    assert len(str(caught.value)) < 1500


def test_of_several_recordings_the_nearest_is_shown(agent, path):
    tickets = ["It crashes.", "How do I print?", "Where is my order?"]
    first = agent(RecordingModelClient, path=path, client=dummy())
    for ticket in tickets:
        first.generate_reply(says(f"Bug or question? {ticket}"))
    replay = agent(RecordingModelClient, path=path)
    for ticket in tickets:
        with pytest.raises(LookupError) as caught:
            replay.generate_reply(says(f"A bug or a question? {ticket}"))
        assert f'-   "content": "Bug or question? {ticket}"' in str(caught.value)


def test_without_a_recording_and_a_client_it_says_so(agent, path):
    with pytest.raises(LookupError, match="There is no recording in .*talk.jsonl yet. Register with client="):
        agent(RecordingModelClient, path=path).generate_reply(HELLO)
    assert not path.exists()


# The file -----------------------------------------------------------------------------------------


def test_two_agents_share_a_file(agent, path):
    def talk(replies):
        clients = [dummy(texts) for texts in replies] if replies else [None, None]
        pair = [
            agent(
                RecordingModelClient, name=name, path=path, client=client, system_message=f"You are {name}."
            )
            for name, client in zip(("ann", "ben"), clients, strict=True)
        ]
        return pair[0].initiate_chat(pair[1], message="Hello!", max_turns=3).chat_history

    said = talk([["A1", "A2"], ["B1", "B2", "B3"]])
    assert [message["content"] for message in said] == ["Hello!", "B1", "A1", "B2", "A2", "B3"]
    assert talk(None) == said
    assert len(lines(path)) == 5


def test_of_two_agents_that_ask_the_same_the_second_gets_the_firsts_reply(agent, path):
    pair = [agent(RecordingModelClient, path=path, client=dummy(reply)) for reply in ("first", "second")]
    assert [bot.generate_reply(HELLO) for bot in pair] == ["first", "first"]
    again = [agent(RecordingModelClient, path=path) for _ in range(2)]
    assert [bot.generate_reply(HELLO) for bot in again] == ["first", "first"]


SECRETS = ["sk-secret-1", "secret-2", "secret-3", "secret-4", "secret-5"]


@pytest.mark.parametrize("client", [Namespace, DummyModelClient])
def test_no_key_of_the_entry_is_ever_in_the_file(agent, path, client):
    entry = {
        "api_key": SECRETS[0],
        "headers": {"Authorization": SECRETS[1]},
        "extra_body": {"key": SECRETS[2]},
        "my_token": SECRETS[3],
        "device": "cpu",
        "tags": [SECRETS[4]],
        "base_url": "http://localhost:1/v1",
    }
    seen = []

    class Spy(client):
        def create(self, params):
            seen.append((self.given, params))
            return super().create(params)

        def __init__(self, config):
            self.given = config
            super().__init__(config)

    bot = agent(RecordingModelClient, entry, path=path, client=Spy)
    bot.generate_reply(HELLO)
    assert all(secret in str(seen) for secret in SECRETS)  # the client did get them
    text = path.read_text()
    assert "Hello there" in text
    assert not any(secret in text for secret in [*SECRETS, "localhost"])
    with pytest.raises(LookupError) as caught:
        agent(RecordingModelClient, entry, path=path).generate_reply(says("other"))
    assert not any(secret in str(caught.value) for secret in SECRETS)


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "not JSON",
        "5",
        "[]",
        '{"request": {"messages": []}}',
        '{"request": {}, "response": {"id": "", "choices": [], "created": 0, "model": "", '
        '"object": "chat.completion"}}',
        '{"request": 5, "response": {}}',
        '{"request": {"messages": []}, "response": {"choices": 5}}',
        '{"request": {"messages": []}, "response": "text"}',
        "\udcff",
    ],
)
def test_a_broken_line_is_named(agent, recorded, broken):
    first, second = recorded.read_bytes().splitlines()
    recorded.write_bytes(b"\n".join([first, broken.encode("utf-8", "surrogateescape"), second]))
    with pytest.raises(ValueError, match=r"talk\.jsonl, line 2 isn't a recorded request"):
        agent(RecordingModelClient, path=recorded)


def test_a_file_that_broke_meanwhile_is_not_written_to(agent, recorded):
    bot = agent(RecordingModelClient, path=recorded, client=dummy())
    recorded.write_text('{"half a line')
    with pytest.raises(ValueError, match="line 1 isn't a recorded request"):
        bot.generate_reply(HELLO)
    assert recorded.read_text() == '{"half a line'


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\n\n \n"])
def test_a_file_that_an_editor_saved_is_read_and_continued(agent, recorded, ending):
    text = b"\r\n".join(recorded.read_bytes().splitlines())
    recorded.write_bytes(b"\xef\xbb\xbf" + text + ending)  # as Windows' editor may write it
    entry = {"temperature": 0.1}
    bot = agent(RecordingModelClient, entry, path=recorded, client=dummy("New."))
    assert [bot.generate_reply(messages) for messages in (CHAT[:1], HELLO)] == ["Paris.", "New."]
    again = agent(RecordingModelClient, entry, path=recorded)
    assert [again.generate_reply(messages) for messages in (HELLO, CHAT)] == ["New.", "Rome."]


def test_the_folder_of_a_recording_is_made(agent, tmp_path):
    path = tmp_path / "recordings" / "today" / "talk.jsonl"
    bot = agent(RecordingModelClient, path=path, client=dummy("Hi."))
    assert not path.parent.exists()
    bot.generate_reply(HELLO)
    assert len(lines(path)) == 1


def test_a_recording_that_was_deleted_is_made_anew(agent, path):
    bot = agent(RecordingModelClient, path=path, client=dummy(["old", "new", "more"]))
    bot.generate_reply(HELLO)
    path.unlink()
    fresh = agent(RecordingModelClient, path=path, client=dummy(["new"]))
    assert fresh.generate_reply(HELLO) == "new"
    assert agent(RecordingModelClient, path=path).generate_reply(HELLO) == "new"


# Mistakes -----------------------------------------------------------------------------------------


def test_other_arguments_are_refused_and_the_way_out_is_named(agent, path):
    told = r"takes `path` and `client`, not 'replies', 'delay'\. .* client=ItsClass\(config, \.\.\.\)"
    with pytest.raises(TypeError, match=told):
        agent(RecordingModelClient, path=path, client=DummyModelClient, replies="x", delay=1)


@pytest.mark.parametrize("client", ["DummyModelClient", lambda params: "Hi.", {"model": "dummy"}])
def test_a_client_that_is_none_is_refused_at_registration(agent, path, client):
    with pytest.raises(TypeError, match="`client` must be a model client's class or a ready-made one, not "):
        agent(RecordingModelClient, path=path, client=client)


def test_the_entry_is_left_as_it_was_and_passed_on_whole(agent, path):
    entry = {"model": "mine", "params": {"replies": "From the entry."}, "device": "cpu"}
    bot = agent(RecordingModelClient, entry, path=path, client=DummyModelClient)
    assert bot.generate_reply(HELLO) == "From the entry."
    [client] = clients_of(bot)
    assert client.client.config == client.config and client.config["device"] == "cpu"
    assert entry == {"model": "mine", "params": {"replies": "From the entry."}, "device": "cpu"}


# Threads ------------------------------------------------------------------------------------------


def in_threads(count, function):
    start = threading.Barrier(count)

    def run(index):
        start.wait(10)
        return function(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


LONG = "word " * io.DEFAULT_BUFFER_SIZE  # more than one write of the file's buffer


def test_threads_record_whole_lines_and_get_their_own_reply(path):
    echo = DummyModelClient({"model": "dummy"}, replies=lambda messages: f"{messages[-1]['content']}! {LONG}")
    clients = [RecordingModelClient(ENTRY, path, echo) for _ in range(2)]

    def ask(index):
        texts = [
            clients[index % 2].create({"messages": says(f"{index}-{turn}")}).choices[0].message.content
            for turn in range(5)
        ]
        return [text.split("!")[0] for text in texts]

    expected = [[f"{index}-{turn}" for turn in range(5)] for index in range(6)]
    assert in_threads(6, ask) == expected
    assert len(lines(path)) == 30
    clients = [RecordingModelClient(ENTRY, path)] * 2
    assert in_threads(6, ask) == expected


def test_threads_that_ask_the_same_each_get_another_reply(path):
    script = DummyModelClient({"model": "dummy"}, replies=lambda messages: str(len(script.calls)), delay=0.02)
    client = RecordingModelClient(ENTRY, path, script)

    def ask(_):
        return client.create({"messages": HELLO}).choices[0].message.content

    recorded = in_threads(8, ask)
    assert len(lines(path)) == 8
    client = RecordingModelClient(ENTRY, path)
    assert sorted(in_threads(8, ask)) == sorted(recorded)


def test_threads_make_the_other_client_once(path):
    class Slow(Namespace):
        made = []

        def __init__(self, config):
            threading.Event().wait(0.05)
            self.made.append(config)
            super().__init__(config)

    client = RecordingModelClient(ENTRY, path, Slow)
    in_threads(4, lambda index: client.create({"messages": says(f"{index}")}))
    assert len(Slow.made) == 1
