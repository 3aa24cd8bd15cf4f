"""What goes wrong inside of people's own clients: what it is put down to, and that doing what the fix says
makes it right.

A set-up that was fixed stays silent: nothing is found that would have to be fixed.
"""

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import autogen
import httpx
import openai
import pytest
import requests
import torch
import transformers
from autogen.oai.client import OpenAIClient
from huggingface_hub import hf_hub_download
from jinja2 import Environment, TemplateError
from local_models import generates, loads, tiny_model
from server import GOOD, URL, sends
from set_ups import (
    DUMMY,
    MINE,
    QUESTION,
    Memory,
    add,
    agent,
    ask,
    chat,
    client,
    codes,
    raise_,
    raised,
    user,
)

from kit import DummyModelClient, diagnose
from kit.checks.explain import explain

pytestmark = pytest.mark.usefixtures("folder")


def posts(path):
    """Return a create that asks a server with requests, and trusts its answer."""

    def create(self, params):
        return requests.post(URL + path, json={"model": "good"}, timeout=5).json()["text"]

    return create


def unlooked_at(self, params):
    answer = requests.post(f"{URL}/v1/chat/completions", headers={"Authorization": "Bearer wrong"}, json={})
    return answer.json()["choices"]


def gated(**options):
    """Return a create that fetches a file of a model which only those who logged in get."""

    def create(self, params):
        hf_hub_download("some/model", "config.json", endpoint=f"{URL}/hub", cache_dir="cache", **options)
        return DummyModelClient.create(self, params)

    return create


def no_model(self, params):
    said = "[{'type': 'string_type', 'loc': ('body', 'model'), 'msg': 'Input should be a valid string'}]"
    request = httpx.Request("POST", f"{URL}/v1/chat/completions", json={"model": None, "messages": []})
    httpx.Response(400, request=request, json={"message": said}).raise_for_status()


def only_an_adapter(self, params):
    folder = Path("tuned")
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


def raise_for_status(self, params):
    sent = {"headers": {"Authorization": "Bearer right"}, "json": {"model": "poor"}}
    requests.post(f"{URL}/v1/chat/completions", timeout=5, **sent).raise_for_status()


def with_httpx(self, params):
    return httpx.post(f"{URL}/page", json={}).json()


def lines(*said):
    """Return a create that reads a stream's lines as JSON."""
    return lambda self, params: [json.loads(line) for line in said]


def from_answer(answer):
    """Return a create that takes the text out of an answer."""

    def create(self, params):
        return answer["choices"][0]["message"]["content"]

    return create


def pieces(self, params):
    for chunk in [SimpleNamespace(choices=[], usage=1)]:
        print(chunk.choices[0].delta.content)


def in_parts(self, params):
    tokenizer = SimpleNamespace(apply_chat_template=Environment().from_string("{{ '[' + m.content }}").render)
    return tokenizer.apply_chat_template(m={"content": [{"type": "text", "text": "Hi"}]})


def overflows(self, params):
    model = tiny_model()
    model.lm_head.weight.data.fill_(float("nan"))
    return model.generate(torch.tensor([[1]]), do_sample=True, max_new_tokens=1)


def without_usage(self, params):
    response = SimpleNamespace(usage=None)
    return response.usage.prompt_tokens


def empty_folder(self, params):
    tiny_model().config.save_pretrained("empty")
    return transformers.AutoModelForCausalLM.from_pretrained("empty")


def encoder(self, params):
    transformers.T5Config().save_pretrained("t5")
    return transformers.AutoModelForCausalLM.from_pretrained("t5")


def template(self, params):
    def refuse(text):
        raise TemplateError(text)

    text = "{{ refuse('System role not supported') if messages[0].role == 'system' }}"
    return Environment().from_string(text).render(refuse=refuse, **params)


