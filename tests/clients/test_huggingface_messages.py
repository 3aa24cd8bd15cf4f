"""HuggingFaceModelClient and the order of messages: what templates refuse, and what becomes of it."""

import copy
import json

import pytest

from kit.clients.huggingface_fast import HuggingFaceModelClient

GEMMA = (
    "{% for message in messages %}"
    "{{ raise_exception('System role not supported') if message.role == 'system' }}"
    "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
    "{% endif %}<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{{ message.content | trim }}<end_of_turn>\n{% endfor %}<start_of_turn>model\n"
)
LLAMA = (  # one call at a time, and its result right behind it
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}"
    "{{ raise_exception('only single calls') if message.tool_calls and message.tool_calls | length > 1 }}"
    "{% for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}{% endfor %}"
)
LENIENT = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"
TOOL = {
    "type": "function",
    "function": {"name": "now", "description": "Tells the time.", "parameters": {"type": "object"}},
}


def user(content, **fields):
    """A message of a user."""
    return {"role": "user", "content": content, **fields}


def bot(content, **fields):
    """A message of the model."""
    return {"role": "assistant", "content": content, **fields}


SYSTEM = {"role": "system", "content": "Be brief."}


def gemma(*turns):
    """What Gemma's template makes of turns that it takes."""
    said = "".join(f"<start_of_turn>{role}\n{text}<end_of_turn>\n" for role, text in turns)
    return f"{said}<start_of_turn>model"  # Jinja drops the last newline


@pytest.fixture
def client(keen_model, monkeypatch):
    """A function that makes a client whose model keeps the prompts it gets, decoded."""

    def client(template, **entry):
        model, tokenizer = keen_model[0], copy.deepcopy(keen_model[1])
        tokenizer.chat_template, plain, prompts = template, model.generate, []

        def generate(**inputs):
            prompts.append(tokenizer.decode(inputs["input_ids"][0]))
            return plain(**inputs)

        monkeypatch.setattr(model, "generate", generate)
        made = HuggingFaceModelClient({"model": "keen", "max_tokens": 2, **entry}, model, tokenizer)
        made.prompts = prompts
        return made

    return client


# What a template refuses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        ([user("Hi"), bot("Hello."), user("Bye")], [("user", "Hi"), ("model", "Hello."), ("user", "Bye")]),
        ([SYSTEM, user("Hi")], [("user", "Be brief.\n\nHi")]),
        ([SYSTEM, SYSTEM, user("Hi")], [("user", "Be brief.\n\nBe brief.\n\nHi")]),
        ([user("Hi"), SYSTEM], [("user", "Be brief.\n\nHi")]),
        ([SYSTEM], [("user", "Be brief.")]),
        (
            [SYSTEM, bot("I begin."), user("Hi")],
            [("user", "Be brief."), ("model", "I begin."), ("user", "Hi")],
        ),
        ([user("Hi"), user("you")], [("user", "Hi\n\nyou")]),
        ([user("Hi", name="Ann"), user("Hm", name="Bob")], [("user", "Ann: Hi\n\nBob: Hm")]),
        ([user("Hi", name="Ann"), user("Hm")], [("user", "Ann: Hi\n\nHm")]),
        ([user("Hi"), bot("A"), bot("B"), user("C")], [("user", "Hi"), ("model", "A\n\nB"), ("user", "C")]),
        ([SYSTEM, user("A", name="Ann"), user("B", name="Bob")], [("user", "Be brief.\n\nAnn: A\n\nBob: B")]),
        ([{**SYSTEM, "content": ""}, user("Hi")], [("user", "Hi")]),
    ],
)
def test_gemma_gets_alternating_turns_without_a_system_message(client, messages, turns):
    one, before = client(GEMMA), copy.deepcopy(messages)
    one.create({"messages": messages})
    assert one.prompts == [gemma(*turns)]
    assert messages == before


@pytest.mark.parametrize(
    "messages", [[SYSTEM, user("Hi")], [user("Hi", name="Ann"), user("you", name="Bob")]]
)
def test_a_template_that_takes_them_gets_the_messages_as_they_are(client, messages):
    one = client(LENIENT)
    one.create({"messages": messages})
    assert one.prompts == ["".join(f"<|{each['role']}|>{each['content']}" for each in messages)]


@pytest.mark.parametrize(
    ("off", "messages", "why"),
    [
        ("merge_system", [SYSTEM, user("Hi")], "System role not supported.*roles: system, user"),
        ("merge_neighbours", [user("Hi"), user("you")], "roles must alternate.*roles: user, user"),
        ("merge_neighbours", [SYSTEM, user("Hi"), user("you")], "System role not supported"),
    ],
)
def test_what_is_switched_off_leaves_the_templates_refusal(client, off, messages, why):
    with pytest.raises(ValueError, match=f"chat template of 'keen' refuses these messages: {why}"):
        client(GEMMA, **{off: False}).create({"messages": messages})


