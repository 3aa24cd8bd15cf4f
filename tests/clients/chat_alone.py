"""A chat with a client file that lies beside this program, and nothing else of the kit.

The tests copy it into a folder with one client file and run it there, under AutoGen 0.14.1 and 0.2.40:

    python chat_alone.py dummy
    python chat_alone.py huggingface FOLDER_OF_A_MODEL

The last line it prints is JSON: what was said, and what AutoGen counted.
"""

import importlib.util
import json
import sys

import autogen

assert importlib.util.find_spec("kit") is None, "the kit can be imported here: the test would prove nothing"

if sys.argv[1] == "dummy":
    from dummy import DummyModelClient as Client

    entry = {"model": "dummy", "n": 2, "price": [1, 10]}
    options = {"replies": ["Paris.", ["Rome.", "or Roma"]]}
else:
    from huggingface import HuggingFaceModelClient as Client

    entry = {"model": sys.argv[2], "device": "cpu", "params": {"max_length": 16}, "temperature": 0}
    options = {}


class Recording(Client):
    """The client, noting that AutoGen asks it for the text."""

    retrieved = 0

    def message_retrieval(self, response):
        Recording.retrieved += 1
        return super().message_retrieval(response)


assistant = autogen.AssistantAgent(
    "assistant",
    system_message="You are a helpful assistant.",
    llm_config={"config_list": [{**entry, "model_client_cls": "Recording"}], "cache_seed": None},
)
assistant.register_model_client(Recording, **options)
user = autogen.UserProxyAgent(
    "user",
    human_input_mode="NEVER",
    code_execution_config=False,
    default_auto_reply="What is the capital of Italy?",
)
chat = user.initiate_chat(assistant, message="What is the capital of France?", max_turns=2)
report = {
    "autogen": autogen.__version__,
    "history": [message["content"] for message in chat.chat_history],
    "retrieved": Recording.retrieved,
    "usage": assistant.get_total_usage(),
}
print(json.dumps(report))
