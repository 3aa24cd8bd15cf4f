"""HuggingFaceModelClient streaming: the pieces of a reply as they come, and what ends it early."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from recorded import tiny_config
from transformers import AutoTokenizer, LlamaForCausalLM

from kit.clients.huggingface_fast import HuggingFaceModelClient

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call>'
TEXTS = [
    "It is Paris.",
    "Grüße aus Zürich 😀👨‍👩‍👧 日本語 ✅",
    "  two blanks before",
    "two blanks after  ",
    "a line\n\n  and  another \n",
    "a blank no human sees\u3000",
    " \n ",
    "",
    "�",
]


class Recorded(LlamaForCausalLM):
    """A tiny model that says what it is told, one token after the other."""

    def say(self, *rows):
        """Let the next reply be these tokens, a row for each choice."""
        self.rows, self.said = rows, 0

    def forward(self, *args, **inputs):
        output = super().forward(*args, **inputs)
        output.logits[:] = -1000.0
        for choice, row in enumerate(self.rows):
            output.logits[choice, -1, row[min(self.said, len(row) - 1)]] = 1000.0
        self.said += 1
        return output


@pytest.fixture(scope="module", params=["words", "bytes"])
def tokens(request, tiny_folder):
    """A tokenizer that knows the words of this file, and one with a token for each byte.

    They have the real one's rules and a small vocabulary: for a large one, transformers takes half a
    second to prepare a stop string.
    """
    text, size = Path(__file__).read_text(encoding="utf-8"), {"words": 1000, "bytes": 0}[request.param]
    return AutoTokenizer.from_pretrained(tiny_folder).train_new_from_iterator([text], vocab_size=size)


@pytest.fixture
def recorded(tokens, monkeypatch):
    """The model that says what it is told, and its tokenizer, with "[TOOL_CALLS]" as one special token."""
    monkeypatch.setattr(tokens, "chat_template", "{{ messages[0].content }}")
    tokens.add_special_tokens({"additional_special_tokens": ["[TOOL_CALLS]"]})
    return Recorded(tiny_config(tokens)).eval(), tokens


@pytest.fixture
def stream(recorded):
    """A function that streams a reply, given as text or tokens; it returns the pieces and the response."""
    model, tokenizer = recorded

    def stream(*replies, on_text=None, **call):
        pieces = []
        model.say(*(tokenizer.encode(reply) if isinstance(reply, str) else reply for reply in replies))
        client = HuggingFaceModelClient(
            {"model": "recorded", "max_tokens": 400}, model, tokenizer, on_text=on_text or pieces.append
        )
        return pieces, client.create({"messages": HI, **call})

    return stream


def text_of(response):
    return response.choices[0].message.content


# The pieces and the text --------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_join_to_the_reply(stream, text):
    pieces, response = stream(text + "<|im_end|>")
    assert "".join(pieces) == text_of(response) == text
    assert all(pieces)


def test_a_reply_comes_in_pieces_each_with_its_own_token(recorded, stream):
    model, tokenizer = recorded
    arrivals = []
    _, response = stream(
        "one two three<|im_end|>", on_text=lambda piece: arrivals.append((piece, model.said))
    )
    pieces, steps = zip(*arrivals, strict=True)
    assert "".join(pieces) == "one two three"
    assert len(pieces) >= 3
    assert steps[0] == 1 and steps[-1] == response.usage.completion_tokens - 1  # before the end token
    assert list(steps) == sorted(set(steps))


def test_no_piece_holds_half_a_character(stream):
    text = "日本語 😀 👩🏽‍🚀 é ё ✅ 한국어 𝄞"
    pieces, _ = stream(text + "<|im_end|>")
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_that_the_limit_cut_in_half_comes_at_the_end(recorded, stream):
    _, tokenizer = recorded
    row = tokenizer.encode("Hi 𝄞")
    pieces, response = stream(row, max_tokens=len(row) - 1)
    assert text_of(response) == "".join(pieces) == "Hi \ufffd"
    assert [piece for piece in pieces if "\ufffd" in piece] == [" \ufffd"] == pieces[-1:]


def test_special_tokens_are_not_shown(stream):
    pieces, response = stream("Hi<|im_start|> there<|endoftext|>!<|im_end|>")
    assert "".join(pieces) == text_of(response) == "Hi there!"


@pytest.mark.parametrize("replies", [("one two", "three"), ("one", "two three four")])
def test_of_several_choices_the_first_is_shown(stream, replies):
    pieces, response = stream(*(reply + "<|im_end|>" for reply in replies), n=2, temperature=1.0)
    assert [choice.message.content for choice in response.choices] == list(replies)
    assert "".join(pieces) == replies[0]


def test_several_tokens_at_once_are_all_shown(tiny_client):
    client, pieces = tiny_client(max_tokens=80), []
    client.on_text = pieces.append
    response = client.create({"messages": HI, "params": {"prompt_lookup_num_tokens": 3}})
    assert "".join(pieces) == text_of(response)


# Stop strings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "reply", "shown"),
    [
        ("STOP", "Go on STOP no more", "Go on "),
        ("STOP", "STOP", ""),
        ("STOP", "STO STOO SSTOP", "STO STOO S"),
        ("STOP", "It ends like a STO", "It ends like a STO"),
        ("Paris, France", "Paris, Texas and Paris, France too", "Paris, Texas and "),
        ("\n\n", "one\ntwo\n\nthree", "one\ntwo"),
        ("😀", "😁😂 😀 😃", "😁😂 "),
        ("x😀", "x😁 x😀", "x😁 "),
        (["STOP", "OO"], "STOOP STOP", "ST"),
        (["b c", "a b"], "a b c", ""),
    ],
)
def test_a_stop_string_is_never_shown_nor_its_beginning(stream, stop, reply, shown):
    pieces, response = stream(reply + "<|im_end|>", stop=stop)
    assert "".join(pieces) == text_of(response) == shown


def test_what_may_begin_a_stop_string_waits_until_it_does_not(stream):
    pieces, _ = stream("one two STOOGES three<|im_end|>", stop="STOP")
    assert "".join(pieces) == "one two STOOGES three"
    shown = ["".join(pieces[:count]) for count in range(len(pieces) + 1)]
    assert "one two" in shown  # it did not wait for more
    assert not {"one two S", "one two ST", "one two STO"} & set(shown)


def test_pieces_of_random_texts_join_whatever_stops_them(recorded, stream):
    model, tokenizer = recorded
    chance = random.Random(0)
    letters = "aab \n<[éß日語😀👩🏽\u200d\ufffd"
    for _ in range(50):
        text = "".join(chance.choices(letters, k=chance.randrange(12)))
        stop = "".join(chance.choices(letters, k=chance.randrange(1, 4)))
        pieces, response = stream(tokenizer.encode(text + "<|im_end|>"), stop=stop)
        assert "".join(pieces) == text_of(response) == text.partition(stop)[0], (text, stop, pieces)
        assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)
        assert all(pieces)


def test_pieces_of_random_tokens_join_too(recorded, stream):
    model, tokenizer = recorded
    chance = random.Random(0)
    for _ in range(50):
        row = chance.choices(range(len(tokenizer)), k=12)  # broken characters and special tokens among them
        pieces, response = stream(row, max_tokens=12)
        assert "".join(pieces) == text_of(response)


# Tool calls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (CALL, ""),
        ("Let me look.\n" + CALL, "Let me look."),
        ("Let me <b>look</b> <tool ... \n\n" + CALL + CALL, "Let me <b>look</b> <tool ..."),
        ("First " + CALL + " and then " + CALL + " more ", "First and then more "),
    ],
)
def test_a_tool_call_is_not_shown_but_the_text_around_it_is(recorded, stream, reply, shown):
    _, tokenizer = recorded
    tokenizer.chat_template += "{{ tools | tojson if tools }}{# <tool_call> #}"
    pieces, response = stream(reply + "<|im_end|>", tools=[TOOL])
    assert response.choices[0].finish_reason == "tool_calls"
    assert "".join(pieces) == (text_of(response) or "") == shown


def test_the_text_before_a_tool_call_is_shown_while_the_call_is_written(recorded, stream):
    model, tokenizer = recorded
    tokenizer.chat_template += "{{ tools | tojson if tools }}{# <tool_call> #}"
    arrivals = []
    _, response = stream(
        "Let me look.\n" + CALL + "<|im_end|>",
        tools=[TOOL],
        on_text=lambda piece: arrivals.append((piece, model.said)),
    )
    assert "".join(piece for piece, _ in arrivals) == "Let me look."
    assert max(step for _, step in arrivals) < response.usage.completion_tokens / 2


@pytest.mark.parametrize("reply", [CALL.replace("}}", "}"), "I could <tool_call> but won't", CALL[:20]])
def test_a_broken_tool_call_is_shown_as_text_in_the_end(recorded, stream, reply):
    _, tokenizer = recorded
    tokenizer.chat_template += "{{ tools | tojson if tools }}{# <tool_call> #}"
    with pytest.warns(UserWarning, match="so it stays text"):
        pieces, response = stream(reply + "<|im_end|>", tools=[TOOL])
    assert "".join(pieces) == text_of(response) == reply
    assert reply[reply.index("<tool_call>") :] in pieces[-1]


def test_without_tools_a_tool_call_is_shown_like_any_text(stream):
    pieces, response = stream(CALL + "<|im_end|>")
    assert "".join(pieces) == text_of(response) == CALL
    assert len(pieces) > 3


def test_a_tool_call_after_a_special_token_is_not_shown_either(recorded, stream):
    _, tokenizer = recorded
    tokenizer.chat_template += "{{ tools | tojson if tools }}{# [TOOL_CALLS] #}"
    pieces, response = stream('Hm [TOOL_CALLS][{"name": "add", "arguments": {}}]<|im_end|>', tools=[TOOL])
    assert "".join(pieces) == text_of(response) == "Hm "


def test_special_tokens_beside_a_tool_call_are_not_shown_either(recorded, stream):
    _, tokenizer = recorded
    tokenizer.chat_template += "{{ tools | tojson if tools }}{# <tool_call> #}"
    pieces, response = stream("Let <|endoftext|>me look." + CALL + "<|im_end|>", tools=[TOOL])
    assert "".join(pieces) == text_of(response) == "Let me look."


OWN = {
    "start_anchor": "Hi",
    "fields": {
        "content": {"content": "text"},
        "tool_calls": {
            "open": "<call>",
            "close": "</call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
    },
}


def test_a_tool_call_in_a_tokenizers_own_notation_is_not_shown(recorded, stream, monkeypatch):
    _, tokenizer = recorded
    monkeypatch.setattr(tokenizer, "response_template", OWN, raising=False)
    tokenizer.chat_template = "{{ tools | tojson if tools }}" + tokenizer.chat_template
    pieces, response = stream(' Hm. <call>{"name": "add", "arguments": {}}</call><|im_end|>', tools=[TOOL])
    assert response.choices[0].finish_reason == "tool_calls"
    assert "".join(pieces) == text_of(response)


@pytest.mark.parametrize("reply", [' Hm. <call>{"name": "add"</call> Well.', "<call>{}"])
def test_a_broken_call_in_a_tokenizers_own_notation_stays_text(recorded, stream, monkeypatch, reply):
    _, tokenizer = recorded
    monkeypatch.setattr(tokenizer, "response_template", OWN, raising=False)
    tokenizer.chat_template = "{{ tools | tojson if tools }}" + tokenizer.chat_template
    with pytest.warns(UserWarning, match="can't be read, so it stays text"):
        pieces, response = stream(reply + "<|im_end|>", tools=[TOOL])
    assert text_of(response) == reply.strip()
    assert response.choices[0].finish_reason == "stop"


# In an agent --------------------------------------------------------------------------------------


class Listener:
    """A stream of AutoGen's that keeps what is sent to it or printed."""

    def __init__(self):
        self.sent, self.printed = [], ""

    def send(self, event):
        self.sent.append(event)

    def print(self, *texts, sep=" ", end="\n", flush=False):
        self.printed += sep.join(texts) + end

    def input(self, prompt="", *, password=False):
        raise AssertionError("nobody is asked")


