"""One model client for many agents of classic AutoGen: `autogen` 0.14.1 and Microsoft's 0.2.40.

There a custom model *is* a model client, and an agent takes it without an adapter. But AutoGen registers
classes, and makes an object of the class for each agent and entry; here agents share one object.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from .bridge import alone
from .reply import choices, create


def registrable(client: Any, name: str | None = None) -> type:
    """Return a class that stands for one client, to be registered on as many agents as you like.

        agent.register_model_client(registrable(my_client))
        GroupChat(..., select_speaker_auto_model_client_cls=registrable(my_client))

    Its name is that of the client's class, or `name`: entries give it as their `model_client_cls`. An agent
    hands over its entry's fields with each call, so the entry that the client was made with does not count.

    Beyond what AutoGen does by itself, `message_retrieval` is asked always (`autogen` 0.14.1 passes over it
    where a response has no `id`), tool calls get the ids that they lack, and no two threads are in the client
    at once. What classic AutoGen has no way for is left out: it neither streams (a client's own `on_text`
    goes on as before) nor cancels, and `a_generate_reply` keeps the program alive until `create` returns.

    Raises:
        TypeError: a class was passed.
    """
    if isinstance(client, type):
        raise TypeError(
            f"{client.__name__} is a class: pass {client.__name__}(entry), or register the class itself, "
            f"agent.register_model_client({client.__name__})."
        )

    def new(cls: type, config: dict[str, Any], **kwargs: Any) -> Shared:
        return Shared(client)

    return type(name or type(client).__name__, (), {"__new__": new})


class Fields(dict):
    """A response that is a dict; AutoGen sets attributes of a response, and a mere dict takes none."""


class Shared:
    """A model client that passes everything on to another one."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def create(self, params: dict[str, Any]) -> Any:
        response = alone(self._client, create, self._client, params)
        if type(response) is dict:
            response = Fields(response)
        if not getattr(response, "id", None):
            with contextlib.suppress(AttributeError, ValueError, TypeError):
                response.id = f"chatcmpl-{uuid.uuid4().hex}"
        return response

    def message_retrieval(self, response: Any) -> list[Any]:
        """Return each choice's text, or a whole message in OpenAI's form if it calls tools."""
        return [
            {"role": "assistant", "content": one.text, "tool_calls": [call.as_dict() for call in one.calls]}
            if one.calls
            else one.text
            for one in alone(self._client, choices, self._client, response)
        ]

    def cost(self, response: Any) -> float:
        return alone(self._client, self._client.cost, response)

    def get_usage(self, response: Any) -> Any:
        return alone(self._client, self._client.get_usage, response)

    def __getattr__(self, name: str) -> Any:
        if name == "_client":  # not there yet while it is copied
            raise AttributeError(name)
        return getattr(self._client, name)
