"""A conversation with real AutoGen agents: who says what, piece by piece, stopped, failed and counted."""

import threading
import time

import pytest
from autogen import AssistantAgent, ConversableAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent
from autogen.events.client_events import StreamEvent
from autogen.io.base import IOStream
from openai.types.chat import ChatCompletionMessage
from openai.types.chat.chat_completion_message_function_tool_call import (
    ChatCompletionMessageFunctionToolCall,
    Function,
)

from kit import DummyModelClient, HuggingFaceModelClient
from kit.widgets.conversation import Conversation, Message, Usage

ENDLESS = "word " * 2000  # ten seconds of it, if nobody stops it


class Talker(DummyModelClient):
    """Hands out its reply word by word, as HuggingFaceModelClient does; with `stream` as events, too."""

    def _take_time(self, text):
        self.delay = 0.005 * len(text.split())
        super()._take_time(text)

    def create(self, params):
        on_text = self.on_text

        def both(piece):
            if on_text:
                on_text(piece)
            if params.get("stream"):
                IOStream.get_default().send(StreamEvent(content=piece))

        self.on_text = both
        try:
            return super().create(params)
        finally:
            self.on_text = on_text


class Announcer(DummyModelClient):
    """Sends its reply word by word as AutoGen's events, as AutoGen's own clients do."""

    def create(self, params):
        response = super().create(params)
        for word in response.choices[0].message.content.split(" "):
            IOStream.get_default().send(StreamEvent(content=f"{word} "))
            time.sleep(0.005)
        return response


class Slow(DummyModelClient):
    """Does not stream, and takes its time: `started` is set once it is asked."""

    started = threading.Event()

    def create(self, params):
        self.started.set()
        time.sleep(0.3)
        return super().create(params)


class Wordless(DummyModelClient):
    """Gives AutoGen no usage."""

    @staticmethod
    def get_usage(response):
        return None


class ToolCaller(DummyModelClient):
    """Calls the tool named in its replies; AutoGen gets the whole message."""

    def message_retrieval(self, response):
        text = response.choices[0].message.content
        if not text.startswith("{"):
            return [text]
        function = Function(name="add", arguments=text)
        call = ChatCompletionMessageFunctionToolCall(id="call_1", type="function", function=function)
        return [ChatCompletionMessage(role="assistant", tool_calls=[call])]


def lines(conversation):
    return [(message.speaker, message.text) for message in conversation.messages]


def in_background(conversation, text):
    thread = threading.Thread(target=conversation.send, args=[text])
    thread.start()
    return thread


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("this never came true")


@pytest.fixture
def group(agent):
    """Make a group chat of scripted agents who speak in turn; each line is a name and its replies."""

    def make(client_class=DummyModelClient, max_round=4, **members):
        agents = [agent(client_class, name=name, replies=replies) for name, replies in members.items()]
        chat = GroupChat(agents, messages=[], max_round=max_round, speaker_selection_method="round_robin")
        return GroupChatManager(chat)

    return make


# One agent


def test_an_agent_answers_and_remembers_the_messages(agent):
    def replies(messages):
        return f"You said: {', '.join(m['content'] for m in messages if m['role'] == 'user')}"

    conversation = Conversation(agent(DummyModelClient, replies=replies))
    assert conversation.send("one").text == "You said: one"
    conversation.send("two")
    assert lines(conversation) == [
        ("You", "one"),
        ("assistant", "You said: one"),
        ("You", "two"),
        ("assistant", "You said: one, two"),
    ]


def test_the_agents_own_history_and_settings_stay_as_they_are(agent, capsys):
    assistant = agent(Talker, replies="Hi")
    mine = [].append
    client = assistant.client._clients[0]
    client.on_text = mine
    conversation = Conversation(assistant)
    conversation.send("Hello")
    assert assistant.chat_messages == {}
    assert client.on_text is mine
    assert capsys.readouterr().out == ""


def test_a_reply_limit_does_not_silence_an_agent_and_nobody_is_asked_for_input(agent, monkeypatch):
    monkeypatch.setattr("builtins.input", None)
    assistant = agent(DummyModelClient)
    assistant.human_input_mode = "ALWAYS"
    assistant.update_max_consecutive_auto_reply(1)
    conversation = Conversation(assistant)
    assert [conversation.send("Hello").text for _ in range(3)] == ["This is a dummy reply."] * 3


def test_what_can_not_chat_is_refused():
    with pytest.raises(TypeError, match="not 'assistant'"):
        Conversation("assistant")


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_message_is_not_sent(agent, text):
    conversation = Conversation(agent(DummyModelClient))
    with pytest.raises(ValueError, match="Write a message first"):
        conversation.send(text)
    assert conversation.messages == []