@pytest.mark.parametrize("streaming", [True, False])
def test_an_agent_streams_through_autogens_iostream_if_its_entry_says_so(agent, tiny, streaming):
    from autogen.events.client_events import StreamEvent
    from autogen.io.base import IOStream

    model, tokenizer = tiny
    entry = {"model": "tiny", "max_tokens": 9, "stream": streaming}
    bot = agent(HuggingFaceModelClient, entry, loaded_model=model, tokenizer=tokenizer)
    with IOStream.set_default(listener := Listener()):
        reply = bot.generate_reply(HI)
    events = [event for event in listener.sent if isinstance(event, StreamEvent)]
    assert "".join(event.content.content for event in events) == (reply if streaming else "")
    assert (len(events) > 3) == streaming


def test_an_agent_that_does_not_stream_can_still_hand_pieces_to_on_text(agent, tiny):
    model, tokenizer = tiny
    pieces = []
    bot = agent(
        HuggingFaceModelClient,
        {"model": "tiny", "max_tokens": 9},
        loaded_model=model,
        tokenizer=tokenizer,
        on_text=pieces.append,
    )
    assert "".join(pieces) == "" and bot.generate_reply(HI) == "".join(pieces)


def test_without_autogen_a_streamed_reply_is_printed(tiny_client, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "autogen.io.base", None)
    response = tiny_client(max_tokens=9, stream=True).create({"messages": HI})
    assert capsys.readouterr().out == text_of(response)


