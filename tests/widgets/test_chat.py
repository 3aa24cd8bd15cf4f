"""The chat panel without a browser: it gets the messages that the front end sends."""

import threading
import time
from types import SimpleNamespace

import pytest
from ipywidgets.widgets.widget import _instances as widgets  # those that are not closed

from kit import ChatPanel, DummyModelClient, tool_call
from kit.widgets.chat import initials
from kit.widgets.markdown import markdown, static

HOSTILE = '<img src=x onerror="alert(1)">'


class Talker(DummyModelClient):
    """Hands out its reply word by word, quickly."""

    def _take_time(self, text):
        self.delay = 0.001 * len(text.split())
        super()._take_time(text)


def ask(panel, **what):
    """Do what a button or the Enter key does."""
    panel._handle_custom_msg(what, [])


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("this never came true")


def say(panel, text):
    """Send a message as a person does, and wait for what follows."""
    before = len(panel.said)
    ask(panel, send=text)
    until(lambda: len(panel.said) > before + 1 and not panel.running)


def text_of(row):
    """The text of a message, as the page shows it."""
    texts = []

    def read(tree):
        texts.extend([tree] if isinstance(tree, str) else [])
        for child in [] if isinstance(tree, str) else tree[2]:
            read(child)

    for tree in row.get("body", []):
        read(tree)
    return "".join(texts)


def rows(panel):
    return [(row["kind"], row["speaker"], text_of(row)) for row in panel.said]


def sent_back(panel, monkeypatch):
    """Return a list that grows with each text that the page gets back."""
    texts = []
    monkeypatch.setattr(panel, "send", lambda content: texts.append(content["again"]))
    return texts


def watched(panel, monkeypatch):
    """Return a list that grows with each update that goes to the front end."""
    updates = []
    monkeypatch.setattr(panel, "_send", lambda message, buffers=None: updates.append(message["state"]))
    return updates


