"""What is a secret and what is not, where a key belongs, and how references stand for it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.config_list.lists import check_config_list, load_config_list
from kit.config_list.secrets import (
    MASK,
    hide_secrets,
    hide_typed,
    is_secret_name,
    lifted,
    masked,
    referring,
    resolved,
    secrets_in,
    variable_for,
    variables_in,
)

SECRET_NAMES = """api_key apiKey APIKey X-Api-Key their_keys key key1 OPENAI_API_KEY OPENAI_API_KEY_2 secret
    clientSecret aws_secret_access_key token azure_ad_token accessToken HF_TOKEN password password2 passwd pwd
    passphrase db_pass auth basic_auth Authorization proxy-authorization cookie Set-Cookie connection_string
    connectionString private_key credentials Ocp-Apim-Subscription-Key AccountKey jwt"""
OTHER_NAMES = """model max_tokens maxTokens max_new_tokens prompt_tokens tokens pad_token padToken eos_token
    decoder_start_token token_limit tokenizer monkey keyboard turkey author authority compass organization
    prompt_cache_key public_key api_key_file X-Room cost_per_token"""


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_these_names_are_those_of_secrets(name):
    assert is_secret_name(name)
    assert masked({name: "hunter2"}) == {name: MASK}


@pytest.mark.parametrize("name", OTHER_NAMES.split())
def test_these_names_are_not(name):
    assert masked({name: "hunter2"}) == {name: "hunter2"}


LOOKS = [  # a text, and what is left of it in the open
    ("sk-proj-recognisable", MASK),
    ("gsk_recognisable", MASK),
    ("hf_recognisable", MASK),
    ("ghp_recognisable", MASK),
    ("github_pat_recognisable", MASK),
    ("xai-recognisable", MASK),
    ("nvapi-recognisable", MASK),
    ("AKIAIOSFODNN7EXAMPLE", MASK),
    ("AIzaSyrecognisable", MASK),
    ("eyJhbGciOiJ.eyJzdWIiOiIx.recognisable", MASK),
    ("Basic aHVudGVyMjpyZWM=", f"Basic {MASK}"),
    ("Bearer recognisable", f"Bearer {MASK}"),
    ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", MASK),
    ("https://me:recognisable@host/v1", f"https://{MASK}@host/v1"),
    ("https://me:p@ss@host/v1", f"https://{MASK}@host/v1"),
    ("https://recognisable@host/v1", f"https://{MASK}@host/v1"),
    ("postgres://me:recognisable@host:5432/db", f"postgres://{MASK}@host:5432/db"),
    ("https://host/v1?api_key=recognisable&a=1", f"https://host/v1?api_key={MASK}&a=1"),
    ("https://host/v1?a=1&token=recognisable#b", f"https://host/v1?a=1&token={MASK}#b"),
    ("https://host/v1?api%5Fkey=recognisable", f"https://host/v1?api%5Fkey={MASK}"),
    ("Endpoint=sb://host;AccountKey=recognisable==", f"Endpoint=sb://host;AccountKey={MASK}"),
]


@pytest.mark.parametrize(("text", "left"), LOOKS)
def test_a_secret_is_told_by_its_look_in_any_field_and_in_any_text(text, left):
    assert masked({"colour": text}) == {"colour": left}
    assert left in hide_secrets(f"It says: {text} and so on")
    assert secrets_in({"params": [text]})


@pytest.mark.parametrize(
    "text",
    ["sk", "risk-free", "xai-org/grok-2", "hf-internal-testing/tiny", "Basic knowledge", "a bearer of news",
     "https://host/v1?page=2&max_tokens=5", "https://medium.com/@me/post", "ssh://git@host/x", "me@host.org",
     "Bearer ${MY_TOKEN}", "https://me:${IT}@host/v1", "https://${LOGIN}@host", "https://host/?key=${IT}",
     MASK, "not-needed", "llama3.2:1b", "eyJ"],
)  # fmt: skip
def test_what_only_looks_a_little_like_one_stays(text):
    assert masked({"colour": text}) == {"colour": text}
    assert hide_secrets(text) == text


def test_keys_that_stand_as_names_are_hidden_and_can_not_be_lifted():
    assert "recognisable" not in repr(masked({"params": {"sk-recognisable": 1}}))
    with pytest.raises(ValueError, match="name") as caught:
        lifted({"params": {"sk-recognisable": 1}}, {}, {})
    assert "recognisable" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['{"api_key": "hunter2', "{'a': {'password': 'hunter2", '{"keys": ["a", "hunter2"', "my_key = hunter2",
     '{"api_key": "${IT}hunter2',
     '{"token": {"value": "hunter2"}', "pwd: hunter2, n: 1", '{"x": [{"passwd": "hunter2"'],
)  # fmt: skip
def test_a_text_that_is_typed_and_not_whole_shows_no_secret(text):
    assert "hunter2" not in hide_typed(text)
    assert MASK in hide_typed(text)


def test_what_is_typed_and_no_secret_stays():
    text = 'max_tokens: 5, api_key: "not-needed", keyboard: [1, {"pad_token": "x"'
    assert hide_typed(text) == text


# The variable that a key belongs in


@pytest.mark.parametrize(
    ("entry", "variable"),
    [
        ({}, "OPENAI_API_KEY"),
        ({"base_url": "https://api.openai.com/v1"}, "OPENAI_API_KEY"),
        ({"base_url": "https://API.OpenAI.com:443/v1/"}, "OPENAI_API_KEY"),
        ({"base_url": "https://api.openai.com.example.org"}, "API_OPENAI_COM_EXAMPLE_ORG_API_KEY"),
        ({"base_url": "https://myapi.openai.com.example/v1"}, "MYAPI_OPENAI_COM_EXAMPLE_API_KEY"),
        ({"base_url": "https://user:api.openai.com@example.org"}, "EXAMPLE_ORG_API_KEY"),
        ({"api_type": "azure", "base_url": "https://gateway.example.org"}, "AZURE_OPENAI_API_KEY"),
        ({"base_url": "https://mine.openai.azure.com"}, "AZURE_OPENAI_API_KEY"),
        ({"base_url": "https://api.groq.com/openai/v1"}, "GROQ_API_KEY"),
        ({"base_url": "https://openrouter.ai/api/v1"}, "OPENROUTER_API_KEY"),
        ({"base_url": "https://router.huggingface.co/v1"}, "HF_TOKEN"),
        ({"api_type": "anthropic"}, "ANTHROPIC_API_KEY"),
        ({"base_url": "https://api.example.com/v1"}, "API_EXAMPLE_COM_API_KEY"),
        ({"base_url": "http://localhost:8000/v1"}, "LOCALHOST_8000_API_KEY"),
        ({"base_url": "localhost:8000/v1"}, "LOCALHOST_8000_API_KEY"),
        ({"base_url": "http://192.168.1.5:8000/v1"}, "HOST_192_168_1_5_8000_API_KEY"),
        ({"base_url": "http://[fe80::1]:80/v1"}, "FE80_1_API_KEY"),
        ({"base_url": "https://bücher.example"}, "XN_BCHER_KVA_EXAMPLE_API_KEY"),
        ({"base_url": "https://["}, "MODEL_API_KEY"),  # half an address is not OpenAI's
        ({"base_url": 5}, "MODEL_API_KEY"),
        ({"base_url": "Bearer hunter2-and-more"}, "MODEL_API_KEY"),
        ({"base_url": "https://sk-hunter2-and-more/v1"}, "MODEL_API_KEY"),
        ({"model_client_cls": "C"}, "MODEL_API_KEY"),
        ({"model_client_cls": "C", "endpoint": "https://api.example.com"}, "API_EXAMPLE_COM_API_KEY"),
    ],
)
def test_a_key_belongs_in_a_variable_named_after_its_server(entry, variable):
    assert variable_for(entry) == variable
    assert is_secret_name(variable)


@given(st.text(max_size=30), st.text(max_size=30))
@settings(deadline=None, database=None)
def test_a_variable_has_a_name_that_every_system_takes_and_that_tells_a_secret(host, field):
    variable = variable_for({"base_url": f"https://{host}/v1"}, field)
    assert variable.isidentifier() and variable.isascii() and variable == variable.upper()
    assert is_secret_name(variable)


# Lifting


ENTRY = {
    "model": "a",
    "model_client_cls": "C",
    "base_url": "https://me:hunter2-recognisable@api.example.com/v1?key=recognisable&a=1",
    "api_key": "hunter2=/+recognisable",
    "default_headers": {"Authorization": "Bearer recognisable", "X-Room": "12"},
    "X-Some": "Bearer recognisable",
    "params": {"keys": ["recognisable-1", "recognisable-2"], "token": {"value": "recognisable-3"}},
    "colour": "sk-recognisable",
    "pad_token": "<pad>",
}


def test_every_secret_is_lifted_into_a_variable_and_comes_back_exactly(monkeypatch):
    found = {}
    references = lifted(ENTRY, ENTRY, found)
    assert "recognisable" not in json.dumps(references)
    assert references["pad_token"] == "<pad>" and references["default_headers"]["X-Room"] == "12"
    assert lifted(references, references, {}) == references == masked(references)
    for variable, secret in found.items():
        monkeypatch.setenv(variable, secret)
    assert {*found} == {*variables_in(references)}
    assert resolved(references) == resolved(resolved(references)) == ENTRY
    assert referring(resolved(references)) == references
    assert "recognisable" not in repr(resolved(references)) + repr(masked(resolved(references)))


def test_a_secret_that_was_lifted_has_the_value_of_no_other(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-set-before")
    found = {"OPENAI_API_KEY_2": None}  # somebody else's
    assert lifted(["sk-one-1", "sk-two-2", "sk-one-1"], {}, found, "api_key") == [
        "${OPENAI_API_KEY_3}",
        "${OPENAI_API_KEY_4}",
        "${OPENAI_API_KEY_3}",
    ]
    assert lifted("sk-set-before", {}, {}, "api_key") == "${OPENAI_API_KEY}"


@pytest.mark.parametrize(
    ("name", "value", "filled"),
    [
        ("Authorization", "Bearer ${IT}", "Bearer hunter2"),
        ("X-Some", "Bearer ${IT}", "Bearer hunter2"),
        ("base_url", "https://host/v1?key=${IT}&a=${OTHER}", "https://host/v1?key=hunter2&a=${OTHER}"),
        ("base_url", "https://me:${IT}@host", "https://me:hunter2@host"),
        ("colour", "${MY_OWN_KEY} and ${NOT_SET_KEY}", "hunter3 and ${NOT_SET_KEY}"),
        ("cookie", "session=${IT}; id=${MY_OWN_KEY}", "session=hunter2; id=hunter3"),
        ("colour", "${IT}", "${IT}"),  # neither the field nor the variable is named like a secret
    ],
)
def test_references_are_filled_in_wherever_a_secret_can_be_lifted_out(monkeypatch, name, value, filled):
    monkeypatch.setenv("IT", "hunter2")
    monkeypatch.setenv("MY_OWN_KEY", "hunter3")
    for nest in (lambda it: it, lambda it: {"params": [it]}):
        entry = nest({name: value})
        assert resolved(entry) == nest({name: filled})
        assert referring(resolved(entry)) == entry == masked(entry)
        assert "hunter" not in repr(resolved(entry))


def test_a_list_with_references_in_longer_texts_is_loaded_with_its_keys(folder, monkeypatch):
    entry = {"model": "a", "api_key": "not-needed", "base_url": "https://host/v1?token=${IT}"}
    (folder / "list.json").write_text(json.dumps([entry]))
    with pytest.raises(ValueError, match="IT is not set"):
        load_config_list("list.json")
    monkeypatch.setenv("IT", "hunter2")
    assert load_config_list("list.json")[0]["base_url"] == "https://host/v1?token=hunter2"


# A key for another server


@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": "${OPENAI_API_KEY}"},
        {"api_key": "${OPENAI_API_KEY_2}"},
        {"api_key": "x", "default_headers": {"Authorization": "Bearer ${OPENAI_API_KEY}"}},
        {"api_key": "${GROQ_API_KEY}"},
        {"api_key": "${OPENAI_API_KEY}", "model_client_cls": "C"},
        {},  # OpenAI's client takes the variable then
    ],
)
def test_a_key_that_would_go_to_another_server_is_a_warning(fields, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_2", "GROQ_API_KEY"):
        monkeypatch.setenv(name, "hunter2")
    for url in ("https://api.example.com/v1", "http://localhost:8000/v1"):
        (problem,) = check_config_list([{"model": "a", "base_url": url, **fields}])
        assert problem.warning and "would" in problem.message
        assert variable_for({"base_url": url}).removesuffix("_API_KEY") in problem.message


@pytest.mark.parametrize(
    "entry",
    [
        {"api_key": "${OPENAI_API_KEY}"},
        {"api_key": "${OPENAI_API_KEY}", "base_url": "https://api.openai.com/v1"},
        {"api_key": "${MY_OWN_KEY}", "base_url": "https://api.example.com/v1"},
        {"api_key": "${OPENAI_API_KEY}", "model_client_cls": "C"},
        {"api_key": "not-needed", "base_url": "http://localhost:8000/v1"},
        {"base_url": "http://localhost:8000/v1", "model_client_cls": "C"},
    ],
)
def test_a_key_that_goes_where_it_belongs_is_none(entry, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    monkeypatch.setenv("MY_OWN_KEY", "hunter2")
    assert check_config_list([{"model": "a", **entry}]) == []


def test_stars_in_a_list_are_a_warning():
    (problem,) = check_config_list([{"model": "a", "model_client_cls": "C", "their_key": MASK}])
    assert problem.warning and problem.field == "their_key"


def test_an_address_is_named_without_its_login():
    problems = check_config_list([{"model": "a", "api_key": "x", "base_url": "https://me:recognisable@host"}])
    assert any("/v1" in problem.message for problem in problems)
    assert "recognisable" not in str(problems)


def test_what_a_server_repeats_of_a_longer_secret_is_hidden():
    entry = {"headers": {"Authorization": "Bearer hunter2 recognisable"}, "api_key": "a b=recognisable"}
    for text in ("Wrong: hunter2 recognisable.", "GET /?key=a%20b%3Drecognisable"):
        assert "recognisable" not in hide_secrets(text, entry)
