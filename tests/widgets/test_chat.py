"""The chat panel without a browser: it gets the messages that the front end sends."""

import threading
import time

import pytest
from ipywidgets.widgets.widget import _instances as widgets  # those that are not closed

from kit import ChatPanel, DummyModelClient
from kit.widgets import chat

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


def rows(panel):
    return [(kind, speaker, text) for kind, speaker, text, _ in panel.said]


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
    assert talk.said[1][3].endswith(" s, 3 + 5 tokens, cost 0.008")
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
    lengths = [len(update["growing"][2]) for update in grown]
    assert lengths == sorted(lengths)
    assert next(update["growing"] for update in updates[::-1] if "growing" in update) == []
    assert talk.said[1][2] == "word " * 300


def test_the_last_piece_before_a_pause_appears_though_nothing_follows(panel):
    pause = threading.Event()

    class Pausing(Talker):
        def create(self, params):
            response = super().create(params)
            pause.wait(5)
            return response

    talk = panel(Pausing, replies="one two three")
    ask(talk, send="Count")
    until(lambda: talk.growing and talk.growing[2] == "one two three")
    pause.set()
    until(lambda: not talk.running)


def test_stop_ends_a_long_reply_and_its_text_stays(panel):
    talk = panel(Talker, replies="word " * 5000)
    ask(talk, send="Talk")
    until(lambda: talk.growing and talk.growing[2].count("word") > 3)
    assert talk.running
    assert talk.status == "assistant is answering …"
    ask(talk, stop=True)
    until(lambda: not talk.running)
    _, _, text, note = talk.said[-1]
    assert 3 < text.count("word") < 5000
    assert note.endswith("stopped")
    assert talk.status.startswith("Stopped. ")
    talk.conversation.agent.client._clients[0].replies = "fine"
    say(talk, "Go on")
    assert talk.said[-1][2] == "fine"
    assert talk.status.startswith("Ready. ")


def test_a_second_message_is_refused_while_a_reply_is_written_and_not_lost(panel):
    talk = panel(Talker, replies="word " * 5000)
    ask(talk, send="Talk")
    until(lambda: talk.growing)
    ask(talk, send="Me too")
    until(lambda: talk.again == "Me too")
    ask(talk, stop=True)
    until(lambda: not talk.running)
    assert [row[2] for row in talk.said[:-1]] == ["Talk"]


def test_an_error_appears_with_its_fix_and_the_message_comes_back(panel):
    def replies(messages):
        if len(talk.said) < 2:
            raise OSError("the cable is out")
        return "fine"

    talk = panel(replies=replies)
    say(talk, "Hello")
    kind, speaker, text, _ = talk.said[-1]
    assert (kind, speaker) == ("error", "assistant")
    assert text.startswith("✖ OSError: the cable is out\nFix: ")
    assert talk.status.startswith("✖ That failed")
    assert talk.again == "Hello"
    say(talk, "Hello")
    assert talk.said[-1][2] == "fine"
    assert talk.again == ""
    assert "✖ OSError" in repr(talk)


def test_clear_empties_the_panel(panel):
    talk = panel()
    say(talk, "Hello")
    ask(talk, clear=True)
    assert (talk.said, talk.growing, talk.transcript) == ([], [], "")
    assert "press Enter" in talk.status


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
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval"):
        assert way not in chat.ChatPanel._esm


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
