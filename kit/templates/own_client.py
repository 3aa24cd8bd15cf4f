"""A client of your own.

The skeleton: a class with the four methods that AutoGen asks for. Put your model where
`answer` is; the rest can stay.

Install: pip install "autogen[openai]==0.14.1"
"""

import time
import uuid

from autogen import AssistantAgent, LLMConfig
from openai.types.chat import ChatCompletion


def answer(messages, options):
    """Return the reply to messages, dicts with "role" and "content". Here goes your model."""
    return f"{options.get('greeting', 'Hello')}! Your message has {count(messages[-1]['content'])} words."


def count(text):
    """Return how many tokens a text has. Here they are words; your model knows better."""
    return len(str(text or "").split())


class MyModelClient:
    def __init__(self, config, **kwargs):  # the entry; what register_model_client gets besides
        self.config = config

    def create(self, params):
        """Return the reply in OpenAI's form; `params` are the messages and the entry's own fields."""
        messages, options = params["messages"], self.config.get("params") or {}
        replies = [answer(messages, options) for _ in range(params.get("n") or 1)]
        choices = [
            {"index": index, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            for index, text in enumerate(replies)
        ]
        prompt = sum(count(message.get("content")) for message in messages)
        reply = sum(map(count, replies))
        response = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",  # without an id, AutoGen never asks message_retrieval
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.config["model"],
            "choices": choices,
            "usage": {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply},
        }
        return ChatCompletion.model_validate(response)

    def message_retrieval(self, response):
        """Return the text of each choice, as a list."""
        return [choice.message.content for choice in response.choices]

    def cost(self, response):
        """Return what the response cost."""
        return 0

    @staticmethod
    def get_usage(response):
        """Return all five keys: with one missing, AutoGen drops the others."""
        return {**dict(response.usage), "cost": getattr(response, "cost", 0), "model": response.model}


entry = {"model": "my-model", "model_client_cls": "MyModelClient", "params": {"greeting": "Welcome"}}
assistant = AssistantAgent(
    "assistant", llm_config=LLMConfig(entry), system_message="You are a helpful assistant."
)
assistant.register_model_client(MyModelClient)
print(assistant.generate_reply(messages=[{"role": "user", "content": "Good morning"}]))
assistant.print_usage_summary()