def test_with_autogen_0_2_it_is_printed_through_its_iostream(tiny_client, monkeypatch):
    from autogen.io.base import IOStream

    monkeypatch.setitem(sys.modules, "autogen.events.client_events", None)
    with IOStream.set_default(listener := Listener()):
        response = tiny_client(max_tokens=9, stream=True).create({"messages": HI})
    assert listener.printed == text_of(response)
    assert not listener.sent


def test_replies_that_wait_for_each_other_each_stream_to_their_own_callback(tiny_client, ask_at_once):
    class Watched:
        def __init__(self):
            self.client, self.pieces = tiny_client(max_tokens=6), []
            self.model = self.client.model
            self.client.on_text = lambda piece: self.pieces.append((piece, threading.get_ident()))

        def create(self, params):
            return self.client.create(params), threading.get_ident()

    watched = [Watched() for _ in range(3)]
    questions = ("Hi", "Good night", "Who are you?")
    futures, _ = ask_at_once(
        *(
            (one, {"messages": [{"role": "user", "content": question}]})
            for one, question in zip(watched, questions, strict=True)
        )
    )
    for one, future in zip(watched, futures, strict=True):
        response, thread = future.result()
        assert "".join(piece for piece, _ in one.pieces) == text_of(response)
        assert {where for _, where in one.pieces} == {thread}