@pytest.fixture
def panel(agent):
    """Make a panel; it is closed afterwards."""
    made = []

    def make(client_class=DummyModelClient, **kwargs):
        made.append(ChatPanel(agent(client_class, **kwargs)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_an_empty_panel_says_what_to_do(panel):
    empty = panel()
    assert empty.said == []
    assert "press Enter" in empty.status
    assert "assistant" in repr(empty)


def test_a_message_and_its_reply_appear_with_what_they_took(panel):
    talk = panel(entry={"price": [1, 1]})
    say(talk, "Hello")
    assert rows(talk) == [("question", "You", "Hello"), ("reply", "assistant", "This is a dummy reply.")]
    assert talk.said[1]["note"].endswith(" s, 3 + 5 tokens, cost 0.008")
    assert talk.status.startswith("Ready. In total ")
    assert talk.status.endswith("3 + 5 tokens, cost 0.008.")
    assert talk.transcript == talk.conversation.markdown()
    assert repr(talk) == "You: Hello\nassistant: This is a dummy reply."


def test_what_code_sends_appears_as_well(panel):
    talk = panel()
    talk.conversation.send("Hello")
    assert rows(talk)[1] == ("reply", "assistant", "This is a dummy reply.")


def test_a_group_is_talked_to_as_an_agent_is(agent):
    from autogen import GroupChat, GroupChatManager

    members = [agent(DummyModelClient, name=name, replies=name.upper()) for name in ("one", "two")]
    group = GroupChat(members, messages=[], max_round=3, speaker_selection_method="round_robin")
    talk = ChatPanel(GroupChatManager(group))
    talk.conversation.send("Go")
    assert rows(talk) == [("question", "You", "Go"), ("reply", "one", "ONE"), ("reply", "two", "TWO")]
    talk.close()


def test_a_growing_reply_is_sent_alone_and_not_at_every_piece(panel, monkeypatch):
    talk = panel(Talker, replies="word " * 300)
    updates = watched(talk, monkeypatch)
    talk.conversation.send("Talk")
    grown = [update for update in updates if update.get("growing")]
    assert 1 < len(grown) < 150  # of 300 pieces
    assert sum("said" in update for update in updates) == 2  # the question, the whole reply
    lengths = [len(text_of(update["growing"])) for update in grown]
    assert lengths == sorted(lengths)
    assert next(update["growing"] for update in updates[::-1] if "growing" in update) == {}
    assert text_of(talk.said[1]).split() == ["word"] * 300


def test_a_reply_that_is_slow_to_draw_is_drawn_less_often(panel, monkeypatch):
    now = 0.0

    def clock():
        nonlocal now
        now += 0.001
        return now

    def slow(text):
        nonlocal now
        now += 0.05
        return markdown(text)

    talk = panel(Talker, replies="word " * 1000)  # takes a second on that clock
    updates = watched(talk, monkeypatch)
    monkeypatch.setattr("kit.widgets.chat.markdown", slow)
    monkeypatch.setattr("kit.widgets.chat.time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr("kit.widgets.chat.threading.Timer", lambda *_: SimpleNamespace(start=lambda: None))
    talk.conversation.send("Talk")
    assert 1 <= sum(bool(update.get("growing")) for update in updates) < 8


def test_the_last_piece_before_a_pause_appears_though_nothing_follows(panel):
    pause = threading.Event()

    class Pausing(Talker):
        def create(self, params):
            response = super().create(params)
            pause.wait(5)
            return response

    talk = panel(Pausing, replies="one two three")
    ask(talk, send="Count")
    until(lambda: text_of(talk.growing) == "one two three")
    pause.set()
    until(lambda: not talk.running)


def test_stop_ends_a_long_reply_and_its_text_stays(panel):
    talk = panel(Talker, replies="word " * 5000)
    ask(talk, send="Talk")
    until(lambda: text_of(talk.growing).count("word") > 3)
    assert talk.running
    assert talk.status == "assistant is answering …"
    ask(talk, stop=True)
    until(lambda: not talk.running)
    assert 3 < text_of(talk.said[-1]).count("word") < 5000
    assert talk.said[-1]["note"].endswith("stopped")
    assert talk.status.startswith("Stopped. ")
    talk.conversation.agent.client._clients[0].replies = "fine"
    say(talk, "Go on")
    assert text_of(talk.said[-1]) == "fine"
    assert talk.status.startswith("Ready. ")


def test_a_second_message_is_refused_while_a_reply_is_written_and_comes_back(panel, monkeypatch):
    talk = panel(Talker, replies="word " * 5000)
    back = sent_back(talk, monkeypatch)
    ask(talk, send="Talk")
    until(lambda: talk.growing)
    ask(talk, send="Me too")
    until(lambda: back == ["Me too"])
    ask(talk, stop=True)
    until(lambda: not talk.running)
    assert [text_of(row) for row in talk.said[:-1]] == ["Talk"]


def test_an_error_appears_with_its_fix_and_the_message_comes_back(panel, monkeypatch):
    def replies(messages):
        if len(talk.said) < 2:
            raise OSError("the cable is out")
        return "fine"

    talk = panel(replies=replies)
    back = sent_back(talk, monkeypatch)
    say(talk, "Hello")
    kind, who, text = rows(talk)[-1]
    assert (kind, who, text.endswith(": OSError: the cable is out")) == ("error", "assistant", True)
    assert talk.said[-1]["fix"]
    assert talk.status.startswith("✖ That failed")
    until(lambda: back == ["Hello"])
    say(talk, "Hello")
    assert text_of(talk.said[-1]) == "fine"
    assert back == ["Hello"]
    assert ": OSError" in repr(talk)


def test_a_script_that_has_run_out_does_not_ask_to_try_again(panel):
    talk = panel(replies=["one"])
    say(talk, "Hello")
    say(talk, "Hello")
    assert "The script has 1 reply" in text_of(talk.said[-1])
    assert "again" not in talk.status + talk.said[-1]["fix"] + text_of(talk.said[-1])


def test_clear_empties_the_panel_and_can_be_undone_until_the_next_message(panel):
    talk = panel()
    say(talk, "Hello")
    before, transcript = talk.said, talk.transcript
    assert not talk.can_undo
    ask(talk, clear=True)
    assert (talk.said, talk.growing, talk.transcript, talk.can_undo) == ([], {}, "", True)
    ask(talk, undo=True)
    assert (talk.said, talk.transcript, talk.can_undo) == (before, transcript, False)
    ask(talk, clear=True)
    say(talk, "Hello")
    assert not talk.can_undo
    ask(talk, undo=True)
    assert talk.status.startswith("✖ There is nothing to bring back")
    assert len(talk.said) == 2


# What a message looks like


def test_a_reply_is_markdown_and_a_question_is_text(panel):
    talk = panel(replies="**bold** and\n\n```py\nx = 1\n```")
    say(talk, "**mine**")
    assert talk.said[0]["body"] == ["**mine**"]
    assert talk.said[1]["body"] == markdown("**bold** and\n\n```py\nx = 1\n```")


@pytest.mark.parametrize(
    "reply",
    [
        {"content": "Blue.", "reasoning_content": "The sky?\nYes."},
        {"content": "Blue.", "reasoning": "The sky?\nYes."},
        "<think>\nThe sky?\nYes.\n</think>\n\nBlue.",
    ],
    ids=["reasoning_content", "reasoning", "think"],
)
def test_thoughts_are_apart_from_the_reply(panel, reply):
    talk = panel(replies=[reply])
    say(talk, "Which colour?")
    assert talk.said[1]["thoughts"] == "The sky?\nYes."
    assert text_of(talk.said[1]) == "Blue."


def test_thoughts_appear_while_they_grow(panel):
    talk = panel(Talker, replies="<think>" + "so " * 2000 + "</think>Blue.")
    ask(talk, send="Which colour?")
    until(lambda: talk.growing.get("thoughts", "").startswith("so so"))
    assert text_of(talk.growing) == ""
    ask(talk, stop=True)
    until(lambda: not talk.running)


def test_tool_calls_and_results_are_no_speech(panel):
    talk = panel(replies=[tool_call("add", a=1, b=2), "It is 3."])
    talk.conversation.agent.register_function({"add": lambda a, b: a + b})
    say(talk, "1 + 2?")
    until(lambda: len(talk.said) == 4)
    _, call, result, reply = talk.said
    assert (text_of(call), [text_of({"body": call["calls"]})]) == ("", ["add(a=1, b=2)"])
    assert (result["kind"], result["results"]) == ("result", [["add", "3"]])
    assert (reply["kind"], text_of(reply)) == ("reply", "It is 3.")


def test_each_speaker_of_a_group_has_a_colour_and_letters_of_its_own(agent):
    from autogen import GroupChat, GroupChatManager

    names = ("writer", "code_critic")
    members = [agent(DummyModelClient, name=name) for name in names]
    group = GroupChat(members, messages=[], max_round=5, speaker_selection_method="round_robin")
    talk = ChatPanel(GroupChatManager(group))
    talk.conversation.send("Go")
    assert [(row["colour"], row["initials"]) for row in talk.said[1:]] == [(1, "Wr"), (2, "CC")] * 2
    talk.close()


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("critic", "Cr"),
        ("code_writer", "CW"),
        ("CodeWriter", "CW"),
        ("agent 7", "A7"),
        ("Ölaf", "Öl"),
        ("x", "X"),
        ("", "?"),
        ("<>", "?"),
    ],
)
def test_two_letters_for_a_name(name, letters):
    assert initials(name) == letters


# Keys, and text of others


def test_no_key_is_in_what_the_page_gets(panel, monkeypatch):
    key = "sk-recognisable-1234"

    def replies(messages):
        if "fail" in messages[-1]["content"]:
            raise ValueError(f"the server refused {key}")
        if messages[-1]["role"] == "tool":
            return {"content": f"It is {key}", "reasoning_content": f"say {key}"}
        return tool_call("show", key=key)

    talk = panel(replies=replies)
    talk.conversation.agent.register_function({"show": lambda key: f"is {key}"})
    updates = watched(talk, monkeypatch)
    for text in (f"My key is {key}", f"fail {key}"):
        talk.conversation.send(text)
    assert [
        message["content"] for message in talk.conversation.agent.client._clients[0].calls[0]["messages"]
    ][-1] == f"My key is {key}"
    assert len(talk.said) == 6
    shown = f"{updates}{talk.get_state()}{talk!r}{talk._repr_mimebundle_()}{talk.conversation.messages!r}"
    assert "recognisable" not in shown
    assert shown.count("*****") > 6


def test_what_goes_wrong_in_a_callback_becomes_the_status(panel, monkeypatch):
    talk = panel()

    def broken():
        raise ZeroDivisionError("sk-1234567890 divided by zero")

    monkeypatch.setattr(talk.conversation, "clear", broken)
    ask(talk, clear=True)
    assert talk.status == "✖ ********** divided by zero"
    ask(talk, send="   ")
    until(lambda: talk.status.startswith("✖ Write a message"))


def test_hostile_text_travels_as_text_and_the_front_end_makes_no_html_of_it(panel):
    talk = panel(replies=HOSTILE)
    say(talk, HOSTILE)
    assert rows(talk) == [("question", "You", HOSTILE), ("reply", "assistant", HOSTILE)]
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in talk._esm


def test_where_widgets_can_not_be_shown_the_chat_so_far_is_text_and_html(panel):
    talk = panel(
        replies=[{"content": f"**fine** {HOSTILE}", "reasoning_content": HOSTILE}, tool_call("a", b=HOSTILE)]
    )
    bundle = talk._repr_mimebundle_()[0]
    assert "nothing said" in bundle["text/plain"] and "nothing said" in bundle["text/html"]
    for text in (HOSTILE, "a tool", "one too many"):
        talk.conversation.send(text)
    bundle = talk._repr_mimebundle_()[0]
    assert bundle["text/plain"] == repr(talk)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    page = bundle["text/html"]
    assert "<img" not in page
    for part in (
        "You",
        "assistant",
        "<strong>fine</strong>",
        "Thoughts",
        "Tool call",
        "The script has 2 replies",
        "Fix: ",
    ):
        assert part in page
    assert page.count(static(HOSTILE)) >= 3


def test_a_panel_is_two_models_and_leaves_none_when_it_is_closed(agent):
    before = set(widgets)
    talk = ChatPanel(agent(DummyModelClient))
    assert len(set(widgets) - before) == 2  # the panel and its layout
    talk.close()
    talk.close()
    assert set(widgets) == before
    assert talk.conversation.on_change == []


def test_closing_ends_a_reply_that_is_being_written(agent):
    talk = ChatPanel(agent(Talker, replies="word " * 5000))
    ask(talk, send="Talk")
    until(lambda: talk.growing)
    talk.close()
    until(lambda: not talk.conversation.running)
    assert talk.conversation.messages[-1].stopped


def test_what_is_not_an_agent_is_refused_and_leaves_no_widget():
    before = set(widgets)
    with pytest.raises(TypeError, match="not 'assistant'"):
        ChatPanel("assistant")
    assert set(widgets) == before