OWN = {
    "a page where JSON belongs": (posts("/page"), "answer-no-json"),
    "a page, with httpx": (with_httpx, "answer-no-json"),
    "lines where one answer belongs": (posts("/lines"), "answer-in-lines"),
    "lines of a stream": (lines('data: {"a": 1}'), "answer-in-lines"),
    "a text that is no JSON": (lines("{}", "Hello"), "error"),
    "an answer to what was no JSON": (from_answer({"detail": [{"type": "json_invalid"}]}), "body-no-object"),
    "a refusal taken for an answer": (from_answer({"detail": [{"msg": "no"}]}), "answer-is-error"),
    "an answer of another form": (from_answer({"message": {"content": "Hi"}}), "text-elsewhere"),
    "a chunk without choices": (pieces, "chunk-without-choices"),
    "openai 0.28": (lambda self, params: openai.ChatCompletion.create(model="m"), "removed-interface"),
    "parts where a text belongs": (in_parts, "content-parts"),
    "a folder without weights": (empty_folder, "no-weights"),
    "an encoder and decoder": (encoder, "encoder-decoder"),
    "flash attention": (loads(attn_implementation="flash_attention_2"), "flash-attention"),
    "lists where tensors belong": (
        lambda self, params: tiny_model().generate([[1, 2]], max_new_tokens=1),
        "lists-for-tensors",
    ),
    "an object taken for a dict": (
        lambda self, params: DummyModelClient(DUMMY).create(params)["choices"],
        "object-not-dict",
    ),
    "no usage": (without_usage, "no-usage"),
    "a model without its head": (
        lambda self, params: transformers.LlamaModel(tiny_model().config).generate(),
        "no-head",
    ),
    "numbers beyond their dtype": (overflows, "not-a-number"),
    "no scheme": (lambda self, params: requests.post("localhost:1/v1", json={}), "no-scheme"),
    "a refusal that nobody looked at": (unlooked_at, "key-refused"),
    "no way to the hub": (
        lambda self, params: raise_(
            OSError("We couldn't connect to 'https://hub.invalid' to load the files")
        ),
        "no-hub",
    ),
    "no key": (sends(), "key-not-sent"),
    "no model": (no_model, "field-missing"),
    "a key without Bearer": (sends(Authorization="right"), "key-not-sent"),
    "a gated model": (gated(token=False), "gated"),
    "an argument that has another name now": (loads(use_auth_token="x"), "unexpected-argument"),
    "an adapter without its model": (only_an_adapter, "only-an-adapter"),
    "the server's reason": (raise_for_status, "no-quota"),
    "a file that is no JSON": (lambda self, params: json.loads(""), "error"),
    "a file that is not there": (lambda self, params: Path("nowhere").read_text(), "error"),
    "a list of one's own": (lambda self, params: [][0], "error"),
    "proxies": (lambda self, params: httpx.Client(proxies=None), "proxies"),
    "another argument of httpx": (lambda self, params: httpx.Client(time_out=3), "unexpected-argument"),
    "no such argument of one's own": (lambda self, params: add(1, c=2), "error"),
    "a template without a system role": (template, "roles"),
    "max_tokens": (generates(max_tokens=8), "generate-argument"),
    "an option that nobody has": (generates(frequency_penalty=1), "generate-argument"),
    "a temperature of 0": (generates(do_sample=True, temperature=0.0), "temperature-zero"),
    "8 bits": (loads(load_in_8bit=True), "quantization-flag"),
    "a token outside the table": (
        lambda self, params: tiny_model().generate(torch.tensor([[99]]), max_new_tokens=1),
        "tokens-outside",
    ),
    "a device that is not there": (lambda self, params: torch.ones(1).to("cuda"), "no-device"),
}


@pytest.mark.parametrize(("create", "code"), OWN.values(), ids=OWN)
def test_what_ones_own_client_runs_into_belongs_to_its_line(create, code):
    made = agent(MINE, register=[client(create=create)])
    error = raised(lambda: ask(made))
    finding = explain(error)
    assert finding.code == code
    assert ", line " in finding.message
    assert codes(diagnose(made, error=error))[0] == code
    assert "config list" not in finding.message


@pytest.mark.parametrize("create", [sends(Authorization="Bearer right"), gated(token="hf_x")])
def test_a_key_that_is_sent_as_servers_want_it_is_taken(create):
    made = agent(MINE, register=[client(create=create)])
    ask(made)
    assert codes(diagnose(made)) == []


def test_what_the_names_in_the_line_stood_for_is_told_without_keys():
    def create(self, params):
        answer = {"text": "Hi", "api_key": "sk-0123456789abcdef0123"}
        return answer["choices"]

    finding = explain(raised(lambda: ask(agent(MINE, register=[client(create=create)]))))
    assert "there, answer = {'text': 'Hi'" in finding.message
    assert "0123456789" not in finding.message


def test_a_stream_that_is_taken_as_one_answer():
    def create(self, params):
        answer = (word for word in "ab") if params.get("stream") else ["Hi"]
        return DummyModelClient(MINE, replies=[answer[0]]).create(params)

    def made(**fields):
        return agent({**MINE, **fields}, register=[client(create=create)])

    assert explain(raised(lambda: ask(made(stream=True)))).code == "generator-answer"
    assert ask(made()) == "Hi"


def test_a_cache_that_is_to_hold_what_json_does_not_have():
    def made(**fields):
        return agent({**MINE, **fields}, register=[client()])

    def chat_cached(one):
        return chat(one, user(), max_turns=1, cache=Memory())

    assert explain(raised(lambda: chat_cached(made(dtype=torch.float32)))).code == "cache-key"
    chat_cached(made(dtype="float32"))