@pytest.mark.parametrize("text", ['<img src=x onerror="alert(1)">', "**bold** {braces} %s \\n", "\x00 ü 🙂"])
def test_hostile_text_is_kept_letter_by_letter(agent, text):
    conversation = Conversation(agent(DummyModelClient, replies=text))
    conversation.send(text)
    assert lines(conversation) == [("You", text), ("assistant", text)]


# Usage


def test_each_reply_has_what_it_took_and_the_total_adds_up(agent):
    conversation = Conversation(agent(DummyModelClient, {"price": [1, 2]}, replies=["one", "two words"]))
    first = conversation.send("Hello").usage
    assert (first.prompt_tokens, first.completion_tokens, first.cost) == (3, 1, pytest.approx(0.005))
    second = conversation.send("Hello you").usage
    assert (second.prompt_tokens, second.completion_tokens) == (6, 2)
    total = conversation.total
    assert (total.prompt_tokens, total.completion_tokens, total.cost) == (9, 3, pytest.approx(0.015))
    assert total.seconds == pytest.approx(first.seconds + second.seconds)


def test_a_client_without_usage_gets_no_zeros(agent):
    conversation = Conversation(agent(Wordless))
    note = conversation.send("Hello").note
    assert note.endswith(" s")
    assert "token" not in note


def test_usage_in_few_words():
    assert str(Usage(1.26, 12, 5, 0.00123456)) == "1.3 s, 12 + 5 tokens, cost 0.001235"
    assert str(Usage(1.26, 12, 5)) == "1.3 s, 12 + 5 tokens"
    assert Message("a", usage=Usage(2), stopped=True).note == "2.0 s, stopped"


# Streaming and stopping


@pytest.mark.parametrize(
    ("client_class", "entry"),
    [(Talker, {}), (Announcer, {"stream": True}), (Talker, {"stream": True})],
    ids=["by on_text", "by events", "by both"],
)
def test_a_reply_grows_word_by_word(agent, client_class, entry):
    conversation = Conversation(agent(client_class, entry, replies="one two three"))
    seen = []
    conversation.on_change.append(lambda: seen.append(conversation.messages[-1].text))
    conversation.send("Count")
    assert list(dict.fromkeys(seen)) == ["Count", "", "one", "one two", "one two three"]


@pytest.mark.parametrize("client_class", [Talker, Announcer])
def test_stop_ends_a_long_reply_at_once_and_keeps_its_text(agent, client_class):
    conversation = Conversation(agent(client_class, replies=ENDLESS))
    thread = in_background(conversation, "Talk")
    until(lambda: conversation.messages[-1].text.count("word") > 2)
    begun = time.monotonic()
    conversation.stop()
    thread.join(5)
    assert time.monotonic() - begun < 1
    assert not conversation.running
    reply = conversation.messages[-1]
    assert reply.stopped
    assert reply.note.endswith("stopped")
    assert 2 < reply.text.count("word") < 2000


def test_after_a_stop_the_chat_goes_on_and_the_model_knows_how_far_it_came(agent):
    def replies(messages):
        return ENDLESS if len(messages) == 2 else messages[2]["content"]

    conversation = Conversation(agent(Talker, replies=replies))
    thread = in_background(conversation, "Talk")
    until(lambda: "word word" in conversation.messages[-1].text)
    conversation.stop()
    thread.join(5)
    stopped = conversation.messages[-1].text
    assert conversation.send("What did you say?").text == stopped
    assert not conversation.messages[-1].stopped


def test_the_late_reply_of_a_client_that_does_not_stream_is_discarded(agent):
    Slow.started.clear()
    conversation = Conversation(agent(Slow, replies=["late", "in time"]))
    thread = in_background(conversation, "Hello")
    Slow.started.wait(5)
    conversation.stop()
    assert conversation.running
    assert conversation.stopping
    thread.join(5)
    assert (conversation.messages[-1].text, conversation.messages[-1].stopped) == ("", True)
    assert conversation.send("Again").text == "in time"


def test_while_a_reply_is_written_nothing_else_is_sent_or_cleared(agent):
    conversation = Conversation(agent(Talker, replies=ENDLESS))
    thread = in_background(conversation, "Talk")
    until(lambda: conversation.growing)
    for refused in (lambda: conversation.send("Me too"), conversation.clear):
        with pytest.raises(RuntimeError, match="assistant is still answering"):
            refused()
    conversation.stop()
    thread.join(5)
    assert [message.text for message in conversation.messages[:-1]] == ["Talk"]


