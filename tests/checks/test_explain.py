"""explain: exceptions as people get them are traced to their cause; what is not known is not guessed."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import autogen
import httpx
import openai
import pytest
from autogen import AssistantAgent, GroupChat, LLMConfig
from pydantic import BaseModel
from set_ups import (
    ALL_FOUR,
    DUMMY,
    MINE,
    QUESTION,
    agent,
    client,
    clock,
    codes,
    coroutine,
    group,
    raised,
    user,
)

from kit import DummyModelClient, diagnose, load_config_list, register_model_clients
from kit.checks.explain import explain
from kit.checks.report import LONGEST

pytestmark = pytest.mark.usefixtures("folder")

# What a chat with a class ends with ----------------------------------------------------------------


@dataclass(frozen=True)
class FrozenResponse:
    choices: tuple = ()
    model: str = "m"


def returns(response, **methods):
    """Return a class whose create returns this, and whose other methods ask nothing of it."""
    silent = {"cost": lambda self, response: 0, "get_usage": staticmethod(lambda response: {})}
    return client(create=lambda self, params: response, **{**silent, **methods})


def replies(**message):
    return client(message_retrieval=lambda self, response: [message])


def get_usage(response): ...


TOOL_CALL = {"id": "1", "function": {"name": "add", "arguments": "{}"}}
RESPONSE = {"id": "1", "model": "m", "choices": []}
CHATS = {
    "create returns nothing": (client(create=lambda self, params: None), "create-returns-none"),
    "create returns a text": (client(create=lambda self, params: "Hello"), "create-returns-text"),
    "create returns a dict": (client(create=lambda self, params: {"choices": []}), "create-returns-text"),
    "create returns a number": (client(create=lambda self, params: 3), "create-returns-text"),
    "create is async": (client(create=coroutine), "coroutine"),
    "create is a generator": (returns(word for word in "Hi"), "coroutine"),
    "get_usage is not static": (client(get_usage=get_usage), "get-usage-not-static"),
    "retrieval returns nothing": (client(message_retrieval=lambda self, r: None), "retrieval-no-list"),
    "retrieval returns no texts": (client(message_retrieval=lambda self, r: []), "empty-choices"),
    "retrieval returns an object": (
        client(message_retrieval=lambda self, r: [SimpleNamespace(content="Hi")]),
        "message-object",
    ),
    "an empty message": (replies(role="assistant"), "reply-no-text"),
    "a tool call without its type": (replies(content=None, tool_calls=[TOOL_CALL]), "tool-call"),
    "a tool call with a dict of arguments": (
        replies(content=None, tool_calls=[{**TOOL_CALL, "type": "function", "function": {"arguments": {}}}]),
        "tool-call",
    ),
    "no usage": (
        returns(SimpleNamespace(choices=[], model="m"), get_usage=ALL_FOUR["get_usage"]),
        "response-lacks",
    ),
    "a dict in transformers 5": (client(create=lambda self, params: {}["shape"]), "batch-encoding"),
}


NO_COST = {"__init__": lambda self, config: None, "create": lambda self, params: FrozenResponse()}


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(("cls", "code"), CHATS.values(), ids=CHATS)
def test_the_error_of_a_chat_is_traced_to_its_cause(cls, code):
    made = agent(MINE, register=[cls])

    def chat():
        user().initiate_chat(made, message="Hi", max_turns=1, silent=True)
        made.client.print_usage_summary()
        made.client.total_usage_summary["total_cost"] + 1

    error = raised(chat)
    assert explain(error).code == code
    assert code in {finding.code for finding in diagnose(made, cls, error=error).findings}


def test_a_method_that_is_not_there_is_named_once():
    made = agent(MINE, register=[type("Mine", (), NO_COST)])
    error = raised(lambda: made.generate_reply(messages=QUESTION))
    assert explain(error).code == "no-cost"
    assert codes(diagnose(made, error=error)) == ["missing-method"]


def test_what_the_entry_lacks_is_not_what_params_lacks():
    made = agent(MINE, register=[client(create=lambda self, params: self.config["seed"])])
    assert explain(raised(lambda: made.generate_reply(messages=QUESTION))).code == "entry-lacks"


@pytest.mark.parametrize("look", [lambda: clock.name, lambda: {"text": "a"}["title"], lambda: clock.nme])
def test_a_name_that_nothing_is_near_to_is_not_said_to_be_a_slip(look):
    assert explain(raised(look)).code == "error"


def test_who_was_at_work_is_named():
    error = raised(lambda: agent(DUMMY, name="ben").generate_reply(messages=QUESTION))
    assert " ben" in explain(error).message
    assert explain(str(error)).message.endswith("was not registered.")


# What a call raises --------------------------------------------------------------------------------

OFF = {"model": "a", "base_url": "http://127.0.0.1:9/v1", "api_key": "k", "max_retries": 0}
CALLS = {
    "not registered": (lambda: agent(DUMMY).generate_reply(messages=QUESTION), "not-registered"),
    "named otherwise": (lambda: agent(DUMMY).register_model_client(client()), "name-differs"),
    "named otherwise, by the kit": (lambda: register_model_clients(agent(DUMMY), client()), "name-differs"),
    "an instance": (lambda: agent(DUMMY).register_model_client(DummyModelClient(DUMMY)), "instance"),
    "a partial": (lambda: agent(DUMMY).register_model_client(partial(DummyModelClient)), "instance"),
    "no config": (lambda: agent(MINE, register=[client(__init__=lambda self: None)]), "error"),
    "a text as an entry": (lambda: AssistantAgent("a", llm_config={"config_list": ["x"]}), "config-list"),
    "too hot": (lambda: LLMConfig({**DUMMY, "temperature": 3}), "config-list"),
    "no entries": (lambda: LLMConfig(), "config-list"),
    "no file": (lambda: load_config_list("nowhere"), "config-list"),
    "no file, for AutoGen": (lambda: LLMConfig.from_json(path="nowhere"), "config-list"),
    "a list that is not JSON": (lambda: LLMConfig.from_json(path=__file__), "config-list"),
    "a file of one's own that is not there": (lambda: Path("nowhere").read_text(), "error"),
    "the old docs' group": (
        lambda: GroupChat(agents=[], messages=[], model_client_cls=DummyModelClient),
        "moved",
    ),
    "the old docs' function": (lambda: autogen.config_list_from_json("x"), "moved"),
    "the old docs' import": (lambda: exec("from autogen import config_list_from_json"), "moved"),
    "another import of old docs": (lambda: exec("from autogen import Completion"), "moved"),
    "a module of old docs": (lambda: exec("import autogen.oai.completion"), "moved"),
    "no key": (lambda: agent({"model": "gpt-4o"}), "no-key"),
    "a server that is off": (lambda: agent(OFF).generate_reply(messages=QUESTION), "unreachable"),
}


@pytest.mark.parametrize(("call", "code"), CALLS.values(), ids=CALLS)
def test_what_a_call_raises_is_explained(call, code):
    assert explain(raised(call)).code == code


def named(name, text):
    """Return an exception of a class that only has the name of the real one."""
    return type(name, (Exception,), {})(text)


REQUEST = httpx.Request("POST", "http://localhost/v1", headers={"Authorization": "Bearer sk"})


def refused(error, status):
    """Return one of openai's errors as its client makes it."""
    return error("no", response=httpx.Response(status, request=REQUEST), body=None)


