"""Dummy model.

An agent whose model is a script: no model, no key, no network. Change the replies to
try out a chat, how it ends and what it costs, before a real model has a part in it.

Files: dummy.py
Install: pip install "autogen[openai]==0.14.1"
"""

from autogen import AssistantAgent, LLMConfig, UserProxyAgent
from dummy import DummyModelClient

REPLIES = ["Hello! What can I do for you?", "You are welcome.", "TERMINATE"]

# "price" is what 1,000 prompt words and 1,000 words of the replies cost.
entry = {"model": "dummy", "model_client_cls": "DummyModelClient", "price": [0.5, 1.5]}
assistant = AssistantAgent(
    "assistant", llm_config=LLMConfig(entry), system_message="You are a helpful assistant."
)
assistant.register_model_client(DummyModelClient, replies=REPLIES)

user = UserProxyAgent(
    "user",
    human_input_mode="NEVER",
    code_execution_config=False,
    default_auto_reply="Nothing else, thank you.",
)
user.initiate_chat(assistant, message="Hello!", max_turns=5)  # or until the word TERMINATE
assistant.print_usage_summary()
