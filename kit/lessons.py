"""The model of lessons 06 to 09: one that a class shares, or the small one on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletion

from kit.config_list.lists import load_config_list, parse_config_list
from kit.config_list.sources import read_source
from kit.models import SHARED, local_model

LIST = "OAI_CONFIG_LIST"
NOT_SENT = {"model_client_cls", "base_url", "api_key", "api_type", "price", "tags"}


class ServerModelClient:
    """Ask a server that speaks OpenAI's protocol, as AutoGen does by itself for an entry with a base_url.

    So an agent needs no such class. A recording (lesson 08) and an adapter (lesson 09) want a client.
    """

    def __init__(self, config: dict[str, Any], **kwargs: Any) -> None:
        self.config = dict(config)
        self._server = OpenAI(base_url=config["base_url"], api_key=config.get("api_key"))

    def create(self, params: dict[str, Any]) -> ChatCompletion:
        fields = {**self.config, **params}
        return self._server.chat.completions.create(
            **{name: value for name, value in fields.items() if name not in NOT_SENT}
        )

    def message_retrieval(self, response: ChatCompletion) -> list[Any]:
        messages = [choice.message for choice in response.choices]
        return [message if message.tool_calls else message.content or "" for message in messages]

    def cost(self, response: ChatCompletion) -> float:
        return 0

    @staticmethod
    def get_usage(response: ChatCompletion) -> dict[str, Any]:
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        usage = {name: getattr(response.usage, name, 0) for name in names}
        return {**usage, "cost": 0, "model": response.model}


def lesson_model() -> tuple[dict[str, Any], type]:
    """Return the fields of an entry for the model of the lessons, and the class of its client.

    If the config list `OAI_CONFIG_LIST` (a file here, or a variable) has the entry that
    `python -m kit serve` prints, that server answers. If not, it is `local_model()`.

    Raises:
        ConfigListError: the entry in the list can't be used; the message says why.
        NoModelHere: there is neither such an entry nor torch.
    """
    if entry := _class_entry():
        print(f"The class's model answers: {LIST} has its entry, with {entry['base_url']}.")
        return entry, ServerModelClient
    fields = {"model": local_model(), "device": "cpu"}
    from kit.clients.huggingface_fast import HuggingFaceModelClient  # seconds, and needs torch

    return fields, HuggingFaceModelClient


def _class_entry() -> dict[str, Any] | None:
    """Return the entry of the class's server, if the config list has one."""
    if not (os.environ.get(LIST) or Path(LIST).exists()):
        return None
    text, source, _ = read_source(LIST)
    if not any(entry.get("model") == SHARED for entry in parse_config_list(text, source)):
        return None
    return dict(load_config_list(LIST, {"model": [SHARED]})[0])