@pytest.mark.parametrize(
    ("error", "code", "step"),
    [
        (ModuleNotFoundError("No module named 'autogen'"), "no-autogen", 0),
        (ModuleNotFoundError("No module named 'autogen_core'"), "other-autogen", 0),
        (ModuleNotFoundError("No module named 'llguidance'"), "missing-package", 0),
        (ImportError("`device_map` needs accelerate: pip install accelerate."), "missing-package", 0),
        (ValueError("Cannot use chat template: tokenizer.chat_template is not set"), "no-chat-template", 2),
        (ValueError("Conversation roles must alternate user/assistant/user/assistant/..."), "roles", 4),
        (ValueError("The prompt has 3000 tokens, and the context window is 2048."), "context-window", 4),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "gpu-memory", 2),
        (RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'"), "dtype-mismatch", 2),
        (RuntimeError("mat1 and mat2 must have the same dtype"), "dtype-mismatch", 2),
        (OSError("a/b is not a local folder and is not a valid model identifier"), "no-folder", 2),
        (OSError("You are trying to access a gated repo."), "gated", 2),
        (openai.APIConnectionError(request=REQUEST), "no-port", 2),
        (openai.APITimeoutError(request=REQUEST), "slow-server", 2),
        (TimeoutError("OpenAI API call timed out."), "slow-server", 2),
        (TimeoutError("no answer"), "error", 4),
        (refused(openai.AuthenticationError, 401), "key-refused", 2),
        (named("AuthenticationError", "401"), "key-refused", 2),
        (refused(openai.NotFoundError, 404), "unknown-address", 2),
        (named("NotFoundError", '404 - "base_url" has to end in /v1.'), "unknown-address", 2),
        (TypeError("Completions.create() got an unexpected keyword argument 'x'"), "params-without-class", 2),
        (TypeError("Mine.create() got an unexpected keyword argument 'x'"), "error", 4),
        (RuntimeError("asyncio.run() cannot be called from a running event loop"), "running-loop", 1),
        (
            RuntimeError("You can't move a model that has some modules offloaded to disk."),
            "placed-already",
            2,
        ),
        (NotImplementedError("Cannot copy out of meta tensor; no data!"), "placed-already", 2),
        (RuntimeError("No GPU found. A GPU is needed for quantization."), "quantized-without-gpu", 2),
        (RuntimeError("CUDA error: device-side assert triggered"), "assert-on-the-gpu", 2),
        (RuntimeError("CUDA error: no kernel image is available"), "torch-for-another-gpu", 2),
        (ValueError("Tokenizer class TokenizersBackend does not exist"), "other-tokenizer-class", 2),
        (ValueError("`rope_scaling` must be a dictionary with two fields"), "old-transformers", 0),
        (OSError('[WinError 126] Not found. Error loading "C:\\torch\\lib\\c10.dll"'), "no-dll", 0),
        (ImportError("numpy.core.multiarray failed to import"), "numpy-2", 0),
        (raised(lambda: "\N{RIGHTWARDS ARROW}".encode("cp1252")), "charmap", 0),
        (MemoryError(), "gpu-memory", 2),
        (RuntimeError("Event loop is closed"), "loop-closed", 1),
        (named("LengthFinishReasonError", "the length limit was reached"), "reply-cut", 4),
        (named("DockerException", "Error while fetching server API version"), "no-docker", 4),
        (
            named("DockerException", "aborted. PermissionError(13, 'Permission denied')"),
            "docker-permission",
            4,
        ),
        (ImportError("DLL load failed: The specified module could not be found."), "no-dll", 0),
        (ValueError("Failed to load model from file: model.gguf"), "llama-file", 2),
        (ValueError("Weights were offloaded to the disk: provide an `offload_folder`."), "offloaded", 2),
        (
            OSError("Can't load the model for 'a/b'. Make sure there is no folder of this name."),
            "no-folder",
            2,
        ),
        (ImportError("old"), "error", 4),
        (ZeroDivisionError(), "error", 4),
        (RuntimeError("something new"), "error", 4),
    ],
    ids=str,
)
def test_what_others_raise_is_explained(error, code, step):
    finding = explain(error)
    assert (finding.code, finding.step) == (code, step)
    assert finding.message
    assert finding.fix


