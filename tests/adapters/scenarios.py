"""What must hold in every framework: each scenario gets a driver, the module that knows one of them.

A scenario named here runs once for each framework, through that framework's own agents. `needs` names
what some of them have no way for; their drivers say why in `LACKS`.
"""

import asyncio
import threading
import time
from types import SimpleNamespace

from pydantic import BaseModel

from kit import DummyModelClient, HuggingFaceModelClient, RecordingModelClient, tool_call

ENTRY = {"model": "dummy"}
SCENARIOS = {}
LIMIT = 60  # seconds that nothing here takes: what takes them hangs


def scenario(needs=None):
    def add(check):
        SCENARIOS[check.__name__] = check
        check.needs = needs
        return check

    return add


def run(check, drive, **things):
    """Run a scenario; one that hangs fails."""

    async def limited():
        await asyncio.wait_for(check(drive, **things), LIMIT)

    asyncio.run(limited())


def dummy(*replies, **kwargs):
    return DummyModelClient(ENTRY, replies=list(replies), **kwargs)


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


class Own:
    """A client as lesson 01 writes it: a SimpleNamespace, no id, an incomplete bill."""

    def __init__(self, config, *replies):
        self.model, self.replies, self.calls = config["model"], list(replies), []

    def create(self, params):
        self.calls.append(params)
        message = self.replies.pop(0)
        if not isinstance(message, SimpleNamespace):
            message = SimpleNamespace(content=message)
        return SimpleNamespace(choices=[SimpleNamespace(message=message)], model=self.model)

    def message_retrieval(self, response):
        messages = [choice.message for choice in response.choices]
        return [one if getattr(one, "tool_calls", None) else one.content for one in messages]

    def cost(self, response):
        return 0

    @staticmethod
    def get_usage(response):
        return {}


def texts(call):
    """Role and content of each message of a call."""
    return [(one["role"], one["content"]) for one in call["messages"]]


@scenario()
async def a_class_of_lesson_01_answers(drive):
    client = Own(ENTRY, "Hello!")
    assert (await drive.turn(client, "Good morning"))["text"] == "Hello!"
    assert texts(client.calls[0]) == [("system", "Be brief."), ("user", "Good morning")]
    assert not client.calls[0].get("tools")


@scenario()
async def message_retrieval_is_asked_always(drive):
    class Loud(Own):
        def message_retrieval(self, response):
            return [text.upper() for text in super().message_retrieval(response)]

    assert (await drive.turn(Loud(ENTRY, "Hello!")))["text"] == "HELLO!"


@scenario()
async def the_clients_of_the_kit_answer(drive, folder):
    assert (await drive.turn(dummy("Hello!")))["text"] == "Hello!"
    recorded = RecordingModelClient(ENTRY, path=folder / "talk.jsonl", client=dummy("Paris."))
    assert (await drive.turn(recorded))["text"] == "Paris."
    again = RecordingModelClient(ENTRY, path=folder / "talk.jsonl")
    assert (await drive.turn(again))["text"] == "Paris."


@scenario()
async def any_text_survives_both_ways(drive):
    odd = "Grüße,\n\t„你好“ 🎉 é\u0301 \\n {city} <|im_end|> "
    client = dummy(odd)
    assert (await drive.turn(client, odd, system=odd))["text"] == odd
    assert texts(client.calls[0]) == [("system", odd), ("user", odd)]


@scenario()
async def an_empty_reply_is_a_reply(drive):
    for nothing in ("", None):
        assert not (await drive.turn(Own(ENTRY, nothing)))["text"]


@scenario()
async def an_agent_remembers(drive):
    client = dummy("one", "two")
    assert await drive.talk(client, ["first", "second"]) == ["one", "two"]
    assert texts(client.calls[1])[1:] == [("user", "first"), ("assistant", "one"), ("user", "second")]


@scenario()
async def a_tool_is_called_and_its_result_comes_back(drive):
    client = dummy(tool_call("weather", city="Zürich"), "It is sunny.")
    assert (await drive.turn(client, tools=[weather]))["text"] == "It is sunny."
    first, second = client.calls
    function = first["tools"][0]["function"]
    assert function["name"] == "weather" and function["description"] == weather.__doc__
    assert function["parameters"]["properties"]["city"]["type"] == "string"
    called, result = second["messages"][-2:]
    assert called["role"] == "assistant" and result["role"] == "tool"
    assert called["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Zürich"}'}
    assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert result["content"] == "sunny in Zürich"


