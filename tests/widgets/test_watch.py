"""The panel of `watch` without a browser: rows, cards, code, JSON, recordings; keys and hostile texts."""

import json
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from autogen import AssistantAgent, LLMConfig
from ipywidgets.widgets.widget import _instances as widgets

from kit import ChatPanel, DummyModelClient, HuggingFaceModelClient, RecordingModelClient, tool_call, watch
from kit.widgets.markdown import static

HELLO = [{"role": "user", "content": "Hello!"}]
KEY = "sk-of-nobody-0123456789abcdef"
HOSTILE = '<img src=x onerror="alert(1)">'


class Thinker(DummyModelClient):
    """Its response holds thoughts."""

    def create(self, params):
        response = super().create(params)
        response.choices[0].message.reasoning_content = "Let me think."
        return response


def open_card(seen, number):
    """Open a card as a person does, and return its HTML."""
    seen._handle_custom_msg({"open": number}, [])
    return "".join(map(static, seen.cards[str(number)]))


def text_of(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def everything(seen):
    """All that leaves Python for the notebook, the clipboard or a file."""
    state = json.dumps([seen.rows, seen.cards, seen.total])
    return "\n".join([state, repr(seen), seen.json(), *map(str, seen._repr_mimebundle_()[0].values())])


def test_printed_it_is_a_table_that_is_the_same_on_every_run(agent):
    assistant = agent(DummyModelClient, replies=["Hello!", "A\nreply " + "of many words " * 20])
    seen = watch(assistant)
    assert repr(seen) == "0 requests"
    for _ in range(2):
        assistant.generate_oai_reply(HELLO)
    lines = repr(seen).splitlines()
    assert lines[0].startswith("2 requests · tokens: ")
    assert lines[1].startswith("1. assistant, turn 1 → DummyModelClient, entry 0 · 2 new messages · ")
    assert lines[1].endswith(" · 'Hello!'")
    assert lines[2].endswith("...")
    assert not re.search(r"\d+\.\d+ s|ms", repr(seen))


def test_the_card_shows_methods_messages_choices_and_the_reply(agent):
    assistant = agent(Thinker, replies=["Hello!"] * 2)
    seen = watch([assistant])
    for _ in range(2):
        assistant.generate_oai_reply(HELLO)
    assert seen.rows == [] and seen.cards == {}  # nobody looks yet
    card = text_of(open_card(seen, 2))
    for shown in (
        "create params: 2 messages",
        "message_retrieval response [&quot;Hello!&quot;]",
        "called earlier",
    ):
        assert shown in card
    assert "2 messages, as in the request before" in card
    assert "Thoughts, which stay in the response Let me think." in card
    assert "finish_reason stop" in card
    assert [row["number"] for row in seen.rows] == [1, 2]
    assert seen.total.startswith("2 requests")


def test_the_panel_follows_a_chat_once_it_is_shown(agent):
    assistant = agent(DummyModelClient)
    seen = watch(assistant)
    seen._repr_mimebundle_()
    panel = ChatPanel(assistant)
    panel.conversation.send("Hello!")
    for _ in range(400):
        if len(seen.rows) == 1 and "…" not in seen.rows[0]["note"]:
            break
        time.sleep(0.01)
    assert "new message" in seen.rows[0]["note"]
    assert panel.conversation.messages[-1].text == seen.requests[0].reply


def test_a_local_models_prompt_is_shown_with_what_came_out_of_its_cache(agent, local_model_folder):
    assistant = agent(HuggingFaceModelClient, {"model": local_model_folder, "device": "cpu", "max_tokens": 4})
    seen = watch(assistant)
    assistant.generate_oai_reply(HELLO)
    reply = seen.requests[0].reply
    assistant.generate_oai_reply([*HELLO, {"role": "assistant", "content": reply}, *HELLO])
    card = open_card(seen, 2)
    assert (
        '<span class="kit-cached"><span class="kit-token">&lt;|im_start|&gt;</span>system\nBe brief.' in card
    )
    _, cached_tokens, _ = seen.requests[1].tokens
    assert f"the first {cached_tokens} out of the prefix cache" in card


def test_keys_are_in_nothing_that_leaves_python(agent, server, folder):
    entry = {"model": "a", "api_key": KEY, "base_url": server.address}
    of_server = AssistantAgent("of_server", llm_config=LLMConfig(entry), code_execution_config=False)
    own = agent(DummyModelClient, {"api_key": KEY, "header": f"Bearer {KEY}"}, replies=[f"My key is {KEY}."])
    seen = watch(of_server, own)
    of_server.generate_reply(HELLO)
    own.generate_oai_reply([{"role": "user", "content": f"{KEY} is my key"}])
    for number in (1, 2):
        open_card(seen, number)
        assert KEY not in seen.code(number)
    assert KEY not in everything(seen)
    assert 'os.environ["' in seen.code(1)


def test_hostile_texts_stay_texts(agent):
    def fail(messages):
        raise ValueError(HOSTILE)

    for replies in ([HOSTILE], fail):
        assistant = agent(DummyModelClient, replies=replies)
        seen = watch(assistant)
        try:
            assistant.generate_oai_reply([{"role": "user", "content": HOSTILE, "name": HOSTILE}])
        except ValueError:
            assert seen.requests[0].raised
        card = open_card(seen, 1)
        assert "&lt;img" in card and "<img" not in card
        assert "<img" not in seen._repr_mimebundle_()[0]["text/html"]


def test_the_code_of_a_card_repeats_the_call_without_autogen(agent, local_model_folder, tmp_path):
    assistant = agent(HuggingFaceModelClient, {"model": local_model_folder, "device": "cpu", "max_tokens": 4})
    seen = watch(assistant)
    reply = assistant.generate_oai_reply(HELLO)[1]
    done = subprocess.run(
        [sys.executable, "-c", seen.code(1)], capture_output=True, encoding="utf-8", cwd=tmp_path
    )
    assert done.stdout.strip().endswith(repr([reply])), done.stderr


def test_the_code_for_a_server_asks_it_the_same(server, folder, monkeypatch):
    entry = {"model": "a", "api_key": KEY, "base_url": server.address, "temperature": 0.5}
    assistant = AssistantAgent("assistant", llm_config=LLMConfig(entry), code_execution_config=False)
    seen = watch(assistant)
    assistant.generate_reply(HELLO)
    code = seen.code(1)
    (variable,) = re.findall(r'os\.environ\["(\w+)"\]', code)
    monkeypatch.setenv(variable, KEY)
    exec(code, {})
    first, second = (request for request in server.seen if request.path.endswith("/chat/completions"))
    assert (first.body, first.key) == (second.body, second.key)


@pytest.mark.parametrize("number", [0, 2, None])
def test_a_request_that_is_not_there_is_named(agent, number):
    assistant = agent(DummyModelClient)
    seen = watch(assistant)
    assistant.generate_oai_reply(HELLO)
    with pytest.raises(LookupError, match=str(number)):
        seen.code(number)


class Bare:
    """Its responses are not OpenAI's."""

    def __init__(self, config):
        pass

    def create(self, params):
        return SimpleNamespace(
            choices=[SimpleNamespace(message=SimpleNamespace(content="bare"))], model="m", id="1"
        )

    def message_retrieval(self, response):
        return ["bare"]

    def cost(self, response):
        return 0.5

    @staticmethod
    def get_usage(response):
        return {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3, "cost": 0.5, "model": "m"}


@pytest.mark.parametrize(("client", "kwargs"), [(DummyModelClient, {"replies": ["Hi", "Ho"]}), (Bare, {})])
def test_what_was_seen_is_a_recording_that_answers_the_same(agent, tmp_path, client, kwargs):
    assistant, path = agent(client, **kwargs), tmp_path / "talk.jsonl"
    seen = watch(assistant)
    replies = [assistant.generate_oai_reply(HELLO)[1] for _ in range(2)]
    seen.record(path)
    entry = {"model": "dummy", "model_client_cls": "RecordingModelClient"}
    again = AssistantAgent(
        "assistant", system_message="Be brief.", llm_config=LLMConfig(entry), code_execution_config=False
    )
    again.register_model_client(RecordingModelClient, path=path)
    assert [again.generate_oai_reply(HELLO)[1] for _ in range(2)] == replies
    assert again.client.total_usage_summary == assistant.client.total_usage_summary


def test_json_holds_requests_with_their_calls(agent):
    assistant = agent(DummyModelClient, replies=[tool_call("add", a=1)])
    seen = watch(assistant)
    assistant.generate_oai_reply(HELLO)
    (request,) = json.loads(seen.json())
    assert [call["method"] for call in request["calls"]] == [
        "create",
        "cost",
        "get_usage",
        "message_retrieval",
    ]
    assert request["reply"]["tool_calls"][0]["function"]["name"] == "add"
    assert "add(" in repr(seen)


def test_close_leaves_no_widget_and_no_watch(agent):
    assistant, before = agent(DummyModelClient), len(widgets)
    seen = watch(assistant)
    seen._repr_mimebundle_()
    seen.close()
    assistant.generate_oai_reply(HELLO)
    assert seen.requests == []
    assert len(widgets) == before


PROGRAM = """
from autogen import AssistantAgent, LLMConfig
from kit import DummyModelClient, watch
entry = {"model": "a", "model_client_cls": "DummyModelClient"}
agent = AssistantAgent("assistant", llm_config=LLMConfig(entry))
agent.register_model_client(DummyModelClient)
seen = watch(agent)
agent.generate_reply([{"role": "user", "content": "Hi"}])
print(seen)
"""


def test_in_a_program_it_is_printed(tmp_path):
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert "1. assistant, turn 1" in done.stdout, done.stderr
