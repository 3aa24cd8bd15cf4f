"""The gate before the engine: who may come in, and the answers in OpenAI's form."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.classroom.board import Board
from kit.classroom.request import Refused, Rules, check_model, check_request, short, too_long

if TYPE_CHECKING:  # it imports torch
    from kit.classroom.engine import Engine

logger = logging.getLogger(__name__)

CHAT, MODELS, HEALTH, CLASS = "/v1/chat/completions", "/v1/models", "/health", "/class"
MAX_BODY = 1_000_000  # bytes; a prompt that fills a context window of 8,192 tokens has about 40,000
MAX_TOKEN = 64  # bytes of a request for each token; text has about 5, an escaped emoji up to 24


class Gate:
    """An ASGI application that checks each request and lets the engine answer it.

    Chat completions and the model are behind the class's key, the teacher's page is behind the teacher's,
    and whether the server is well may be asked by anybody.
    """

    def __init__(self, engine: Engine, rules: Rules, board: Board) -> None:
        self.engine, self.rules, self.board = engine, rules, board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        except Refused as refused:
            self.tell(refused, address(scope), address(scope))
            answer = JSONResponse(refused.body(), refused.status)
        await answer(scope, receive, send)

    def tell(self, refused: Refused, where: str, who: str) -> None:
        """Count a refusal, and log it without a word of what was sent."""
        self.board.student(who).errors += 1
        logger.warning("%s: %d %s", where, refused.status, refused.code)

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        """Return what answers a request.

        Raises:
            Refused: 404 for another address or model, 401 without the key, 400 for what can't be had.
        """
        method, path = scope["method"], scope["path"]
        if (method, path) == ("GET", HEALTH):
            well = self.engine.is_well()
            return JSONResponse({"status": "ok" if well else "stopped"}, 200 if well else 503)
        if (method, path) == ("GET", CLASS):
            given = QueryParams(scope["query_string"]).get("key", "")
            if not hmac.compare_digest(given.encode(), self.board.key.encode()):
                return PlainTextResponse("The address of this page is on the instructor's screen.", 401)
            return HTMLResponse(self.board.page(self.engine.waiting))
        self._admit(scope)
        if path == CHAT:
            body = await _body(Request(scope, receive))
            asked = check_request(_parse(body), self.rules)
            if (least := len(body) // MAX_TOKEN) > self.rules.max_prompt_tokens:
                raise too_long(f"at least {least:,}", self.rules)  # to count them would take seconds
            return Reply(self, asked)
        model = {"id": self.rules.model, "object": "model", "created": 0, "owned_by": "class"}
        if path == MODELS:
            return JSONResponse({"object": "list", "data": [model]})
        check_model(path.removeprefix(f"{MODELS}/"), self.rules)
        return JSONResponse(model)

    def _admit(self, scope: Scope) -> None:
        """Check address and key.

        Raises:
            Refused: 404 for another address, 401 without the key.
        """
        method, path = scope["method"], scope["path"]
        of_models = method == "GET" and (path == MODELS or path.startswith(f"{MODELS}/"))
        if not of_models and (method, path) != ("POST", CHAT):
            known = f"There is no {short(f'{method} {path}')} here, only POST {CHAT} and GET {MODELS}."
            if f"/v1{path}" in (CHAT, MODELS):
                known = '"base_url" has to end in /v1.'
            raise Refused(404, "unknown_url", known)
        given = Headers(scope=scope).get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.rules.key}".encode()):
            what = "The key is not this server's." if given else "The key is missing."
            raise Refused(401, "invalid_api_key", f'{what} "api_key" is on the instructor\'s screen.')


class Reply:
    """An ASGI application: the engine's reply to one request, whole or as a stream."""

    def __init__(self, gate: Gate, asked: dict[str, Any]) -> None:
        self.gate = gate
        self.model, self.streams = asked.pop("model"), asked.pop("stream", False)
        self.counts = asked.pop("stream_options", {}).get("include_usage", False)
        self.user, self.asked = asked.pop("user", None), asked
        self.began = False  # to stream
        self.id, self.created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and stop the engine's work if the student has gone."""
        student = self.gate.board.student(who := self.user or address(scope))
        student.requests += 1
        student.waiting += 1
        answering = asyncio.ensure_future(self._send(scope, receive, send))

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            answering.cancel()

        watcher = asyncio.create_task(watch())
        try:
            await answering
        except asyncio.CancelledError:
            if not watcher.done():  # Ctrl-C, and the time for replies under way is over
                await self._refuse(Refused(503, "stopped", "The server was stopped."), scope, receive, send)
        except Refused as refused:
            self.gate.tell(refused, address(scope), who)
            await self._refuse(refused, scope, receive, send)
        finally:
            watcher.cancel()
            student.waiting -= 1

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async for kind, item in self.gate.engine.ask(self.model, self.asked):
                if kind == "response":
                    await self._finish(item.model_dump(exclude_none=True), scope, receive, send)
                elif self.streams:
                    await self._event(self._chunk({kind: item}), send)
        except (ValueError, ImportError) as error:
            raise Refused(400, "invalid_request", f"{error}") from None

    async def _finish(self, whole: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole reply, or what its stream ends with."""
        if not self.streams:
            await JSONResponse({**whole, "id": self.id})(scope, receive, send)
            return
        for chunk in self._last(whole):
            await self._event(chunk, send)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    def _last(self, whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the chunks with calls, further choices, the reasons for the end, and usage if wanted."""
        for choice in whole["choices"]:
            message, index = choice["message"], choice["index"]
            if calls := message.get("tool_calls"):
                yield self._chunk({"tool_calls": [{**c, "index": i} for i, c in enumerate(calls)]}, index)
            elif index:  # the pieces were those of the first
                yield self._chunk({"content": message["content"]}, index)
            yield self._chunk({}, index, choice["finish_reason"])
        if self.counts:
            yield {**self._chunk({}), "choices": [], "usage": whole["usage"]}

    def _chunk(self, delta: dict[str, Any], index: int = 0, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": {"role": "assistant", **delta}, "finish_reason": reason}
        form = {"object": "chat.completion.chunk", "created": self.created, "model": self.model}
        return {"id": self.id, **form, "choices": [choice]}

    async def _event(self, data: dict[str, Any], send: Send) -> None:
        if not self.began:
            self.began = True
            headers = [
                (b"content-type", b"text/event-stream"),
                (b"cache-control", b"no-cache"),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        event = f"data: {json.dumps(data)}\n\n".encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})

    async def _refuse(self, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
        if self.began:
            await self._event(refused.body(), send)
            await send({"type": "http.response.body"})
        else:
            await JSONResponse(refused.body(), refused.status)(scope, receive, send)


def address(scope: Scope) -> str:
    return (scope.get("client") or "?")[0]


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
