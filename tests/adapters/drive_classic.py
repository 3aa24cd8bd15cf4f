"""Classic AutoGen, `autogen` 0.14.1 and Microsoft's 0.2.40: how the scenarios use its agents."""

import autogen

from kit import DummyModelClient
from kit.adapters import registrable

NAME = "AutoGen classic"
PACKAGES = ["autogen"]
LACKS = {
    "stream": "an agent returns whole replies",
    "cancel": "the thread of a_generate_reply can't be left",
    "finish": "an agent does not tell why a reply ended",
    "schema": "an agent takes whatever text it gets",
    "thoughts": "a message has no place for them",
}


def entry_of(client, **fields):
    return {"model": "dummy", "model_client_cls": type(client).__name__, **fields}


def assistant(client, name="assistant", system="Be brief.", **fields):
    config = {"config_list": [entry_of(client, **fields)], "cache_seed": None}
    return autogen.AssistantAgent(
        name, system_message=system, llm_config=config, human_input_mode="NEVER", code_execution_config=False
    )


def human():
    """A user that runs tools, and says nothing of its own."""
    return autogen.UserProxyAgent(
        "user",
        human_input_mode="NEVER",
        code_execution_config=False,
        is_termination_msg=lambda message: not message.get("tool_calls"),
    )


async def turn(client, question="Hi", system="Be brief.", tools=(), options=None):
    agent, user = assistant(client, system=system, **(options or {})), human()
    for tool in tools:
        autogen.register_function(tool, caller=agent, executor=user, description=tool.__doc__)
    agent.register_model_client(registrable(client))
    chat = await user.a_initiate_chat(agent, message=question, silent=True, max_turns=None if tools else 1)
    bill = agent.client.total_usage_summary or {}
    models = [used for used in bill.values() if isinstance(used, dict)]
    used = {name: sum(one[name] for one in models) for name in ("prompt_tokens", "completion_tokens")}
    return {"text": chat.chat_history[-1]["content"], "usage": tuple(used.values())}


async def talk(client, questions):
    agent, user = assistant(client), human()
    agent.register_model_client(registrable(client))
    texts = []
    for question in questions:
        chat = await user.a_initiate_chat(
            agent, message=question, silent=True, max_turns=1, clear_history=False
        )
        texts.append(chat.chat_history[-1]["content"])
    return texts


async def team(clients, opening):
    """The first one opens; then all speak in turn. In a group of three, a client selects the speaker."""
    agents = [assistant(client, name) for name, client in clients.items()]
    for agent in agents:
        agent.register_model_client(registrable(clients[agent.name]))
    first, second = agents[:2]
    if len(agents) == 2:
        chat = await first.a_initiate_chat(second, message=opening, silent=True, max_turns=2)
        speakers = [second.name, first.name, second.name]
        return [(name, said["content"]) for name, said in zip(speakers, chat.chat_history[1:], strict=True)]
    selector = DummyModelClient({"model": "dummy"}, replies=[agent.name for agent in agents[1:]])
    group = autogen.GroupChat(
        agents=agents,
        messages=[],
        max_round=len(agents),
        select_speaker_auto_llm_config={"config_list": [entry_of(selector)], "cache_seed": None},
        select_speaker_auto_model_client_cls=registrable(selector),
    )
    chat = await first.a_initiate_chat(autogen.GroupChatManager(group), message=opening, silent=True)
    assert len(selector.calls) == len(agents) - 1
    return [(said["name"], said["content"]) for said in group.messages[1:]]
