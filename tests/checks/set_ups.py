"""What the tests of the checks share: classes, agents, groups, a model's folder, and what they raise."""

import json
from pathlib import Path

from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent
from autogen.cache import AbstractCache

from kit import DummyModelClient, register_model_clients
from kit.agents.inside import PROTOCOL

DUMMY = {"model": "dummy", "model_client_cls": "DummyModelClient"}
MINE = {"model": "m", "model_client_cls": "Mine"}
QUESTION = [{"role": "user", "content": "Hi"}]
ALL_FOUR = {name: vars(DummyModelClient)[name] for name in PROTOCOL}


def client(name="Mine", **methods):
    """Return a model client class of this name that is right but for some methods."""
    return type(name, (DummyModelClient,), methods)


class Assembled:
    """A client that gets its methods when it is made."""

    def __init__(self, config):
        inner = DummyModelClient(config)
        self.create, self.message_retrieval = inner.create, inner.message_retrieval
        self.cost, self.get_usage = inner.cost, inner.get_usage


class Mute(type):
    """A metaclass that refuses questions."""

    def __getattr__(cls, name):
        raise RuntimeError(name)


async def coroutine(self, params): ...


def agent(*entries, name="helper", register=(), **settings):
    settings = {"system_message": "Be brief.", **settings}
    made = AssistantAgent(name, llm_config=LLMConfig(*(dict(entry) for entry in entries)), **settings)
    for cls in register:
        made.register_model_client(cls)
    return made


def ready(name="helper", **settings):
    """Return an agent with one entry, and its client registered."""
    return agent(DUMMY, name=name, register=[DummyModelClient], **settings)


def user(name="user", **settings):
    return UserProxyAgent(name, human_input_mode="NEVER", code_execution_config=False, **settings)


def clock() -> str:
    return "12:00"


def with_tool(made):
    """Give an agent a tool, which empties the places of its clients."""
    made.register_for_llm(description="Tell the time.")(clock)
    return made


def with_nested_chat(recipient, name="a"):
    made = ready(name)
    chats = [{"recipient": recipient, "message": "What do you think?", "max_turns": 1}]
    made.register_nested_chats(chats, trigger=lambda sender: True)
    return made


def group(*members, manager_entry=None, registered=True, select="auto", **settings):
    """Return the manager of a group."""
    settings = {"max_round": 4, "speaker_selection_method": select, **settings}
    chat = GroupChat(agents=list(members or (ready("a"), ready("b"))), messages=[], **settings)
    config = LLMConfig(dict(manager_entry)) if manager_entry else False
    manager = GroupChatManager(groupchat=chat, llm_config=config)
    if manager_entry and registered:
        register_model_clients(manager, DummyModelClient)
    return manager


def write(text, name="OAI_CONFIG_LIST"):
    Path(name).write_text(text, encoding="utf-8")
    return name


def model_folder(**changes):
    """Make a folder with the files of a chat model, as far as diagnose looks at them, and return its name."""
    files = {
        "config.json": json.dumps({"max_position_embeddings": 2048}),
        "model.safetensors": "weights",
        "tokenizer.json": "{}",
        "tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}),
    }
    Path("model").mkdir()
    for file, text in {**files, **changes}.items():
        if text is not None:
            Path("model", file).write_text(text)
    return "model"


def raise_(error):
    raise error


def raised(action):
    """Return what an action raises."""
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def codes(report):
    """Return the codes of what was found, after a look at whether each finding says something."""
    assert all(finding.message.strip() and finding.fix.strip() for finding in report.findings)
    return [finding.code for finding in report.findings]


def add(a: int, b: int) -> int:
    return a + b


def ask(made):
    return made.generate_reply(messages=QUESTION)


def chat(made, other, message="Hi", **options):
    return other.initiate_chat(made, message=message, silent=True, **options)


def says(*replies, entry=DUMMY, **settings):
    made = agent(entry, **settings)
    made.register_model_client(DummyModelClient, replies=list(replies))
    return made


def with_add(made, replies, executor=None):
    made.register_for_llm(description="Add.")(add)
    if executor:
        executor.register_for_execution()(add)
    made.register_model_client(DummyModelClient, replies=replies)
    return made


class Memory(AbstractCache):
    """AutoGen's own cache needs diskcache; this one is a dict."""

    def __init__(self):
        self.known = {}

    def get(self, key, default=None):
        return self.known.get(str(key), default)

    def set(self, key, value):
        self.known[str(key)] = value

    def close(self): ...

    def __enter__(self):
        return self

    def __exit__(self, *error): ...


def safely_ends(message):
    return (message.get("content") or "").rstrip().endswith("TERMINATE")


NUMBERS = {"a": {"type": "integer"}, "b": {"type": "integer"}}


OLDER = {"functions": [{"name": "add", "parameters": {"type": "object", "properties": NUMBERS}}]}