# What ends it early -------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, StopIteration, SystemExit])
def test_an_exception_in_on_text_ends_the_reply_at_once_and_the_client_goes_on(recorded, stream, error):
    model, tokenizer = recorded

    def fail(piece):
        raise error("enough")

    with pytest.raises(error, match="enough"):
        stream("one two three four five six<|im_end|>", on_text=fail)
    assert model.said <= 2
    answers = []
    other = threading.Thread(target=lambda: answers.append(stream("seven<|im_end|>")), daemon=True)
    other.start()  # a thread of its own: it would wait for ever, had the first one kept the lock
    other.join(60)
    [(pieces, response)] = answers
    assert "".join(pieces) == text_of(response) == "seven"


TALK = """
import json, signal, sys, time
from kit.clients.huggingface_fast import HuggingFaceModelClient

def show(piece):
    times.append(time.monotonic())
    print(json.dumps(piece), flush=True)

times = []
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it
client = HuggingFaceModelClient({"model": sys.argv[1], "device": "cpu", "max_tokens": 400}, on_text=show)
ask = {"messages": [{"role": "user", "content": "Tell me a long story."}]}
try:
    client.create({**ask, "params": {"min_new_tokens": 400}})
except KeyboardInterrupt:
    print(json.dumps({"pieces": len(times)}), flush=True)
times.clear()
response = client.create({**ask, "max_tokens": 5})
print(json.dumps({"pieces": len(times), "tokens": response.usage.completion_tokens}), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to whole groups of processes")
def test_ctrl_c_ends_a_reply_within_a_token_and_the_next_one_works(local_model_folder):
    with subprocess.Popen(
        [sys.executable, "-c", TALK, local_model_folder], stdout=subprocess.PIPE, text=True
    ) as program:
        assert isinstance(json.loads(program.stdout.readline()), str)  # the first piece
        program.send_signal(signal.SIGINT)
        pressed = time.monotonic()
        lines = [json.loads(program.stdout.readline())]
        while isinstance(lines[-1], str):
            lines.append(json.loads(program.stdout.readline()))
        waited = time.monotonic() - pressed
        *_, after = map(json.loads, program.stdout)
    assert program.returncode == 0
    assert lines[-1]["pieces"] == len(lines) < 100  # of 400; most of them were on their way already
    assert waited < 10
    assert after["tokens"] == 5 and after["pieces"] > 1
