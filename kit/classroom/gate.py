"""The gate before `transformers serve`: who may come in, and what may be asked.

The engine behind it answers anybody on the network, unloads its model for whoever asks, ignores what it
can't do, and lets one long prompt keep a class waiting. The gate lets three addresses through, wants a key,
and answers what can't work with the status and the form that OpenAI's API has, so that AutoGen shows its
message. It knows no model.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, FailFast, Field, TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

CHAT, MODELS, HEALTH = "/v1/chat/completions", "/v1/models", "/health"
MAX_BODY = 1_000_000  # bytes; a prompt that fills a context window of 8,192 tokens has about 40,000
MAX_TOKEN = 64  # bytes of a request for each token; text has about 5, an escaped emoji up to 24
SHOWN = 80  # characters of what a student sent that are sent back
# What a request may hold, beside the sampling that is the same for all.
LIMITS = ("max_tokens", "max_completion_tokens")  # one thing by its old and its new name
ANSWERED = {"model", "messages", "tools", "stream", *LIMITS}
WITHOUT_EFFECT = {"metadata", "parallel_tool_calls", "store", "stream_options", "user"}


class Refused(Exception):  # noqa: N818 - no error of the program, but an answer
    """What the gate answers instead of the engine: HTTP status, a code as OpenAI's, and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self) -> JSONResponse:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        message = self.message.encode(errors="replace").decode()  # it may quote half a character
        return JSONResponse({"error": {"message": message, "type": kind, "code": self.code}}, self.status)


@dataclass(frozen=True)
class Rules:
    """What the gate asks of a request.

    `model` is the name that the class knows, `engine_model` the engine's own. `sampling` holds the values
    of `temperature` and `top_p` that everybody gets. `count` returns the tokens of a request's prompt, and
    raises whatever the chat template raises for messages that it can't take.
    """

    key: str
    model: str
    engine_model: str
    sampling: dict[str, float]
    max_tokens: int
    max_prompt_tokens: int
    has_tools: bool
    count: Callable[[dict[str, Any]], int]