@scenario()
async def tool_calls_without_good_ids_keep_their_results_apart(drive):
    cities = ["Paris", "Rome", "Oslo", "Bern"]
    calls = [
        {"id": number, "function": {"name": "weather", "arguments": f'{{"city": "{city}"}}'}}
        for number, city in zip(["a", "a", 7, None], cities, strict=True)
    ]
    del calls[-1]["id"]
    client = Own(ENTRY, SimpleNamespace(content=None, tool_calls=calls), "Sunny everywhere.")
    assert (await drive.turn(client, tools=[weather]))["text"] == "Sunny everywhere."
    messages = client.calls[1]["messages"]
    called = next(one["tool_calls"] for one in messages if one.get("tool_calls"))
    results = {one["tool_call_id"]: one["content"] for one in messages if one["role"] == "tool"}
    assert [results[call["id"]] for call in called] == [f"sunny in {city}" for city in cities]


@scenario()
async def arguments_may_be_a_dictionary(drive):
    call = SimpleNamespace(function=SimpleNamespace(name="weather", arguments={"city": "Paris"}))
    client = Own(ENTRY, SimpleNamespace(content="", tool_calls=[call]), "Fine.")
    assert (await drive.turn(client, tools=[weather]))["text"] == "Fine."
    assert client.calls[1]["messages"][-1]["content"] == "sunny in Paris"