def test_a_key_that_is_not_openais_is_no_key_of_its(monkeypatch):
    def send(self, request, **options):
        return httpx.Response(401, request=request, json={"error": {"message": "Incorrect API key provided"}})

    monkeypatch.setattr(httpx.Client, "send", send)
    entry = {"model": "llama3", "max_retries": 0}
    assert explain(raised(lambda: ask(agent({**entry, "api_key": "ollama"})))).code == "key-of-another"
    assert explain(raised(lambda: ask(agent({**entry, "api_key": "sk-1"})))).code == "key-refused"
    there = agent({**entry, "api_key": "ollama", "base_url": f"{URL}/v1"})
    assert explain(raised(lambda: ask(there))).code == "key-refused"


def test_an_entry_that_is_handed_on_as_a_whole():
    def made(names):
        def start(self, config):
            self.http = httpx.Client(**{name: config[name] for name in names if name in config})

        return agent({**MINE, "timeout": 3}, register=[client(__init__=start)])

    finding = explain(raised(lambda: made(["timeout", "api_type", "tags"])))
    assert finding.code == "entry-passed-on" and "'api_type'" in finding.message
    assert made(["timeout"])


def test_a_hub_that_is_not_to_be_asked(monkeypatch):
    fetched = agent(MINE, register=[client(create=gated(token="hf_x"))])
    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert explain(raised(lambda: ask(fetched))).code == "offline-mode"
    assert ask(fetched)


def test_a_static_method_takes_no_self():
    class Mine(DummyModelClient):
        @staticmethod
        def cost(self, response):
            return 0

    made = agent(MINE, register=[Mine])
    error = raised(lambda: ask(made))
    assert explain(error).code == "static-method"
    assert codes(diagnose(made, error=error)) == ["static-method"]
    made = agent(MINE, register=[client(cost=lambda self, response: 0)])
    assert ask(made)
    assert codes(diagnose(made)) == []


def test_a_token_of_another_service_is_not_a_wrong_key():
    request = httpx.Request("POST", URL, headers={"Authorization": "Bearer a.b.c"})
    said = {"message": "Access token is missing, invalid, audience is incorrect"}
    answer = httpx.Response(401, request=request, json=said)
    assert explain(openai.AuthenticationError("401", response=answer, body=None)).code == "token-scope"
    request.headers = httpx.Headers({"api-key": "right"})
    assert explain(openai.AuthenticationError("401", response=answer, body=None)).code == "key-refused"


def test_azures_deployment_is_the_model():
    error = raised(lambda: ask(agent({**GOOD, "deployment_name": "d"})))
    assert explain(error).code == "deployment-field"


def test_where_a_file_was_looked_for_is_told():
    Path("here.json").write_text("[]")

    def create(self, params):
        return Path("data/here.json").read_text()

    finding = explain(raised(lambda: ask(agent(MINE, register=[client(create=create)]))))
    assert "looked for from the folder" in finding.message and "here.json is there" in finding.message


def test_the_near_name_of_an_argument_is_offered():
    assert "max_new_tokens" in explain(raised(lambda: generates(max_tokens=8)(None, None))).fix
    assert "timeout" in explain(raised(lambda: httpx.Client(time_out=3))).fix
    assert "temperature" in explain(raised(lambda: autogen.LLMConfig(DUMMY, temprature=0))).fix
    unknown = explain(raised(lambda: httpx.Client(colour="blue")))
    assert "httpx" in unknown.message
    assert "colour" in unknown.message
    assert "headers" in unknown.fix


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "ImportError: cannot import name 'AssistantAgent' from partially initialized module 'autogen' "
            "(most likely due to a circular import) (/home/me/autogen.py)",
            "shadowed",
        ),
        (
            "ImportError: cannot import name 'AssistantAgent' from 'autogen' (/x/__init__.py)",
            "not-this-autogen",
        ),
        ("ImportError: Please install `ollama` to use the Ollama API.", "missing-package"),
        ("TypeError: unsupported operand type(s) for +: 'int' and 'NoneType'", "error"),
    ],
)
def test_what_a_text_alone_tells(text, code):
    assert explain(text).code == code


def test_a_file_named_as_a_package_is_seen():
    Path("mine.py").write_text("")
    assert codes(diagnose()) == []
    Path("openai.py").write_text("")
    Path("requests.py").write_text("")
    assert codes(diagnose()) == ["shadowed", "shadowed"]


def as_of_completions(self, params):
    choices = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]
    return choices[0]["text"]


def as_of_no_stream(self, params):
    piece = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]}
    return piece["choices"][0]["message"]


def as_of_an_answer(self, params):
    message = params["messages"][-1]
    return message["text"]


