"""What a class may ask, and how the rest is refused."""

import pytest

from kit.classroom.request import Refused, Rules, check_request, short, too_long

QUESTION = {"role": "user", "content": "What is the capital of France?"}
RULES = Rules(key="class-1", model="class-model", max_tokens=256, max_prompt_tokens=20)
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def asked(**fields):
    """Return what the model gets of a request with these fields."""
    return check_request({"model": "class-model", "messages": [QUESTION], **fields}, RULES)


def refusal(**fields):
    """Return why a request with these fields is refused."""
    with pytest.raises(Refused) as refused:
        asked(**fields)
    return refused.value


@pytest.mark.parametrize(
    "fields", [{"model": "a" * 10_000}, {"a" * 10_000: 1}, {f"f{i}": 1 for i in range(999)}]
)
def test_of_what_is_long_little_is_sent_back(fields):
    assert len(str(refusal(**fields))) < 250


@pytest.mark.parametrize(
    ("fields", "status", "code", "part"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found", 'has to be "class-model"'),
        ({"model": None}, 404, "model_not_found", "None"),
        ({"model": ["class-model"]}, 404, "model_not_found", "['class-model']"),
        ({"logprobs": True}, 400, "unsupported_parameter", '"logprobs"'),
        ({"frequency_penalty": 0.5}, 400, "unsupported_parameter", '"frequency_penalty"'),
        ({"generation_config": "{}"}, 400, "unsupported_parameter", '"generation_config"'),
        ({"params": {"num_beams": 4}}, 400, "unsupported_parameter", '"params"'),
        ({"image_folder": "/"}, 400, "unsupported_parameter", '"image_folder"'),
        ({"foo": 1}, 400, "unsupported_parameter", '"foo"'),
        ({"n": 9}, 400, "invalid_value", "from 1 to 8"),
        ({"n": "two"}, 400, "invalid_value", "from 1 to 8"),
        ({"tools": [{"type": "function"}]}, 400, "invalid_tools", "tools[0]['function']"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, 400, "invalid_tools", "['name']"),
        ({"tools": "add"}, 400, "invalid_tools", "tools"),
        ({"stream": "yes"}, 400, "invalid_type", '"stream"'),
        ({"stream": True, "stream_options": "usage"}, 400, "invalid_type", '"stream_options"'),
        ({"chat_template_kwargs": ["x"]}, 400, "invalid_type", '"chat_template_kwargs"'),
    ],
)
def test_what_the_class_can_not_have_is_refused_by_name(fields, status, code, part):
    refused = refusal(**fields)
    assert (refused.status, refused.code) == (status, code)
    assert part in refused.message


def test_a_refusal_speaks_to_whoever_set_the_field():
    """Frameworks send fields that nobody wrote into an entry."""
    message = refusal(logprobs=True).message
    assert "leave it out of your entry" in message and "your framework" in message


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": None, "top_p": None, "max_tokens": None, "seed": None},
        {"n": None},
        {"user": "x"},
        {"tool_choice": "auto"},
        {"tool_choice": "none", "tools": []},
        {"logprobs": False, "top_logprobs": 0},
        {"stop": []},
        {"stop": ""},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}},
        {"parallel_tool_calls": True, "store": False, "metadata": {"a": "b"}, "service_tier": "auto"},
        {"modalities": ["text"], "verbosity": "medium", "reasoning_effort": "none"},
        {"functions": [], "function_call": "auto", "prediction": None, "audio": None},
        {"stream": False},
    ],
)
def test_what_changes_nothing_is_left_out(fields):
    wanted = {"model": "class-model", "messages": [QUESTION], "max_tokens": 256}
    found = asked(**fields)
    found.pop("user", None)
    assert found == wanted


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0},
        {"temperature": 0.7, "top_p": 0.9, "seed": 0},
        {"stop": ["."]},
        {"n": 2},
        {"response_format": SCHEMA},
        {"tools": [TOOL], "tool_choice": "required"},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"chat_template_kwargs": {"enable_thinking": False}},
    ],
)
def test_what_changes_the_reply_reaches_the_model(fields):
    assert asked(**fields).items() >= fields.items()


@pytest.mark.parametrize("value", [0, -1, 257, 1.5, "32", True])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_out_of_range_is_refused(name, value):
    refused = refusal(**{name: value})
    assert (refused.status, refused.code) == (400, "invalid_value")
    assert f'"{name}"' in refused.message and "from 1 to 256" in refused.message


def test_both_names_of_the_limit_count():
    both = asked(max_tokens=9, max_completion_tokens=8)
    assert both["max_tokens"] == 8
    assert "max_completion_tokens" not in both


@pytest.mark.parametrize(
    ("messages", "part"),
    [
        (None, "messages"),
        ([], "messages"),
        ("Hello", "messages"),
        (["Hello"], "messages[0]"),
        ([QUESTION, {}], "messages[1]['role']"),
        ([{"role": 1, "content": "x"}], "['role']"),
        ([{"role": "user", "content": 1}], "['content']"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "'text'"),
        ([{"role": "user", "content": ["text"]}], "['content'][0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "['text']"),
        ([{"role": "user", "content": [{"type": "text", "text": 1}]}], "['text']"),
        ([{"role": "user", "content": "x", "tool_calls": 1}], "['tool_calls']"),
        ([{"role": "assistant", "tool_calls": [{"function": {"arguments": "{"}}]}], "['name']"),
        ([{"role": "user", "content": "x", "name": ["a"]}], "['name']"),
        ([{"role": "user", "content": "a\ud83d"}], "half a character"),  # JSON can hold it, no tokenizer can
        ([{"role": "user", "content": [{"type": "text", "text": "\ud83d"}]}], "half a character"),
    ],
)
def test_messages_that_the_engine_would_stumble_over_are_refused_by_their_place(messages, part):
    refused = refusal(messages=messages)
    assert (refused.status, refused.code) == (400, "invalid_messages")
    assert part in refused.message


@pytest.mark.parametrize(
    "content", ["Hello", "", None, [], [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]]
)
def test_text_reaches_the_engine_in_each_form_that_it_may_have(content):
    message = {"role": "user", "content": content}
    assert asked(messages=[message])["messages"] == [message if content is not None else {"role": "user"}]


def test_what_is_null_in_a_message_is_left_out():
    """As in a reply that was taken over with `model_dump()`."""
    reply = {"role": "assistant", "content": "Paris.", "tool_calls": None, "refusal": None}
    kept = asked(messages=[reply, QUESTION])["messages"]
    assert kept == [{"role": "assistant", "content": "Paris."}, QUESTION]


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers():
    refused = too_long("21", RULES)
    assert "has 21 tokens, and 20 are allowed" in refused.message
    assert refused.body()["error"]["code"] == "context_length_exceeded"


def test_half_a_character_that_is_quoted_in_a_refusal_is_no_trouble():
    refused = refusal(**{"\ud83d": 1})
    assert refused.body()["error"]["message"].encode()


def test_what_is_quoted_is_short():
    assert len(short("x" * 999)) < 100