def test_stop_does_nothing_while_nobody_speaks(agent):
    conversation = Conversation(agent(DummyModelClient))
    conversation.stop()
    assert conversation.send("Hello").text == "This is a dummy reply."


def test_an_interrupt_of_the_kernel_ends_the_reply_as_stop_does(agent):
    def replies(messages):
        raise KeyboardInterrupt

    conversation = Conversation(agent(DummyModelClient, replies=replies))
    with pytest.raises(KeyboardInterrupt):
        conversation.send("Hello")
    assert not conversation.running
    assert conversation.messages[-1].stopped


# Errors


def test_an_error_is_shown_and_the_same_message_can_be_sent_again(agent):
    seen = []

    def replies(messages):
        seen.append([message["content"] for message in messages])
        if len(seen) == 2:
            raise OSError("the cable is out")
        return "fine"

    conversation = Conversation(agent(DummyModelClient, replies=replies))
    conversation.send("one")
    failed = conversation.send("two")
    assert failed.kind == "error"
    assert failed.finding.code == "error"
    assert "OSError: the cable is out\nFix: " in failed.text
    assert conversation.send("two").text == "fine"
    assert seen[2] == seen[1] == ["Be brief.", "one", "fine", "two"]


def test_a_class_that_is_not_registered_is_shown_with_its_agent_and_entry():
    entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
    assistant = AssistantAgent("helper", llm_config=LLMConfig(entry))
    conversation = Conversation(assistant)
    reply = conversation.send("Hello")
    assert reply.finding.code == "not-registered"
    assert "helper, entry 0 (dummy)" in reply.text
    assert reply.text.endswith("Fix: helper.register_model_client(DummyModelClient)")
    assistant.register_model_client(DummyModelClient)
    assert conversation.send("Hello").text == "This is a dummy reply."


def test_an_agent_without_a_model_is_an_error():
    reply = Conversation(ConversableAgent("helper", llm_config=False)).send("Hello")
    assert reply.finding.code == "no-llm-config"
    assert reply.text.startswith("✖ helper") and "\nFix: " in reply.text


def test_an_agent_without_a_model_may_have_an_answer_of_its_own():
    parrot = ConversableAgent("parrot", llm_config=False, default_auto_reply="Hello!")
    assert Conversation(parrot).send("Hi").text == "Hello!"


def test_no_message_shows_a_key_and_the_model_gets_what_was_said(agent):
    key = "my-own-key-77"
    assistant = agent(DummyModelClient, {"api_key": key}, replies=f"Your key is {key}.")
    conversation = Conversation(assistant)
    for _ in range(2):
        conversation.send(f"I have {key}.")
    assert key not in repr(conversation.messages) + conversation.markdown()
    seen = [message["content"] for message in assistant.client._clients[0].calls[1]["messages"][1:]]
    assert seen == [f"I have {key}.", f"Your key is {key}.", f"I have {key}."]


@pytest.mark.parametrize("key", ["sk-1234567890abcdef", "my-own-key-77"], ids=["known by its look", "ours"])
def test_an_error_that_quotes_a_key_hides_it(agent, key):
    def replies(messages):
        raise ValueError(f"the server refused {key!r}.")

    conversation = Conversation(agent(DummyModelClient, {"api_key": "my-own-key-77"}, replies=replies))
    reply = conversation.send("Hello")
    assert "the server refused '****" in reply.text
    assert key not in repr(conversation.messages) + conversation.markdown()


# Tools


def adder(agent, runs):
    assistant = agent(ToolCaller, replies=['{"a": 1, "b": 2}', "It is 3."])
    if runs:
        assistant.register_function({"add": lambda a, b: a + b}, silent_override=True)
    return assistant


def test_a_tool_that_the_agent_can_run_is_called_and_the_answer_follows(agent):
    conversation = Conversation(adder(agent, runs=True))
    conversation.send("1 + 2?")
    texts = [message.text for message in conversation.messages]
    assert texts[1] == "add(a=1, b=2)"
    assert [message.kind for message in conversation.messages] == ["question", "reply", "result", "reply"]
    assert (conversation.messages[1].words, conversation.messages[1].calls) == ("", ["add(a=1, b=2)"])
    assert conversation.messages[2].results == [("add", "3")]
    assert "3" in texts[2]
    assert texts[3:] == ["It is 3."]


