"""Which field of a request a refusal names, in the wordings of many servers."""

import json
from pathlib import Path

import httpx
import pytest
from set_ups import agent, raised, with_tool

from kit.checks.answers import refusal
from kit.checks.explain import explain

MESSAGES = [{"role": "user", "content": "Hi", "name": "user"}, {"role": "assistant", "content": "Hello"}]
SENT = {"model": "m", "messages": MESSAGES, "temperature": 0.2, "max_tokens": 9, "tools": [{}], "stop": ["x"]}
SENT |= {"functions": [{}], "response_format": {"type": "json_object"}, "top_k": 5, "presence_penalty": 1}
WORDINGS = {
    "registry.ollama.ai/library/gemma:latest does not support tools": "tools",
    "No endpoints found that support tool use. Try disabling another.": "tools",
    "`tool calling` is not supported with this model": "tools",
    "deepseek-reasoner does not support Function Calling": "tools",
    "tools param requires --jinja flag": "tools",
    "Unsupported param: tools": "tools",
    '"auto" tool choice requires --enable-auto-tool-choice': "tools",
    "litellm.UnsupportedParamsError: ollama does not support parameters: {'tools': [{}]}": "tools",
    "Unrecognized request argument supplied: functions": "functions",
    'Invalid JSON payload received. Unknown name \\"functions\\": Cannot find field.': "functions",
    "Invalid 'tools[0].function.name': string does not match pattern.": "tools.function",
    "Invalid schema for function 'f': None is not of type 'object'": "tools.function",
    "'response_format.type' must be 'json_schema'": "response_format",
    "This response_format type is unavailable now": "response_format",
    "response_format: unknown variant `json_object`, expected `json_schema`": "response_format",
    "Unsupported value: 'temperature' does not support 0.2 with this model. Only 1 is.": "temperature",
    "max_tokens must be at least 16": "max_tokens",
    "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.": "max_tokens",
    "Model grok-4 does not support parameter presencePenalty.": "presence_penalty",
    "Argument not supported on this model: stop": "stop",
    "top_k: Extra inputs are not permitted": "top_k",
    "messages.0.name: Extra inputs are not permitted": "messages.name",
    "Extra inputs are not permitted, field: 'messages[0].name', value: 'user'": "messages.name",
    "[{'type': 'extra_forbidden', 'loc': ['body', 'messages', 1, 'user', 'name']}]": "messages.name",
    "Invalid 'messages[1].name': string does not match pattern.": "messages.name",
    "messages[0]: property 'name' is unsupported": "messages.name",
    # Nothing of what was sent is refused here.
    "The model stopped, and used its tools.": "",
    "Rate limit reached for requests": "",
    "Unsupported parameter: 'logit_bias'": "",
}
LACKING = {
    "max_completion_tokens: Field required": "max_completion_tokens",
    "[{'loc': ('body', 'prompt'), 'msg': 'Field required'}]": "prompt",
    "you must provide a user parameter": "user",
    "Missing required parameter: 'user'": "user",
    "missing field `input` at line 1": "input",
    "max_tokens: Field required": None,  # it was sent
}


@pytest.mark.parametrize(("text", "field"), WORDINGS.items(), ids=WORDINGS)
def test_the_field_that_is_refused(text, field):
    assert refusal(text, SENT, SENT, None).get("field", "") == field
    assert (
        refusal(json.dumps({"error": {"message": text, "param": None}}), SENT, SENT, None).get("field", "")
        == field
    )


@pytest.mark.parametrize(("text", "name"), LACKING.items(), ids=LACKING)
def test_the_field_that_is_missing(text, name):
    assert refusal(text, SENT, SENT, None).get("lacks") == name


def test_a_field_that_was_not_sent_is_not_blamed():
    assert "field" not in refusal(
        "plain does not support tools", {"model": "m", "messages": MESSAGES}, {}, None
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Error code: 400 - {'error': {'message': 'gemma does not support tools'}}", "no-tools"),
        ("BadRequestError: Error code: 400 - Unsupported parameter: 'max_tokens'", "parameter-refused"),
        ("HTTP 422: messages.0.name: Extra inputs are not permitted", "message-field"),
    ],
)
def test_of_a_text_alone_the_field_is_found_too(text, code):
    assert explain(text).code == code


SAID = [
    json.loads(line) for line in Path(__file__).with_name("what_servers_say.jsonl").open(encoding="utf-8")
]


@pytest.mark.parametrize("row", SAID, ids=lambda row: f"{row['code']}: {str(row['body'])[:60]}")
def test_what_servers_say_is_understood_in_the_words_of_each(row, monkeypatch):
    """Each is in the manner of one: OpenAI, Azure, Gemini, Groq, Ollama, LM Studio, vLLM, llama.cpp ..."""
    content = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])

    def send(self, request, **options):
        return httpx.Response(row["status"], request=request, content=content)

    monkeypatch.setattr(httpx.Client, "send", send)
    sent = row.get("sent", {})
    fields = {"model": "m-1.5", "base_url": "http://server/v1", "api_key": "sk-1", "max_retries": 0}
    made = agent({**fields, "price": [0, 0], **(sent if sent != "tools" else {})})
    with_tool(made) if sent == "tools" else made
    assert explain(raised(lambda: made.generate_reply(MESSAGES[:1]))).code == row["code"]
