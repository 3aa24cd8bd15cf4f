"""What a class may ask: a request of OpenAI's chat completions, checked before the model sees it.

What changes nothing is left out, and what can't be had is refused by name, with the status and the form that
OpenAI's API has, so that AutoGen shows the message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, FailFast, Field, TypeAdapter, ValidationError

SHOWN = 80  # characters of what a student sent that are sent back
CHOICES = 8  # that one request may ask for
# What the model gets, beside the limit of the reply.
TAKEN = {"messages", "tools", "tool_choice", "response_format", "stop", "n", "seed", "temperature", "top_p"}
TAKEN |= {"chat_template_kwargs"}
ANSWERED = {"model", "stream", "stream_options", "user"}  # what the answer depends on, and the model does not
LIMITS = ("max_tokens", "max_completion_tokens")  # one thing by its old and its new name
# Fields that change no reply here, and values that ask for what happens anyway.
IDLE = {"metadata", "parallel_tool_calls", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
DEFAULTS: dict[str, list[Any]] = {
    "modalities": [["text"]],
    "verbosity": ["medium"],
    "reasoning_effort": ["none"],
    "function_call": ["auto", "none"],
}
MEANT = {"messages", "temperature", "top_p", "seed", "n", *LIMITS}  # where an empty value or 0 says something
EMPTY: tuple[Any, ...] = (None, False, 0, "", [], {})


class Refused(Exception):  # noqa: N818 - no error of the program, but an answer
    """What is answered instead of a reply: HTTP status, a code as OpenAI's, and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self) -> dict[str, Any]:
        """Return the body of the response, as OpenAI has it."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        message = self.message.encode(errors="replace").decode()  # it may quote half a character
        return {"error": {"message": message, "type": kind, "code": self.code}}


@dataclass(frozen=True)
class Rules:
    """What is asked of a request; `model` is the name that the class knows."""

    key: str
    model: str
    max_tokens: int
    max_prompt_tokens: int


def check_request(request: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """Return the request without what changes nothing.

    Raises:
        Refused: 404 for another model, 400 for what can't be had.
    """
    check_model(request.get("model"), rules)
    asked = {name: value for name, value in request.items() if not _is_idle(name, value)}
    if unknown := sorted(asked.keys() - TAKEN - ANSWERED - set(LIMITS)):
        names = short(", ".join(f'"{name}"' for name in unknown))
        whose = "If it isn't there, your framework sends it: switch it off in its client."
        message = f"This server can't do {names}: leave it out of your entry. {whose}"
        raise Refused(400, "unsupported_parameter", message)
    for name, kind, wanted in (
        ("stream", bool, "true or false"),
        ("stream_options", dict, "an object"),
        ("chat_template_kwargs", dict, "an object"),
    ):
        if not isinstance(asked.get(name, kind()), kind):
            raise Refused(400, "invalid_type", f'"{name}" has to be {wanted}.')
    n = asked.get("n", 1)
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= CHOICES:
        raise Refused(400, "invalid_value", f'"n" has to be a whole number from 1 to {CHOICES} here.')
    asked["messages"] = _check_messages(asked.get("messages"))
    if "tools" in asked:
        _check_tools(asked["tools"])
    else:
        asked.pop("tool_choice", None)
    limits = [_limit(name, asked.pop(name, rules.max_tokens), rules.max_tokens) for name in LIMITS]
    return {**asked, "max_tokens": min(limits)}


def check_model(name: Any, rules: Rules) -> None:
    """Raise Refused, 404, for a model that is not the class's."""
    if name != rules.model:
        message = f'There is no model {short(repr(name))} here: "model" has to be "{rules.model}".'
        raise Refused(404, "model_not_found", message)


def too_long(tokens: str, rules: Rules) -> Refused:
    """Return the refusal of a prompt with so many tokens."""
    message = (
        f"The prompt has {tokens} tokens, and {rules.max_prompt_tokens:,} are allowed here. "
        "Shorten the system message, or begin a new chat: a chat sends all of its history each time."
    )
    return Refused(400, "context_length_exceeded", message)


def short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def _is_idle(name: str, value: Any) -> bool:
    """Return whether a field changes nothing."""
    if name in MEANT:
        return value is None
    return name in IDLE or value in EMPTY or value in DEFAULTS.get(name, [])


class _Text(BaseModel):
    type: Literal["text"]
    text: str


class _Function(BaseModel):
    name: str
    arguments: str


class _Call(BaseModel):
    function: _Function


def _as_parts(content: Any) -> Any:
    return [{"type": "text", "text": content or ""}] if isinstance(content, str | None) else content


class _Message(BaseModel):
    role: str
    name: str | None = None
    content: Annotated[list[_Text], FailFast(), BeforeValidator(_as_parts)] = []
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Offered(BaseModel):
    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Tool(BaseModel):
    type: Literal["function"]
    function: _Offered


_MESSAGES = TypeAdapter(Annotated[list[_Message], FailFast(), Field(min_length=1)])
_TOOLS = TypeAdapter(Annotated[list[_Tool], FailFast()])


def _check_messages(messages: Any) -> list[dict[str, Any]]:
    """Return the messages without the fields that are null, as clients send them for what isn't there."""
    form = "A message is an object with a role, and its content is text: this model reads nothing else."
    _check(_MESSAGES, messages, "messages", form)
    return [{k: v for k, v in message.items() if v is not None} for message in messages]


def _check_tools(tools: Any) -> None:
    _check(_TOOLS, tools, "tools", 'A tool is {"type": "function", "function": {"name": ...}}.')


def _check(form: TypeAdapter[Any], value: Any, name: str, words: str) -> None:
    try:  # from JSON, for its words: object, array
        form.validate_json(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        why = f"There is half a character (a lone surrogate) in the {name}."
    except ValidationError as error:
        what = error.errors()[0]
        place = "".join(f"[{step!r}]" for step in what["loc"])
        why = f"{name}{place}: {what['msg']}. {words}"
    else:
        return
    raise Refused(400, f"invalid_{name}", why)


def _limit(name: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Refused(400, "invalid_value", f'"{name}" has to be a whole number from 1 to {most} here.')
    return value
