"""Group chat with a speaker selector.

Three agents in one chat, and a fourth model, the selector, that names who speaks next.
All are dummies here: see the group work first, then give the agents real models, one at
a time.

Files: dummy.py
Install: pip install "autogen[openai]==0.14.1"
"""

import logging

from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent
from dummy import DummyModelClient

logging.getLogger("autogen.oai.client").setLevel(logging.WARNING)  # or a line for each selection

NEXT = {"user": "planner", "planner": "writer", "writer": "critic", "critic": "writer"}


def make_agent(name, description, replies):
    """Return a member of the group. For a real model, change the entry and the class here."""
    entry = {"model": f"{name}-model", "model_client_cls": "DummyModelClient"}
    agent = AssistantAgent(
        name, llm_config=LLMConfig(entry), system_message=f"You are the {name}.", description=description
    )
    agent.register_model_client(DummyModelClient, replies=replies)
    return agent


class Selector(DummyModelClient):
    """Answers with the name of the next speaker, by the table NEXT.

    AutoGen makes a new one for each selection, from its entry alone: hence a class of its own.
    """

    def __init__(self, config):
        super().__init__(config, replies=self.select)

    def select(self, messages):
        """Return who comes after the last one who spoke; the last message is AutoGen's question."""
        return NEXT[messages[-2]["name"]]


planner = make_agent("planner", "Plans the text.", "Two lines, about the sea.")
writer = make_agent("writer", "Writes the text.", ["The sea is wet.", "The sea is deep."])
critic = make_agent("critic", "Judges the text.", ["More feeling, please.", "Good. TERMINATE"])
user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
group = GroupChat(
    [planner, writer, critic],
    max_round=10,
    speaker_selection_method="auto",
    select_speaker_auto_llm_config=LLMConfig({"model": "selector", "model_client_cls": "Selector"}),
    select_speaker_auto_model_client_cls=Selector,  # needs the line above, or AutoGen ignores it
)
manager = GroupChatManager(
    group, llm_config=False, is_termination_msg=lambda message: "TERMINATE" in str(message["content"])
)
user.initiate_chat(manager, message="A poem, please.")