@scenario()
async def the_model_is_told_of_a_call_that_fails(drive):
    bad = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{city: Paris"}}
    client = dummy(tool_call("no_such_tool"), {"content": None, "tool_calls": [bad]}, "I give up.")
    assert (await drive.turn(client, tools=[weather]))["text"] == "I give up."
    for call in client.calls[1:]:
        result = call["messages"][-1]
        assert result["role"] == "tool" and result["content"]
        assert "sunny" not in result["content"]


@scenario()
async def tokens_are_counted(drive):
    assert (await drive.turn(dummy("three word answer"), "two words"))["usage"] == (4, 3)
    assert (await drive.turn(Own(ENTRY, "no bill")))["usage"] == (0, 0)


@scenario(needs="finish")
async def why_a_reply_ended_is_told(drive):
    assert (await drive.turn(dummy("all of it")))["finish"] == "stop"
    cut = DummyModelClient({**ENTRY, "max_tokens": 2}, replies="one two three")
    turn = await drive.turn(cut)
    assert (turn["text"], turn["finish"]) == ("one two", "length")


@scenario()
async def a_response_may_be_a_dictionary(drive):
    class Dictionaries(Own):
        def create(self, params):
            self.calls.append(params)
            return {"choices": [{"message": {"content": "cut o"}, "finish_reason": "length"}]}

        def message_retrieval(self, response):
            return [choice["message"]["content"] for choice in response["choices"]]

    turn = await drive.turn(Dictionaries(ENTRY))
    assert turn["text"] == "cut o" and turn.get("finish", "length") == "length"


@scenario()
async def a_content_in_parts_and_a_refusal_are_text(drive):
    parts = [{"type": "text", "text": "one "}, SimpleNamespace(type="text", text="two")]
    client = Own(ENTRY, SimpleNamespace(content=parts), SimpleNamespace(content=None, refusal="I won't."))
    assert await drive.talk(client, ["1", "2"]) == ["one two", "I won't."]


@scenario(needs="options")
async def options_of_a_call_reach_the_client(drive):
    client = dummy("one two three")
    turn = await drive.turn(client, options={"temperature": 0.5, "max_tokens": 2, "top_k": 40})
    assert turn["text"] == "one two"
    given = {name: client.calls[0][name] for name in ("temperature", "max_tokens", "top_k")}
    assert given == {"temperature": 0.5, "max_tokens": 2, "top_k": 40}


@scenario()
async def of_several_choices_the_first_counts(drive):
    client = DummyModelClient({**ENTRY, "n": 2}, replies=[["first", "second"]])
    turn = await drive.turn(client, **({"options": {"n": 2}} if drive.NAME == "AutoGen classic" else {}))
    assert turn["text"] == "first"
    if "raw" in turn:  # this framework has a place for the others
        assert [one.message.content for one in turn["raw"].raw_representation.choices] == ["first", "second"]


def thinking(thoughts, message):
    """Return a message whose model thought before it spoke."""
    known = message if isinstance(message, dict) else {"content": message}
    return {**known, "reasoning_content": thoughts}


@scenario()
async def thoughts_reach_neither_the_text_nor_the_next_request(drive):
    call = tool_call("weather", city="Paris").model_dump()
    client = dummy(thinking("Hm, a tool.", call), thinking("Hm, sunny.", "It is sunny."))
    for stream in ({}, {} if "stream" in drive.LACKS else {"stream": True}):
        turn = await drive.turn(client, tools=[weather], **stream)
        assert turn["text"] == "It is sunny." and "Hm" not in "".join(turn.get("pieces", []))
        assert "sunny in Paris" in str(client.calls[-1]["messages"])
        assert "Hm" not in str(client.calls)
        client = dummy(*client.replies)
    client = dummy(thinking("Hm, one?", "one"), thinking(None, "two"), thinking("", "three"))
    assert await drive.talk(client, ["1", "2", "3"]) == ["one", "two", "three"]
    assert "Hm" not in str(client.calls)
    clients = {name: dummy(*[thinking("Hm.", name)] * 3) for name in ("ann", "ben")}
    assert all(name == text for name, text in await drive.team(clients, "Go on."))
    assert not any("Hm" in str(client.calls) for client in clients.values())


@scenario(needs="thoughts")
async def thoughts_have_a_place_of_their_own(drive):
    for stream in (False, True):
        turn = await drive.turn(dummy(thinking("Hm, who?", "Hello!")), stream=stream)
        assert (turn["text"], turn["thoughts"]) == ("Hello!", ["Hm, who?"])
        assert (await drive.turn(dummy("Hello!"), stream=stream))["thoughts"] == []
        call = tool_call("weather", city="Paris").model_dump()
        client = dummy(thinking("Hm, a tool.", call), thinking("Hm, sunny.", "It is sunny."))
        assert (await drive.turn(client, tools=[weather], stream=stream))["thoughts"] == [
            "Hm, a tool.",
            "Hm, sunny.",
        ]


class Thinker(Own):
    """A client that streams, its thoughts too."""

    on_text = on_thought = None

    def create(self, params):
        for piece in ("Hm,", " sunny."):
            self.on_thought and self.on_thought(piece)
        self.on_text and self.on_text("Sunny.")
        self.replies = [SimpleNamespace(**thinking("Hm, sunny.", "Sunny."))]
        return super().create(params)


@scenario(needs="thoughts")
async def thoughts_stream_before_the_text(drive):
    turn = await drive.turn(Thinker(ENTRY), stream=True)
    assert turn["pieces"] == ["Sunny."] and "".join(turn["thoughts"]) == "Hm, sunny."
    if "order" in turn:  # of those frameworks that tell thoughts as they come
        assert turn["order"] == ["Hm,", " sunny.", "Sunny."]


class Weather(BaseModel):
    city: str
    degrees: int


@scenario(needs="schema")
async def a_schema_reaches_the_client_and_the_reply_is_read_by_it(drive):
    client = dummy('{"city": "Paris", "degrees": 21}')
    turn = await drive.turn(client, schema=Weather)
    assert turn["value"] == Weather(city="Paris", degrees=21)
    assert client.calls[0]["response_format"]


@scenario(needs="stream")
async def a_client_with_on_text_streams(drive):
    pieces, go_on = [], threading.Event()
    client = dummy("one two  three", on_text=lambda piece: piece == "one" or go_on.wait(LIMIT))
    mine = client.on_text
    task = asyncio.ensure_future(drive.turn(client, stream=True, pieces=pieces))
    while not pieces:
        await asyncio.sleep(0.02)
    assert pieces == ["one"], "the others are not even made"
    go_on.set()
    assert (await task)["text"] == "one two  three"
    assert pieces == ["one", " two", "  three"]
    assert client.on_text is mine, "it is given back as it was"


@scenario(needs="stream")
async def a_client_without_on_text_gives_one_piece(drive):
    turn = await drive.turn(Own(ENTRY, "one two three"), stream=True)
    assert turn["pieces"] == ["one two three"] and turn["text"] == "one two three"
    assert turn["usage"] == (0, 0)


@scenario(needs="stream")
async def tools_and_usage_come_through_a_stream(drive):
    client = dummy(tool_call("weather", city="Paris"), "It is sunny.")
    turn = await drive.turn(client, tools=[weather], stream=True)
    assert turn["text"] == "It is sunny." and turn["pieces"] == ["It", " is", " sunny."]
    assert client.calls[1]["messages"][-1]["content"] == "sunny in Paris"
    assert turn["usage"][1] == 3 and client.on_text is None


@scenario(needs="stream")
async def pieces_join_to_the_text_of_a_client_that_changes_it_afterwards(drive):
    class Tidy(DummyModelClient):
        def message_retrieval(self, response):
            return [text.strip().upper() for text in super().message_retrieval(response)]

    turn = await drive.turn(Tidy(ENTRY, replies=" so so "), stream=True)
    assert "".join(turn["pieces"]) == turn["text"] == " so so "


@scenario(needs="cancel")
async def a_cancelled_turn_ends_at_once(drive):
    for stream in (False, True):
        client = dummy("too late", delay=20)
        task, cancel = drive.cancellable(client, stream)
        while not client.calls:
            await asyncio.sleep(0.02)
        before = time.monotonic()
        cancel()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled() and time.monotonic() - before < 2


@scenario(needs="cancel")
async def a_client_that_streams_is_stopped_in_the_middle(drive):
    heard, go_on = [], threading.Event()

    def hear(piece):
        heard.append(piece)
        go_on.wait(LIMIT)

    client = dummy("one two three four five", "again", on_text=hear)
    task, cancel = drive.cancellable(client, True)
    while not heard:
        await asyncio.sleep(0.02)
    cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    go_on.set()
    assert (await drive.turn(client))["text"] == "again"
    assert heard == ["one", "again"]


@scenario()
async def an_error_of_the_client_comes_out_once_and_as_it_is(drive):
    class Odd(Exception):
        pass

    client = dummy(Odd("the model is on fire"))
    try:
        await drive.turn(client)
    except Odd as error:
        assert str(error) == "the model is on fire"
    else:
        raise AssertionError("no error came out")
    assert len(client.calls) == 1


@scenario()
async def a_script_that_runs_out_is_no_hang(drive):
    script = iter(["Hello!"])

    class Scripted(Own):
        def create(self, params):
            self.replies = [next(script)]
            return super().create(params)

    client = Scripted(ENTRY)
    assert (await drive.turn(client))["text"] == "Hello!"
    try:
        await drive.turn(client)
    except RuntimeError as error:
        assert "script has run out" in str(error)
    else:
        raise AssertionError("no error came out")


@scenario()
async def a_client_that_breaks_the_protocol_is_told_how(drive):
    class Async(Own):
        async def create(self, params):
            return super().create(params)

    class Text(Own):
        def message_retrieval(self, response):
            return "Hello!"

    class Nothing(Own):
        def message_retrieval(self, response):
            return []

    for broken, told in ((Async, "Async.create is async"), (Text, "must return a list"), (Nothing, "a list")):
        try:
            await drive.turn(broken(ENTRY, "Hello!"))
        except TypeError as error:
            assert told in str(error)
        else:
            raise AssertionError(f"no error came out of {broken.__name__}")


@scenario()
async def the_event_loop_goes_on_meanwhile(drive):
    client = dummy("done", delay=0.3)
    task, ticks = asyncio.ensure_future(drive.turn(client)), 0
    while not task.done():
        await asyncio.sleep(0.02)
        ticks += bool(client.calls)
    assert (await task)["text"] == "done" and ticks > 4


class Crowded(Own):
    """A client that notes how many threads are in it at once."""

    inside = most = 0
    counting = threading.Lock()

    def enter(self, change):
        with self.counting:
            self.inside += change
            self.most = max(self.most, self.inside)

    def create(self, params):
        self.enter(1)
        time.sleep(0.1)
        self.enter(-1)
        return super().create(params)


@scenario()
async def a_client_is_never_entered_twice_at_once(drive):
    client = Crowded(ENTRY, *["done"] * 4)
    turns = await asyncio.gather(*(drive.turn(client) for _ in range(4)))
    assert [turn["text"] for turn in turns] == ["done"] * 4 and client.most == 1


async def speak(drive, *names):
    clients = {name: dummy(*[f"{name} speaks"] * 3, delay=0.05) for name in names}
    said = await drive.team(clients, "Go on.")
    assert {text for _, text in said} <= {f"{name} speaks" for name in names}
    assert all(text == f"{name} speaks" for name, text in said)
    speakers = [name for name, _ in said]
    assert len(speakers) >= 2
    assert all(one != other for one, other in zip(speakers, speakers[1:], strict=False))
    heard = str(clients[speakers[-1]].calls[-1]["messages"])
    assert any(f"{name} speaks" in heard for name in speakers if name != speakers[-1])
    return set(speakers)


@scenario()
async def two_agents_talk(drive):
    assert await speak(drive, "ann", "ben") == {"ann", "ben"}


@scenario()
async def three_agents_talk(drive):
    assert {"ben", "cat"} <= await speak(drive, "ann", "ben", "cat")


@scenario()
async def a_real_model_answers(drive, local_model_folder):
    client = HuggingFaceModelClient({"model": local_model_folder, "max_tokens": 12, "device": "cpu"})
    turn = await drive.turn(
        client,
        "What is the capital of France?",
        system="You are a helpful assistant.",
        **({} if "stream" in drive.LACKS else {"stream": True}),
    )
    assert "Paris" in turn["text"] and turn["usage"][0] > 20
    if "pieces" in turn:
        assert len(turn["pieces"]) > 1 and "".join(turn["pieces"]) == turn["text"]