class Gate:
    """An ASGI application that checks each request, then hands it to `app`.

    `cancel` is called with the id of a request whose sender went away, so that nobody's reply keeps a
    processor busy that others wait for.
    """

    def __init__(self, app: ASGIApp, rules: Rules, cancel: Callable[[str], None]) -> None:
        self.app, self.rules, self.cancel = app, rules, cancel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) == ("GET", HEALTH):
            await self.app(scope, receive, send)
            return
        try:
            self._admit(scope)
            if scope["path"] == MODELS:
                model = {"id": self.rules.model, "object": "model", "created": 0, "owned_by": "class"}
                await JSONResponse({"object": "list", "data": [model]})(scope, receive, send)
                return
            body = await _body(Request(scope, receive))
            asked = check_request(_parse(body), self.rules)
            if (least := len(body) // MAX_TOKEN) > self.rules.max_prompt_tokens:
                raise _too_long(f"at least {least:,}", self.rules)  # to count them would take seconds
            await asyncio.to_thread(check_prompt, asked, self.rules)  # a long one takes a while
        except ClientDisconnect:
            return
        except Refused as refused:
            logger.warning("%s: %d %s", (scope.get("client") or "?")[0], refused.status, refused.code)
            await refused.response()(scope, receive, send)
            return
        await self._forward(scope, receive, send, asked)

    def _admit(self, scope: Scope) -> None:
        """Check address and key.

        Raises:
            Refused: 404 for another address, 401 without the key.
        """
        method, path = scope["method"], scope["path"]
        if (method, path) not in {("POST", CHAT), ("GET", MODELS)}:
            known = f"There is no {_short(f'{method} {path}')} here, only POST {CHAT} and GET {MODELS}."
            if f"/v1{path}" in (CHAT, MODELS):
                known = '"base_url" has to end in /v1.'
            raise Refused(404, "unknown_url", known)
        given = Headers(scope=scope).get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.rules.key}".encode()):
            what = "The key is not this server's." if given else "The key is missing."
            raise Refused(401, "invalid_api_key", f'{what} "api_key" is on the instructor\'s screen.')

    async def _forward(self, scope: Scope, receive: Receive, send: Send, asked: dict[str, Any]) -> None:
        """Let the engine answer, and stop it if the student has gone."""
        body = json.dumps(asked).encode()
        identity = str(uuid.uuid4())  # ours: two requests of one id would get each other's words
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        engine_scope = {**scope, "headers": Headers({**headers, "x-request-id": identity}).raw}
        incoming = [{"type": "http.request", "body": body}]
        started = False

        async def receive_body() -> Message:
            return incoming.pop() if incoming else await asyncio.Future()  # whether they leave, we watch

        async def send_on(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.cancel(identity)
            answer.cancel()

        answer = asyncio.ensure_future(self.app(engine_scope, receive_body, send_on))
        watcher = asyncio.create_task(watch())
        try:
            await answer
        except asyncio.CancelledError:
            self.cancel(identity)  # again: on its way out it may have handed the request in
            if watcher.done():
                return
            # Ctrl-C, and the time for replies under way is over.
            if started:
                await send({"type": "http.response.body"})
            else:
                await Refused(503, "stopped", "The server was stopped.").response()(scope, receive, send)
        finally:
            watcher.cancel()


async def _body(incoming: Request) -> bytes:
    body = b""
    async for piece in incoming.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise Refused(413, "request_too_large", f"A request may have {MAX_BODY:,} bytes.")
    return body


def _parse(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "invalid_json", f"The body of the request is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise Refused(400, "invalid_json", "The body of the request has to be a JSON object: {...}")
    return request


def check_request(request: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """Return the request as the engine is to get it.

    Raises:
        Refused: 404 for another model, 400 for what the engine would ignore or stumble over.
    """
    if request.get("model") != rules.model:
        named = _short(repr(request.get("model")))
        message = f'There is no model {named} here: "model" has to be "{rules.model}".'
        raise Refused(404, "model_not_found", message)
    for name, everybody in rules.sampling.items():
        if request.get(name) not in (None, everybody):
            message = f'"{name}" is {everybody:g} for everybody here: leave it out of your entry.'
            raise Refused(400, "unsupported_value", f"{message} (All replies are computed in one batch.)")
    ignored = {*rules.sampling, *WITHOUT_EFFECT, *(["n"] if request.get("n") == 1 else [])}
    asked = {k: v for k, v in request.items() if v is not None and k not in ignored}
    if unknown := sorted(asked.keys() - ANSWERED):
        names = _short(", ".join(f'"{name}"' for name in unknown))
        message = f"This server can't do {names}: leave it out of your entry."
        raise Refused(400, "unsupported_parameter", message)
    if asked.get("tools") and not rules.has_tools:
        raise Refused(400, "unsupported_parameter", "This model was not made for tools.")
    if not isinstance(asked.get("stream", False), bool):
        raise Refused(400, "invalid_type", '"stream" has to be true or false.')
    messages = _check_messages(asked.get("messages"))
    limits = [_limit(name, asked.pop(name, rules.max_tokens), rules.max_tokens) for name in LIMITS]
    return {**asked, "messages": messages, "max_tokens": min(limits), "model": rules.engine_model}


class _Text(BaseModel):
    type: Literal["text"]
    text: str


def _as_parts(content: Any) -> Any:
    return [{"type": "text", "text": content or ""}] if isinstance(content, str | None) else content


class _Message(BaseModel):
    role: str
    content: Annotated[list[_Text], FailFast(), BeforeValidator(_as_parts)] = []


_MESSAGES = TypeAdapter(Annotated[list[_Message], FailFast(), Field(min_length=1)])


def _check_messages(messages: Any) -> list[dict[str, Any]]:
    """Return the messages without the fields that are null, as clients send them for what isn't there."""
    try:  # from JSON, for its words: object, array
        _MESSAGES.validate_json(json.dumps(messages, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        why = "There is half a character (a lone surrogate) in the messages."
    except ValidationError as error:
        what = error.errors()[0]
        place = "".join(f"[{step!r}]" for step in what["loc"])
        form = "A message is an object with a role, and its content is text: this model reads nothing else."
        why = f"messages{place}: {what['msg']}. {form}"
    else:
        return [{k: v for k, v in message.items() if v is not None} for message in messages]
    raise Refused(400, "invalid_messages", why)


def _limit(name: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Refused(400, "invalid_value", f'"{name}" has to be a whole number from 1 to {most} here.')
    return value


def check_prompt(request: dict[str, Any], rules: Rules) -> None:
    """Count the tokens of a request's prompt.

    Raises:
        Refused: 400 for more than the class allows, or messages that the chat template can't take.
    """
    try:
        tokens = rules.count(request)
    except Exception as error:
        raise Refused(400, "invalid_messages", f"The chat template refuses these messages: {error}") from None
    if tokens > rules.max_prompt_tokens:
        raise _too_long(f"{tokens:,}", rules)


def _too_long(tokens: str, rules: Rules) -> Refused:
    message = (
        f"The prompt has {tokens} tokens, and {rules.max_prompt_tokens:,} are allowed here. "
        "Shorten the system message, or begin a new chat: a chat sends all of its history each time."
    )
    return Refused(400, "context_length_exceeded", message)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
