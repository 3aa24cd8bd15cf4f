"""What libraries raise inside of a client's create, and the same line as the fix wants it."""

import json
import sqlite3
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import autogen
import httpx
import openai
import pytest
import requests
import torch
import transformers
from local_models import generates, loads, tiny_model
from server import GOOD, URL
from set_ups import MINE, QUESTION, agent, ask, client, raise_, raised
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from kit.checks.explain import explain

pytestmark = pytest.mark.usefixtures("folder")


def tokenizer(template="{% for m in messages %}{{ '[' + m.content }}{% endfor %}"):
    made = Tokenizer(WordLevel({"[UNK]": 0, "Hi": 1}, unk_token="[UNK]"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, chat_template=template)


def pipe(task="text-generation", **parts):
    return transformers.pipeline(task, model=tiny_model(), **parts)


MESSAGES = [*QUESTION, {"role": "assistant", "content": None, "tool_calls": []}]


IDS = [[1, 2]]


def openai_answers(**options):
    completions = openai.OpenAI(base_url=f"{URL}/v1", api_key="right").chat.completions
    return completions.create(model="good", messages=QUESTION, **options)


def connected(**options):
    """Return a connection that was made in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(sqlite3.connect, ":memory:", **options).result()


def streamer(*pieces):
    made = transformers.TextIteratorStreamer(tokenizer(), timeout=0.01)
    for piece in pieces:
        made.on_finalized_text(piece)
    return made


PARAMS = {"model": "good", "messages": QUESTION, "model_client_cls": "Mine"}


MENDED = {  # what fails in create, and the same as the fix says
    "messages for a tokenizer": (
        lambda: tokenizer()(QUESTION),
        lambda: tokenizer().apply_chat_template(QUESTION, tokenize=True),
        "tokenizer-wants-text",
    ),
    "None for a tokenizer": (
        lambda: tokenizer()(MESSAGES[-1]["content"]),
        lambda: tokenizer()(MESSAGES[0]["content"]),
        "tokenizer-wants-text",
    ),
    "a message without content in a template": (
        lambda: tokenizer().apply_chat_template(MESSAGES),
        lambda: tokenizer().apply_chat_template([{**m, "content": m.get("content") or ""} for m in MESSAGES]),
        "template-lacks",
    ),
    "a text for generate": (
        lambda: tiny_model().generate("Hi"),
        lambda: tiny_model().generate(**tokenizer()("Hi", return_tensors="pt"), max_new_tokens=1),
        "lists-for-tensors",
    ),
    "a device that there is not": (
        lambda: torch.zeros(1).to("gpu"),
        lambda: torch.zeros(1).to("cpu"),
        "unknown-device",
    ),
    "a stream read as one answer": (
        lambda: openai_answers(stream=True).choices[0].message.content,
        lambda: openai_answers().choices[0].message.content,
        "stream-unread",
    ),
    "a dict read like an object": (
        lambda: QUESTION[0].content,
        lambda: QUESTION[0]["content"],
        "dict-not-object",
    ),
    "a list read like a dict": (
        lambda: QUESTION["content"],
        lambda: QUESTION[-1]["content"],
        "list-not-dict",
    ),
    "a list taken for a text": (
        lambda: tokenizer().batch_decode(IDS).strip(),
        lambda: tokenizer().batch_decode(IDS)[0].strip(),
        "list-not-text",
    ),
    "messages joined": (
        lambda: "\n".join(MESSAGES),
        lambda: "\n".join(message["content"] or "" for message in MESSAGES),
        "messages-joined",
    ),
    "a tensor as JSON": (
        lambda: json.dumps({"ids": torch.tensor(IDS)}),
        lambda: json.dumps({"ids": torch.tensor(IDS).tolist()}),
        "not-json",
    ),
    "a pipeline that is gone": (
        lambda: pipe("conversational", tokenizer=tokenizer()),
        lambda: pipe(tokenizer=tokenizer())(QUESTION, max_new_tokens=1)[0]["generated_text"][-1]["content"],
        "no-such-task",
    ),
    "weights of another size": (
        lambda: tiny_model().load_state_dict({"lm_head.weight": torch.zeros(3, 8)}, strict=False),
        lambda: tiny_model().load_state_dict(tiny_model().state_dict()),
        "weights-mismatch",
    ),
    "a name of pydantic 1": (
        lambda: exec("from pydantic import BaseSettings"),
        lambda: exec("from pydantic.v1 import BaseSettings"),
        "pydantic-one",
    ),
    "backslashes": (
        lambda: compile(r'open("C:\Users\me")', "<cell>", "exec"),
        lambda: compile(r'open(r"C:\Users\me")', "<cell>", "exec"),
        "backslashes",
    ),
    "a pipeline without a tokenizer": (pipe, lambda: pipe(tokenizer=tokenizer()), "no-tokenizer-given"),
    "choices without sampling": (
        lambda: generates(do_sample=False, num_return_sequences=2)(None, {}),
        lambda: generates(do_sample=True, num_return_sequences=2, max_new_tokens=1)(None, {}),
        "greedy-choices",
    ),
    "a temperature in quotes": (
        lambda: generates(do_sample=True, temperature="0.7")(None, {}),
        lambda: generates(do_sample=True, temperature=0.7, max_new_tokens=1)(None, {}),
        "number-as-text",
    ),
    "a number of tokens in quotes": (
        lambda: generates(max_new_tokens="1")(None, {}),
        lambda: generates(max_new_tokens=1)(None, {}),
        "number-as-text",
    ),
    "a method of another model": (
        lambda: tiny_model().chat(tokenizer(), "Hi"),
        lambda: tiny_model().generate(torch.tensor(IDS), max_new_tokens=1),
        "no-chat-method",
    ),
    "a dtype that torch does not have": (
        lambda: loads(dtype="fp16")(None, {}),
        lambda: loads(dtype="float16")(None, {}),
        "dtype-name",
    ),
    "a file in place of the folder": (
        lambda: loads()(None, {}).from_pretrained("tiny/model.safetensors"),
        lambda: loads()(None, {}).from_pretrained("tiny"),
        "no-model-kind",
    ),
    "a class that transformers has no more": (
        lambda: exec("from transformers import AutoModelWithLMHead"),
        lambda: exec("from transformers import AutoModelForCausalLM"),
        "gone-from-transformers",
    ),
    "a port and no slash": (
        lambda: httpx.post(URL + "v1/chat/completions"),
        lambda: httpx.post(URL + "/v1/chat/completions", json={"model": "good"}),
        "odd-address",
    ),
    "a port of another program": (
        lambda: httpx.post(URL + "/greets"),
        lambda: httpx.post(URL + "/v1/chat/completions", json={"model": "good"}),
        "not-http",
    ),
    "a system message for an API that takes it apart": (
        lambda: raise_(
            Exception('messages: Unexpected role "system". There is a top-level `system` parameter')
        ),
        lambda: [message for message in QUESTION if message["role"] != "system"],
        "system-apart",
    ),
    "urllib and no scheme": (
        lambda: urllib.request.urlopen(URL.removeprefix("http://")),
        lambda: urllib.request.urlopen(URL + "/v1/chat/completions", data=b'{"model": "plain"}'),
        "no-scheme",
    ),
    "urllib and an address that is not there": (
        lambda: urllib.request.urlopen(URL + "/v2", data=b"{}"),
        lambda: urllib.request.urlopen(URL + "/v1/chat/completions", data=b'{"model": "plain"}'),
        "unknown-address",
    ),
    "Python's way of writing in place of JSON": (
        lambda: json.loads("[{'name': 'Rome'}]"),
        lambda: json.loads(json.dumps([{"name": "Rome"}])),
        "python-not-json",
    ),
    "a connection of another thread": (
        lambda: connected().execute("select 1"),
        lambda: connected(check_same_thread=False).execute("select 1"),
        "other-thread",
    ),
    "params as a whole for the client of openai": (
        lambda: openai.OpenAI(base_url=URL, api_key="right").chat.completions.create(**PARAMS),
        lambda: openai.OpenAI(base_url=f"{URL}/v1", api_key="right").chat.completions.create(
            model=PARAMS["model"], messages=PARAMS["messages"]
        ),
        "params-passed-on",
    ),
    "tools that are None": (
        lambda: autogen.OpenAIWrapper(config_list=[GOOD]).create(messages=QUESTION, tools=None),
        lambda: autogen.OpenAIWrapper(config_list=[GOOD]).create(messages=QUESTION),
        "tools-none",
    ),
    "an item of a list that has none": (
        lambda: (lambda rows: rows[0])([]),
        lambda: (lambda rows: rows and rows[0])([]),
        "empty-list",
    ),
    "a streamer that nobody feeds": (
        lambda: next(streamer()),
        lambda: next(streamer("Hi")),
        "streamer-empty",
    ),
    "a time limit in quotes": (
        lambda: requests.post(URL, timeout="5"),
        lambda: requests.post(URL, timeout=5),
        "quoted-number",
    ),
    "a time limit in quotes, for httpx": (
        lambda: httpx.post(URL, timeout="5"),
        lambda: httpx.post(URL, timeout=5),
        "quoted-number",
    ),
    "a base_url and its slash": (
        lambda: requests.post(f"{URL}//v1/chat/completions", json={"model": "plain"}).raise_for_status(),
        lambda: requests.post(f"{URL}/v1/chat/completions", json={"model": "plain"}).raise_for_status(),
        "two-slashes",
    ),
    "a server that ends the connection": (
        lambda: httpx.post(URL + "/ends"),
        lambda: httpx.post(URL + "/v1/chat/completions", json={"model": "good"}),
        "broken-off",
    ),
}


@pytest.mark.parametrize(("broken", "fixed", "code"), MENDED.values(), ids=MENDED)
def test_what_fails_in_create_is_right_once_the_fix_is_done(broken, fixed, code):
    made = agent(MINE, register=[client(create=lambda self, params: broken())])
    finding = explain(raised(lambda: ask(made)))
    assert finding.code == code
    assert ", line " in finding.message
    fixed()


def test_a_torch_that_is_too_old_for_transformers(monkeypatch):
    with monkeypatch.context() as patched:
        patched.delattr(torch, "arange")
        error = raised(lambda: tiny_model().generate(torch.tensor(IDS), max_new_tokens=1))
    finding = explain(error)
    assert finding.code == "torch-too-old" and "arange" in finding.message
    assert tiny_model().generate(torch.tensor(IDS), max_new_tokens=1) is not None


def test_a_slip_in_a_library_is_none_of_ones_own():
    """What is to be done about it in one's own code would lead astray."""
    assert explain(raised(lambda: not_there)).code == "undefined-name"  # noqa: F821
    with_slip = {**vars(transformers.pytorch_utils)}
    code = compile("not_there", transformers.pytorch_utils.__file__, "eval")
    assert explain(raised(lambda: eval(code, with_slip))).code == "error"
