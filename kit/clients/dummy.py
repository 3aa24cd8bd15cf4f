"""DummyModelClient: a model client that answers without a model, and fails or waits when told to.

Copy this file into your own project and change `_answers`: the rest is what AutoGen asks of every
model client. It needs only the `openai` package, which AutoGen's OpenAIWrapper needs anyway.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.completion_usage import CompletionUsage

Answer = str | dict[str, Any] | ChatCompletionMessage  # a text, or a whole message
Reply = Answer | BaseException | Sequence[Answer]  # for all choices, to be raised, or one for each choice
Replies = str | Sequence[Reply] | Callable[[list[dict[str, Any]]], Reply]


def tool_call(name: str, /, **arguments: Any) -> ChatCompletionMessage:
    """Return the message of a model that calls a tool: `tool_call("weather", city="Paris")`."""
    if not isinstance(name, str):
        meant = getattr(name, "__name__", "weather")
        raise TypeError(f'tool_call takes the name of a tool, in quotes: tool_call("{meant}", ...).')
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    call = {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}
    return ChatCompletionMessage.model_validate({"role": "assistant", "tool_calls": [call]})


class DummyModelClient:
    """Answer from a fixed text, a script, or a function of the messages.

    Name it in an entry of the config list and register it on the agent:

        {"model": "dummy", "model_client_cls": "DummyModelClient", "params": {"replies": "Hello!"}}

        agent.register_model_client(DummyModelClient)
        agent.register_model_client(DummyModelClient, replies=["first turn", "second turn"])
        agent.register_model_client(DummyModelClient, replies=lambda messages: "yes")
        agent.register_model_client(DummyModelClient, replies=[tool_call("clock"), TimeoutError(), "12:00"])

    Args:
        config: the entry of the config list. Read here: `model`, `n` (choices per call), `max_tokens`
            (a text ends after so many words), `price` (`[prompt, completion]` per 1,000 tokens,
            AutoGen's convention) and `params["replies"]`.
        replies: wins over `params["replies"]`. A text answers every call; a list is a script, one
            item a turn; a function gets the messages. A script's item, or what a function returns,
            is a text, a whole message (as `tool_call` makes it, or a dict in OpenAI's form), an
            exception to be raised, or a list of `n` texts or messages, one for each choice.
        delay: seconds that each reply takes.
        on_text: called with each word of the first choice's text, spread over the delay.

    `calls` keeps the params of every call, the failed ones included.
    """

    def __init__(
        self,
        config: dict[str, Any],
        replies: Replies | None = None,
        delay: float = 0,
        on_text: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise TypeError(
                "DummyModelClient takes `replies`, `delay` and `on_text`, "
                f"not {', '.join(map(repr, kwargs))}."
            )
        if replies is None:
            replies = (config.get("params") or {}).get("replies", "This is a dummy reply.")
        if not (isinstance(replies, (str, list, tuple)) or callable(replies)):
            raise TypeError(f"`replies` must be a text, a list or a function, not {replies!r}.")
        if not isinstance(delay, (int, float)) or delay < 0:
            raise ValueError(f"`delay` must be a number of seconds, not {delay!r}.")
        self.config = dict(config)
        self.replies, self.delay, self.on_text = replies, delay, on_text
        self.calls: list[dict[str, Any]] = []

    def create(self, params: dict[str, Any]) -> ChatCompletion:
        """Return the next reply as an OpenAI response with `n` choices.

        `usage` counts words (text split at white space), not a real model's tokens: enough to see
        costs add up, and the same on every machine.

        Raises:
            RuntimeError: the script has run out.
            TypeError, ValueError: a reply is neither a text nor a message, or not one for each of the `n`
                choices, or `n` or `max_tokens` is not a whole number of at least 1.
            Exception: the script says so.
        """
        self.calls.append(params)
        n = self._number("n", params) or 1
        limit = self._number("max_tokens", params)
        answers = self._answers(params["messages"], n)
        choices = [_choice(index, answer, limit) for index, answer in enumerate(answers)]
        self._take_time(choices[0].message.content or "")
        prompt_tokens = sum(_words(message.get("content")) for message in params["messages"])
        completion_tokens = sum(_words(choice.message.content) for choice in choices)
        return ChatCompletion(
            # AutoGen 0.14 calls message_retrieval only for a response that has an `id`.
            id=f"chatcmpl-{uuid.uuid4().hex}",
            object="chat.completion",
            created=int(time.time()),
            model=self.config["model"],
            choices=choices,
            usage=CompletionUsage(
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                total_tokens=prompt_tokens + completion_tokens,
            ),
        )

    def message_retrieval(self, response: ChatCompletion) -> list[str | ChatCompletionMessage]:
        """Return each choice's text, or its whole message if it calls tools; AutoGen takes the first."""
        messages = [choice.message for choice in response.choices]
        return [message if message.tool_calls else message.content or "" for message in messages]

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

    def _answers(self, messages: list[dict[str, Any]], n: int) -> list[Answer]:
        """Return the `n` texts or messages of this turn."""
        reply: Any
        if callable(self.replies):
            reply = self.replies(messages)
        elif isinstance(self.replies, str):
            reply = self.replies
        elif len(self.calls) <= len(self.replies):
            reply = self.replies[len(self.calls) - 1]
        else:
            count = len(self.replies)
            replies = "1 reply" if count == 1 else f"{count} replies"
            raise RuntimeError(
                f"The script has {replies}, and this is call {len(self.calls)}. Add a "
                "reply to the script, or end the chat earlier (max_turns, is_termination_msg)."
            )
        if isinstance(reply, BaseException) or (isinstance(reply, type) and issubclass(reply, BaseException)):
            raise reply
        answers = list(reply) if isinstance(reply, (list, tuple)) else [reply] * n
        if not all(isinstance(answer, (str, dict, ChatCompletionMessage)) for answer in answers):
            raise TypeError(
                f"A reply must be a text, a message, or a list of one for each choice, not {reply!r}."
            )
        if len(answers) != n:
            texts = "1 text" if len(answers) == 1 else f"{len(answers)} texts"
            raise ValueError(f"This reply has {texts} for n={n} choices: {answers!r}.")
        return answers

    def _number(self, name: str, params: dict[str, Any]) -> int | None:
        """Return an option of the call, else of the entry, None where neither has it."""
        for given in (params.get(name), self.config.get(name)):
            if given is not None:
                if not isinstance(given, int) or given < 1:
                    raise ValueError(f"{name} must be a whole number of at least 1, not {given!r}.")
                return given
        return None

    def _take_time(self, text: str) -> None:
        """Wait as long as the reply is to take, and pass its words on meanwhile."""
        pieces = re.findall(r"\s*\S+|\s+$", text) if self.on_text else []
        for piece in pieces:
            time.sleep(self.delay / len(pieces))
            if self.on_text:
                self.on_text(piece)
        if not pieces:
            time.sleep(self.delay)


def _choice(index: int, answer: Answer, limit: int | None) -> Choice:
    """Return an answer as a choice; a text of more words than the limit is cut."""
    if isinstance(answer, str):
        words = list(re.finditer(r"\S+", answer))
        cut = limit is not None and len(words) > limit
        text = answer[: words[limit - 1].end()] if limit and cut else answer
        message = ChatCompletionMessage(role="assistant", content=text)
        return Choice(index=index, finish_reason="length" if cut else "stop", message=message)
    if isinstance(answer, dict):
        try:
            answer = ChatCompletionMessage.model_validate({"role": "assistant", **answer})
        except ValueError as error:
            raise ValueError(f"This reply is not a message in OpenAI's form: {answer!r}. {error}") from None
    return Choice(index=index, finish_reason="tool_calls" if answer.tool_calls else "stop", message=answer)


def _words(content: Any) -> int:
    return len(str(content or "").split())