def test_a_tool_that_nobody_runs_is_shown_and_the_chat_goes_on(agent):
    assistant = adder(agent, runs=False)
    conversation = Conversation(assistant)
    assert conversation.send("1 + 2?").text == "add(a=1, b=2)"
    assert conversation.send("Well?").text == "It is 3."
    sent = assistant.client._clients[0].calls[-1]["messages"]
    assert [message["content"] for message in sent[1:]] == ["1 + 2?", "add(a=1, b=2)", "Well?"]
    assert not any("tool_calls" in message for message in sent)  # a server refuses calls without an answer


def test_tool_calls_that_are_not_json_are_shown_as_the_model_wrote_them(agent):
    conversation = Conversation(agent(ToolCaller, replies="{a: 1"))
    assert conversation.send("1 + 2?").text == "add({a: 1)"


# A group chat


def test_in_a_group_every_speaker_has_a_name_and_a_note(group):
    conversation = Conversation(group(writer=["a draft", "a better draft"], critic=["too long"]))
    conversation.send("Write")
    assert lines(conversation) == [
        ("You", "Write"),
        ("writer", "a draft"),
        ("critic", "too long"),
        ("writer", "a better draft"),
    ]
    assert all(message.usage.completion_tokens >= 2 for message in conversation.messages[1:])


def test_a_group_appears_message_by_message_even_if_it_is_silent(group):
    manager = group(writer="draft", critic="fine")
    for member in (manager, *manager.groupchat.agents):
        member.silent = member._silent = True
    conversation = Conversation(manager)
    speakers = []
    conversation.on_change.append(lambda: speakers.append(conversation.messages[-1].speaker))
    conversation.send("Write")
    assert list(dict.fromkeys(speakers)) == ["You", "writer", "critic"]
    assert len(conversation.messages) == 4


def test_nothing_is_left_in_a_groups_agents_but_their_history(group, capsys):
    manager = group(Talker, writer="draft", critic="fine")
    Conversation(manager).send("Write")
    for member in manager.groupchat.agents:
        assert not any(member.hook_lists.values())
        assert member.client._clients[0].on_text is None
    assert capsys.readouterr().out == ""


def test_a_group_goes_on_with_the_next_message_and_forgets_after_clear(group):
    manager = group(writer=lambda messages: f"{len(messages)} messages", critic=lambda messages: "fine")
    conversation = Conversation(manager)
    conversation.send("one")
    assert conversation.send("two").text == "8 messages"
    conversation.clear()
    assert conversation.messages == []
    conversation.send("three")
    assert conversation.messages[1].text == "2 messages"


def test_stop_ends_a_group_in_the_middle_of_a_reply(group):
    conversation = Conversation(group(Talker, writer="a draft", critic=ENDLESS))
    thread = in_background(conversation, "Write")
    until(lambda: conversation.messages[-1].speaker == "critic" and conversation.messages[-1].text)
    conversation.stop()
    thread.join(5)
    assert [message.speaker for message in conversation.messages] == ["You", "writer", "critic"]
    assert [message.stopped for message in conversation.messages] == [False, False, True]


def test_a_group_that_fails_keeps_its_messages_and_names_who_failed(group):
    def refuse(messages):
        raise ValueError("no critique today")

    conversation = Conversation(group(writer="a draft", critic=refuse))
    failed = conversation.send("Write")
    assert lines(conversation)[:2] == [("You", "Write"), ("writer", "a draft")]
    assert failed.speaker == "critic"
    assert failed.text.splitlines()[0].endswith(": ValueError: no critique today")


def test_a_human_in_the_group_is_not_waited_for(group, monkeypatch):
    monkeypatch.setattr("builtins.input", None)
    manager = group(writer="a draft")
    human = UserProxyAgent("human", human_input_mode="ALWAYS", code_execution_config=False)
    manager.groupchat.agents.append(human)
    conversation = Conversation(manager)
    conversation.send("Write")
    assert ("writer", "a draft") in lines(conversation)
    assert not any(message.kind == "error" for message in conversation.messages)


def test_a_group_in_which_nobody_may_speak_says_so(group):
    reply = Conversation(group(max_round=1, writer="a draft")).send("Write")
    assert reply.finding.code == "no-reply"
    assert "max_round" in reply.text


def test_choosing_the_speaker_is_not_part_of_the_conversation(agent):
    from kit import register_model_clients

    entry = {"model": "dummy", "model_client_cls": "Talker"}
    members = [agent(Talker, name=name, replies=f"{name} speaks") for name in ("one", "two")]
    manager = GroupChatManager(
        GroupChat(members, messages=[], max_round=3, speaker_selection_method="auto"),
        llm_config=LLMConfig({**entry, "stream": True}),
    )
    register_model_clients(manager, Talker({**entry}, replies="two"))
    conversation = Conversation(manager)
    conversation.send("Go")
    assert [speaker for speaker, _ in lines(conversation)][:2] == ["You", "two"]
    assert len(conversation.messages) == 3