# What is not known ---------------------------------------------------------------------------------


class Thinker(DummyModelClient):
    """A client whose own code fails as AutoGen's does when a client returns the wrong thing."""

    def create(self, params):
        return self.think(params["messages"][-1]["content"])

    def think(self, thought):
        return eval(thought)


@pytest.mark.parametrize(
    "thought",
    [
        "[][0]",
        "None['a']",
        "None.usage",
        "'a'.choices",
        "1 + None",
        "'a'.copy()",
        "int.mro.__name__.a()",
        "{}['id']",
        "(0 for _ in [])[0]",
        "SimpleNamespace().usage",
        "{**'a'}",
    ],
)
def test_what_ones_own_code_raises_is_not_put_down_to_what_autogen_got(thought):
    made = agent({"model": "a", "model_client_cls": "Thinker"}, register=[Thinker])
    finding = explain(raised(lambda: made.generate_reply(messages=[{"role": "user", "content": thought}])))
    assert (finding.code, finding.step) == ("error", 1)
    assert finding.message.startswith("Thinker.think, line ")
    assert explain(raised(lambda: eval(thought))).code == "error"  # in a cell of the notebook


def test_a_text_alone_is_taken_for_what_it_says_and_no_more():
    """Where an index was out of range, it does not tell; not so what was not registered."""
    assert explain(IndexError("list index out of range")).code == "error"
    assert explain("IndexError: list index out of range").code == "error"
    pasted = (
        "Traceback (most recent call last):\n  ...\nRuntimeError: Model client(s) ['Mine'] are not activated."
    )
    assert explain(pasted).code == "not-registered"
    assert (
        explain("openai.NotFoundError: Error code: 404 - {'error': {'message': 'model x not found'}}").code
        == "unknown-model"
    )
    assert explain("no rule knows this").message == "no rule knows this"


def caused():
    try:
        return {}["shape"]
    except KeyError as error:
        raise RuntimeError("the model failed") from error


def grouped():
    raise ExceptionGroup("two", [ExceptionGroup("one", [ValueError("chat_template is not set")]), KeyError()])


def test_what_an_exception_was_raised_from_is_explained():
    assert explain(raised(caused)).code == "batch-encoding"
    assert explain(raised(grouped)).code == "no-chat-template"


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "error", [Speechless(), ValueError("{0} {x} \n" * 10**6), ValueError, ValueError(b"")], ids=type
)
def test_any_exception_can_be_explained(error):
    assert diagnose(error=error).findings[0].code == "error"


