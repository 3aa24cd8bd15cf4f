"""DummyModelClient: a model client that answers without a model.

Copy this file into your own project and change `_texts`: the rest is what AutoGen asks of every
model client. It needs only the `openai` package, which AutoGen's OpenAIWrapper needs anyway.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.completion_usage import CompletionUsage

Reply = str | Sequence[str]  # one text for all choices, or a text for each choice
Replies = str | Sequence[Reply] | Callable[[list[dict[str, Any]]], Reply]


class DummyModelClient:
    """Answer from a fixed text, a script, or a function of the messages.

    Name it in an entry of the config list and register it on the agent:

        {"model": "dummy", "model_client_cls": "DummyModelClient", "params": {"replies": "Hello!"}}

        agent.register_model_client(DummyModelClient)
        agent.register_model_client(DummyModelClient, replies=["first turn", "second turn"])
        agent.register_model_client(DummyModelClient, replies=lambda messages: "yes")

    Args:
        config: the entry of the config list. Read here: `model`, `n` (choices per call), `price`
            (`[prompt, completion]` per 1,000 tokens, AutoGen's convention) and `params["replies"]`.
        replies: wins over `params["replies"]`. A text answers every call; a list is a script, one
            item a turn; a function gets the messages. A script's item, or what a function returns,
            may be a list of `n` texts, one for each choice; a single text fills all of them.

    `calls` keeps the params of every call, the failed ones included.
    """

    def __init__(self, config: dict[str, Any], replies: Replies | None = None, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(f"DummyModelClient takes `replies`, not {', '.join(map(repr, kwargs))}.")
        if replies is None:
            replies = (config.get("params") or {}).get("replies", "This is a dummy reply.")
        if not (isinstance(replies, (str, list, tuple)) or callable(replies)):
            raise TypeError(f"`replies` must be a text, a list or a function, not {replies!r}.")
        self.config = dict(config)
        self.replies = replies
        self.calls: list[dict[str, Any]] = []

    def create(self, params: dict[str, Any]) -> ChatCompletion:
        """Return the next reply as an OpenAI response with `n` choices.

        `usage` counts words (text split at white space), not a real model's tokens: enough to see
        costs add up, and the same on every machine.

        Raises:
            RuntimeError: the script has run out.
            TypeError, ValueError: a reply is no text, or not one text for each of the `n` choices, or
                `n` is no number of choices.
        """
        self.calls.append(params)
        n = next((given for given in (params.get("n"), self.config.get("n")) if given is not None), 1)
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be a whole number of at least 1, not {n!r}.")
        texts = self._texts(params["messages"], n)
        prompt_tokens = sum(len(str(message.get("content") or "").split()) for message in params["messages"])
        completion_tokens = sum(len(text.split()) for text in texts)
        return ChatCompletion(
            # AutoGen 0.14 calls message_retrieval only for a response that has an `id`.
            id=f"chatcmpl-{uuid.uuid4().hex}",
            object="chat.completion",
            created=int(time.time()),
            model=self.config["model"],
            choices=[
                Choice(
                    index=index,
                    finish_reason="stop",
                    message=ChatCompletionMessage(role="assistant", content=text),
                )
                for index, text in enumerate(texts)
            ],
            usage=CompletionUsage(
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                total_tokens=prompt_tokens + completion_tokens,
            ),
        )

    def message_retrieval(self, response: ChatCompletion) -> list[str]:
        """Return the text of every choice; AutoGen replies with the first."""
        return [choice.message.content or "" for choice in response.choices]

    def cost(self, response: ChatCompletion) -> float:
        """Return the price of a response, 0 where the entry names no `price`."""
        prompt_price, completion_price = self.config.get("price") or (0, 0)
        usage = response.usage
        if usage is None:
            return 0
        return (usage.prompt_tokens * prompt_price + usage.completion_tokens * completion_price) / 1000

    @staticmethod
    def get_usage(response: ChatCompletion) -> dict[str, Any]:
        """Return the five keys of AutoGen's usage summary; with one missing, it would drop them all."""
        usage = response.usage
        return {
            "prompt_tokens": usage.prompt_tokens if usage else 0,
            "completion_tokens": usage.completion_tokens if usage else 0,
            "total_tokens": usage.total_tokens if usage else 0,
            "cost": getattr(response, "cost", 0),  # AutoGen stores what `cost` returned here
            "model": response.model,
        }

    def _texts(self, messages: list[dict[str, Any]], n: int) -> list[str]:
        """Return the `n` texts of this turn."""
        reply: Any
        if callable(self.replies):
            reply = self.replies(messages)
        elif isinstance(self.replies, str):
            reply = self.replies
        elif len(self.calls) <= len(self.replies):
            reply = self.replies[len(self.calls) - 1]
        else:
            raise RuntimeError(
                f"The script has {len(self.replies)} replies, and this is call {len(self.calls)}. Add a "
                "reply to the script, or end the chat earlier (max_turns, is_termination_msg)."
            )
        texts = [reply] * n if isinstance(reply, str) else reply
        if not (isinstance(texts, (list, tuple)) and all(isinstance(text, str) for text in texts)):
            raise TypeError(f"A reply must be a text, or a list of one text for each choice, not {reply!r}.")
        if len(texts) != n:
            raise ValueError(f"This reply has {len(texts)} texts for n={n} choices: {list(texts)!r}.")
        return list(texts)
