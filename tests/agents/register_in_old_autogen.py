"""Run register_model_clients under Microsoft's AutoGen 0.2, in an environment of its own, and print JSON."""

import json

import autogen
from autogen import AssistantAgent, GroupChat, GroupChatManager, UserProxyAgent

from kit import DummyModelClient, register_model_clients

ENTRY = {"model": "dummy", "model_client_cls": "DummyModelClient"}
QUESTION = [{"role": "user", "content": "Hi"}]


class Selector(DummyModelClient):
    pass


def double(number: int) -> int:
    return 2 * number


def agent(*entries, name="assistant", **llm_config):
    if entries:
        llm_config["config_list"] = list(entries)
    return AssistantAgent(name, llm_config={**llm_config, "cache_seed": None}, code_execution_config=False)


def said(made, *clients, **kwargs):
    register_model_clients(made, *clients, **kwargs)
    return made.generate_reply(QUESTION)


def after_tools():
    made, user = agent(ENTRY), UserProxyAgent("user", code_execution_config=False)
    register_model_clients(made, DummyModelClient, replies="lost")
    autogen.register_function(double, caller=made, executor=user, description="Double a number.")
    return [repr(register_model_clients(made)), said(made, DummyModelClient, replies="back")]


def group(selects):
    members = [agent(ENTRY, name=name) for name in ("ann", "ben", "cat")]
    chat = GroupChat(members, messages=[], max_round=4, speaker_selection_method="auto")
    config = {"config_list": [{**ENTRY, "model_client_cls": "Selector"}], "cache_seed": None}
    manager = GroupChatManager(chat, llm_config=config)
    left = [item.agent for item in register_model_clients(manager, DummyModelClient, replies="I am.").left]
    register_model_clients(manager, selects)
    history = members[0].initiate_chat(manager, message="Begin.", silent=True).chat_history
    return [left, [message["name"] for message in history[1:]]]


def refused():
    try:
        register_model_clients(agent(ENTRY), Selector)
    except ValueError as error:
        return str(error).splitlines()[0]


results = {
    "version": autogen.__version__,
    "all entries": repr(register_model_clients(agent(ENTRY, {**ENTRY, "model": "b"}), DummyModelClient)),
    "a class": said(agent(ENTRY), DummyModelClient, replies="Hello!"),
    "an object": said(agent(ENTRY), DummyModelClient(ENTRY, replies="I am an object.")),
    "no list": said(agent(**ENTRY), DummyModelClient, replies="One entry."),
    "after tools": after_tools(),
    "group": group(Selector({"model": "dummy"}, replies=["cat", "ben", "ann"])),
    "refused": refused(),
    "no model": repr(register_model_clients(UserProxyAgent("user", code_execution_config=False))),
}
print(json.dumps(results))