@pytest.mark.parametrize(
    ("create", "path"),
    [
        (as_of_completions, "choices[0]['message']['content']"),
        (as_of_no_stream, "piece['choices'][0]['delta']['content']"),
        (as_of_an_answer, ""),  # that is what was asked
    ],
)
def test_where_the_text_of_an_answer_is(create, path):
    finding = explain(raised(lambda: ask(agent(MINE, register=[client(create=create)]))))
    assert finding.code == ("text-elsewhere" if path else "error")
    assert path in finding.message


def unread(message, at_once=False):
    """Return a create that sends one message, and reads the answer whatever it is."""

    def send():
        sent = {"model": "nameless", "messages": [message]}
        headers = {"Authorization": "Bearer right"}
        return requests.post(f"{URL}/v1/chat/completions", headers=headers, json=sent)

    def read_at_once(self, params):
        data = send().json()
        return data["choices"]

    def create(self, params):
        answer = send()
        data = answer.json()
        return data["choices"]

    return read_at_once if at_once else create


@pytest.mark.parametrize("at_once", [False, True])
def test_a_refusal_that_nobody_looked_at_is_read(at_once):
    """The line that fails names what was read, and not the answer, which may even be gone."""
    refused = unread({**QUESTION[0], "name": "a"}, at_once)
    finding = explain(raised(lambda: ask(agent(MINE, register=[client(create=refused)]))))
    assert finding.code == "message-field" and "`name`" in finding.message
    assert unread(QUESTION[0], at_once)(None, {})


def test_a_subclass_of_autogens_client_makes_the_client_of_openai_itself():
    class Mine(OpenAIClient): ...

    entry = {**MINE, **GOOD, "model_client_cls": "Mine"}
    assert explain(raised(lambda: agent(entry, register=[Mine]))).code == "client-of-autogens"

    class Made(OpenAIClient):
        def __init__(self, config):
            super().__init__(openai.OpenAI(base_url=config["base_url"], api_key=config["api_key"]))

        def create(self, params):
            params.pop("model_client_cls")
            return super().create(params)

    assert ask(agent({**entry, "model_client_cls": "Made"}, register=[Made])) == "Hi"


def whole_message(self, params):
    message = params["messages"][-1]
    return message.strip()


def test_a_message_in_place_of_its_text():
    assert (
        explain(raised(lambda: ask(agent(MINE, register=[client(create=whole_message)])))).code
        == "message-not-text"
    )


def counted(usage):
    def create(self, params):
        response = DummyModelClient(DUMMY).create(params)
        response.usage = usage
        return response

    return agent({**MINE, "price": [1, 2]}, register=[client(create=create)])


def test_with_a_price_the_usage_is_read_as_an_object():
    used = dict.fromkeys(["prompt_tokens", "completion_tokens", "total_tokens"], 1)
    assert explain(raised(lambda: ask(counted(used)))).code == "usage-as-dict"
    assert ask(counted(SimpleNamespace(**used)))


def test_an_object_that_is_handed_over_is_not_copied():
    lock = threading.Lock()
    config = {"config_list": [{**MINE, "llm": lock}]}
    assert explain(raised(lambda: autogen.AssistantAgent("helper", llm_config=config))).code == "not-copyable"

    class Mine(DummyModelClient):
        def __init__(self, config, llm):
            super().__init__(config)
            self.llm = llm

    made = agent(MINE)
    made.register_model_client(Mine, llm=lock)
    assert ask(made) and made.client._clients[0].llm is lock


def test_the_next_entry_is_asked_after_errors_of_openai_alone():
    def made(error):
        return agent(
            MINE, DUMMY, register=[client(create=lambda self, params: raise_(error)), DummyModelClient]
        )

    failed = made(requests.ConnectionError("no route"))
    assert "no-fallback" in codes(diagnose(failed, error=raised(lambda: ask(failed))))
    slip = made(KeyError("choices"))  # of which another entry is no way out
    assert "no-fallback" not in codes(diagnose(slip, error=raised(lambda: ask(slip))))
    request = httpx.Request("POST", URL)
    assert ask(made(openai.APIConnectionError(message="no route", request=request)))


def test_a_library_that_wants_to_fetch_a_file():
    load = pytest.importorskip("tiktoken.load")
    address = "https://nowhere.invalid/cl100k_base.tiktoken"
    assert explain(raised(lambda: load.read_file(address))).code == "no-download"
    assert explain(raised(lambda: requests.get(address))).code == "unknown-host"


def test_a_class_that_could_not_be_made_is_not_said_to_be_unregistered():
    made, cls = agent(MINE), client(__init__=lambda self, config: config["none"])
    report = diagnose(made, cls, error=raised(lambda: made.register_model_client(cls)))
    assert codes(report) == ["entry-lacks"]
    made.register_model_client(client())
    assert codes(diagnose(made, type(made.client._clients[0]))) == []
