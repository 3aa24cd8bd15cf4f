"""Checks of lesson 03: registering and chatting."""

import copy

from checks.exercise import exercise


@exercise("3a")
def check_3a(order):
    order = list(order)
    if sorted(order) != list("ABCD"):
        return "use each of the letters A, B, C and D once."
    if order.index("B") > order.index("A"):
        return "the agent (A) is made from the config list (B): the list comes first."
    if order.index("C") < order.index("A"):
        return "only an agent that exists can register a class: A before C."
    if order.index("D") < order.index("C"):
        return "the chat (D) would raise 'are not activated': register (C) before it."
    return None


@exercise("3b")
def check_3b(replies):
    from autogen import ConversableAgent, LLMConfig, UserProxyAgent

    from kit import DummyModelClient

    entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
    agent = ConversableAgent("assistant", llm_config=LLMConfig(entry), human_input_mode="NEVER")
    agent.register_model_client(DummyModelClient, replies=copy.copy(replies))
    user = UserProxyAgent(
        "user", human_input_mode="NEVER", code_execution_config=False, default_auto_reply="Go on."
    )
    try:
        user.initiate_chat(agent, message="Hello!", silent=True, max_turns=10)
    except RuntimeError:
        return "the chat did not end: the last reply must be exactly 'TERMINATE', nothing else."
    said = len(agent.client._clients[0].calls)
    return None if said == 3 else f"the assistant should speak 3 times, it spoke {said} times."


@exercise("3c")
def check_3c(agent):
    if not getattr(agent, "client", None):
        return "the agent has no model: give it an llm_config."
    names = [entry.get("model_client_cls") for entry in agent.llm_config.config_list]
    if names != ["Parrot"]:
        return f"the entry should name the class Parrot, the list names {names}."
    reply = agent.generate_reply(messages=[{"role": "user", "content": "Pretty bird"}])
    return None if reply == "Pretty bird!" else f"asked 'Pretty bird', it said {reply!r}."