# Thoughts


class Thinker(DummyModelClient):
    """Tells its thoughts by `on_thought`, as it has them; the response has them as well."""

    on_thought = None

    def create(self, params):
        for piece in ("The ", "sky?"):
            self.on_thought(piece)
        return super().create(params)


class Closed(DummyModelClient):
    """Takes no attribute from outside."""

    def __setattr__(self, name, value):
        if name == "create":
            raise AttributeError("this class is closed")
        super().__setattr__(name, value)


def test_thoughts_are_in_the_response_where_autogen_does_not_look(agent):
    assistant = agent(
        DummyModelClient, replies=[{"content": "Blue.", "reasoning_content": "The sky?"}, "Yes."]
    )
    conversation = Conversation(assistant)
    reply = conversation.send("Which colour?")
    assert (reply.text, reply.thoughts) == ("Blue.", "The sky?")
    assert conversation.send("Sure?").thoughts == ""
    client = assistant.client._clients[0]
    assert "The sky?" not in str(client.calls)  # the model does not get them back
    assert "create" not in vars(client)  # nothing is left in it


def test_thoughts_grow_before_the_reply(agent):
    conversation = Conversation(agent(Thinker, replies="Blue."))
    seen = []
    conversation.on_change.append(lambda: seen.append(conversation.messages[-1].thoughts))
    conversation.send("Which colour?")
    assert list(dict.fromkeys(seen)) == ["", "The ", "The sky?"]
    assert (conversation.messages[1].text, conversation.messages[1].thoughts) == ("Blue.", "The sky?")


def test_a_client_that_takes_no_listener_answers_all_the_same(agent):
    assert Conversation(agent(Closed, replies="Blue.")).send("Which colour?").text == "Blue."


# Transcript


def test_clear_forgets_everything(agent):
    conversation = Conversation(agent(DummyModelClient, replies=lambda messages: str(len(messages))))
    conversation.send("one")
    conversation.clear()
    assert conversation.messages == []
    assert conversation.total == Usage()
    assert conversation.send("two").text == "2"  # the system message and this one


@pytest.mark.parametrize("times", [1, 2])
def test_clear_can_be_undone_until_the_next_message(agent, times):
    conversation = Conversation(agent(DummyModelClient, replies=lambda messages: str(len(messages))))
    conversation.send("one")
    for _ in range(times):  # an empty chat has nothing to lose
        conversation.clear()
    conversation.undo_clear()
    assert lines(conversation) == [("You", "one"), ("assistant", "2")]
    assert conversation.send("two").text == "4"
    with pytest.raises(RuntimeError, match="nothing to bring back"):
        conversation.undo_clear()


def test_a_group_remembers_after_an_undone_clear(group):
    manager = group(writer=lambda messages: f"{len(messages)} messages", critic=lambda messages: "fine")
    conversation = Conversation(manager)
    conversation.send("one")
    conversation.clear()
    conversation.undo_clear()
    assert conversation.send("two").text == "8 messages"


def test_the_transcript_is_markdown(agent):
    conversation = Conversation(agent(DummyModelClient, replies="- a\n- b"))
    conversation.send("A list?")
    conversation.messages[-1].usage = Usage(0.5, 4, 4)
    assert conversation.markdown() == (
        "**You**\n\nA list?\n\n**assistant**\n\n- a\n- b\n\n*0.5 s, 4 + 4 tokens*\n"
    )


def test_whoever_watches_hears_of_each_change(agent):
    conversation = Conversation(agent(DummyModelClient))
    states = []
    conversation.on_change.append(lambda: states.append((len(conversation.messages), conversation.running)))
    conversation.send("Hello")
    conversation.clear()
    assert list(dict.fromkeys(states)) == [(1, True), (2, True), (2, False), (0, False)]


# The real model


def test_the_real_model_streams_and_stops(agent, local_model_folder):
    assistant = agent(HuggingFaceModelClient, {"model": local_model_folder, "max_tokens": 60, "stream": True})
    conversation = Conversation(assistant)
    growing = []
    conversation.on_change.append(lambda: growing.append(conversation.messages[-1].text))
    conversation.on_change.append(lambda: len(set(growing)) > 12 and conversation.stop())
    reply = conversation.send("Tell me a long story about a river.")
    assert reply.stopped
    assert reply.text == growing[-1]
    assert 10 < len(set(growing)) < 20
    conversation.on_change.pop()
    reply = conversation.send("What is the capital of France?")
    assert not reply.stopped
    assert reply.usage.completion_tokens > 0