def test_an_exception_without_a_text_is_told_by_its_name():
    assert explain(SystemExit()).message == "SystemExit: SystemExit"


def test_a_long_message_is_cut_and_its_lines_are_joined():
    message = explain(ValueError("a\n  b" + "c" * 1000)).message
    assert message.startswith("ValueError: a bccc")
    assert message.endswith("...")
    assert len(message) == LONGEST


def test_no_explanation_shows_a_key(monkeypatch):
    def create(self, params):
        key = "sk-recognisable"  # and nor does the line of code
        raise ValueError(f"Incorrect API key provided: {key}", "plain-recognisable", key == "sk-recognisable")

    monkeypatch.setenv("MY_API_KEY", "plain-recognisable")
    made = agent(MINE, register=[client(create=create)])
    report = diagnose(made, error=raised(lambda: made.generate_reply(messages=QUESTION)))
    assert "Mine.create, line" in str(report)
    assert "recognisable" not in str(report)
    assert "recognisable" not in str(diagnose('[{"model": "a", "api_key": "plain-recognisable"'))
    assert "recognisable" not in str(diagnose("sk-recognisable"))


def test_what_no_agent_of_a_group_can_run_is_put_on_one():
    """A function that a model was told of, and that nobody in its group has."""
    call = {"role": "assistant", "content": None, "function_call": {"name": "clock", "arguments": "{}"}}
    functions = [{"name": "clock", "description": "Tell the time.", "parameters": {"type": "object"}}]

    def in_a_group(executor):
        config = {"config_list": [MINE], "functions": functions}
        made = AssistantAgent("helper", llm_config=config)
        made.register_model_client(replies(**call))
        manager = group(made, executor, select="round_robin", max_round=3)
        executor.initiate_chat(manager, message="What time is it?", silent=True)

    finding = explain(raised(lambda: in_a_group(user())))
    assert finding.code == "no-executor" and "clock" in finding.fix
    in_a_group(user(function_map={"clock": lambda: "12:00"}))


def test_code_that_python_can_not_read_comes_first():
    """Nothing of it has run, so nothing else that is found can be why."""
    cell = compile_error("read(\n    'file': 'key.txt')", "<ipython-input-7>")
    report = diagnose([{"model": "m", "api_kye": "x"}], error=cell)
    assert report.findings[0].code == "syntax" and "line 2" in report.findings[0].message
    assert explain(compile_error("1 +", "<unknown>")).code == "error"  # of a text that the program had read


def compile_error(code, file):
    return raised(lambda: compile(code, file, "exec"))


def test_a_place_is_not_told_in_the_words_of_the_rules():
    def create(self, params):
        raise ValueError("tokenizer.chat_template is not set")

    finding = explain(raised(lambda: ready_with(client(create=create)).generate_reply(QUESTION)))
    assert finding.code == "no-chat-template" and ": the tokenizer" in finding.message


def ready_with(cls):
    return agent(MINE, register=[cls])


def test_what_is_not_at_the_top_of_autogen_is_looked_for_below():
    finding = explain(raised(lambda: autogen.MultimodalConversableAgent))
    assert finding.code == "moved" and finding.fix.endswith(" import MultimodalConversableAgent")
    exec(finding.fix)  # as it stands
    gone = explain(raised(lambda: autogen.config_list_from_json))
    assert gone.code == "moved" and "older versions" in gone.message


def test_json_in_a_fence():
    class Person(BaseModel):
        name: str

    fenced = '```json\n{"name": "Ada"}\n```'
    assert explain(raised(lambda: Person.model_validate_json(fenced))).code == "json-in-fence"
    assert explain(raised(lambda: Person.model_validate_json("Ada"))).code == "error"

    def create(self, params):
        answer = fenced
        return json.loads(answer)

    found = explain(raised(lambda: ready_with(client(create=create)).generate_reply(QUESTION)))
    assert found.code == "json-in-fence" and "create" in found.message


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://localhost/v1", "no-port"),
        ("http://0.0.0.0:1/v1", "listening-address"),
        ("http://localhost:1", "unreachable"),
    ],
)
def test_an_address_at_which_nothing_answers(url, code, monkeypatch):
    def send(self, request, **options):
        raise httpx.ConnectError("Connection refused", request=request)

    monkeypatch.setattr(httpx.Client, "send", send)
    made = agent({"model": "m", "base_url": url, "api_key": "x", "max_retries": 0})
    assert explain(raised(lambda: made.generate_reply(QUESTION))).code == code