def test_what_no_change_helps_is_refused_with_the_first_reason(client):
    with pytest.raises(ValueError, match="refuses these messages: roles must alternate"):
        client(GEMMA).create({"messages": [bot("I begin."), user("Hi")]})


# Calls --------------------------------------------------------------------------------------------


def call(number, arguments="{}"):
    """A call as OpenAI has it."""
    return {"id": f"id{number}", "type": "function", "function": {"name": "now", "arguments": arguments}}


def result(number):
    """The result of that call, as AutoGen sends it."""
    return {"role": "tool", "tool_call_id": f"id{number}", "content": f"{number} o'clock"}


def test_calls_made_at_once_come_one_by_one_where_a_template_wants_it(client):
    one = client(LLAMA)
    chat = [
        user("When?"),
        bot("I look.", tool_calls=[call(1), call(2)]),
        result(1),
        result(2),
        user("Thanks"),
    ]
    one.create({"messages": chat})
    shown = json.dumps({"name": "now", "arguments": {}})
    assert one.prompts == [
        f"<|user|>When?<|assistant|>I look.{shown}<|tool|>1 o'clock<|assistant|>{shown}<|tool|>2 o'clock"
        "<|user|>Thanks"
    ]


def test_a_call_without_its_result_stays_where_it_is(client):
    with pytest.raises(ValueError, match="only single calls"):
        client(LLAMA).create({"messages": [user("When?"), bot("", tool_calls=[call(1), call(2)]), result(1)]})


def test_gemma_reads_calls_and_results_in_words(client):
    one = client(GEMMA)
    chat = [SYSTEM, user("When?"), bot(None, tool_calls=[call(1), call(2)]), result(1), result(2)]
    one.create({"messages": chat, "tools": [TOOL]})
    [prompt] = one.prompts
    assert prompt.count("<start_of_turn>") == 2  # the user, and the reply
    assert prompt.index("Be brief.") < prompt.index("When?")
    assert "Tells the time." not in prompt  # now it answers in words: a small model would call again
    assert prompt.index("now() is: 1 o'clock") < prompt.index("now() is: 2 o'clock")


@pytest.mark.parametrize("arguments", [None, "", "{a: 2", '"text"', '{"a": "\\ud83d"}', "null"])
@pytest.mark.parametrize("template", [LLAMA, GEMMA])
def test_odd_arguments_of_an_earlier_call_are_shown_somehow(client, template, arguments):
    one = client(template)
    chat = [user("When?"), bot(None, tool_calls=[call(1, arguments)]), result(1)]
    one.create({"messages": chat, "tools": [TOOL] if template == GEMMA else None})
    assert "1 o'clock" in one.prompts[0]


# Content ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [5, 2.5, True, {"text": "Hi"}, [5], ["Hi"], [{"type": "text"}], [{"text": "Hi"}], b"Hi"]
    + [[{"type": "text", "text": None}], [{"type": "text", "text": 5}], "half a pair \ud83d"],
)
@pytest.mark.parametrize("role", ["user", "system", "assistant", "tool"])
def test_content_that_is_no_text_is_refused_in_words(client, content, role):
    messages = [user("Hi"), {"role": role, "content": content}]
    with pytest.raises(ValueError, match="content must be a text, or a list of parts"):
        client(LENIENT).create({"messages": messages})


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (None, ""),
        ("", ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
    ],
)
def test_no_content_and_parts_are_text(client, content, shown):
    one = client(LENIENT)
    one.create({"messages": [user("Hi"), bot(content), user("Bye")]})
    assert one.prompts == [f"<|user|>Hi<|assistant|>{shown}<|user|>Bye"]


# In a group chat ----------------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["Be brief.", ""])
def test_a_group_chat_works_with_a_template_like_gemmas(client, system):
    from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent

    one = client(GEMMA)
    config = LLMConfig({"model": "keen", "model_client_cls": "HuggingFaceModelClient", "max_tokens": 3})
    writers = [AssistantAgent(name, system_message=system, llm_config=config) for name in ("ann", "bob")]
    for writer in writers:
        writer.register_model_client(HuggingFaceModelClient, loaded_model=one.model, tokenizer=one.tokenizer)
    starter = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    group = GroupChat([starter, *writers], messages=[], max_round=5, speaker_selection_method="round_robin")
    starter.initiate_chat(GroupChatManager(group, llm_config=False), message="Write a story.")
    assert [message["name"] for message in group.messages] == ["user", "ann", "bob", "user", "ann"]
    assert len(one.prompts) == 3
    assert "user: Write a story." in one.prompts[1] and "ann: " in one.prompts[1]
