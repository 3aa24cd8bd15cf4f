"""A server like many, for the tests of the checks: what it refuses, it refuses in the words of real ones."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from kit import DummyModelClient

SAYS = {"id": "1", "object": "chat.completion", "created": 1, "model": "good"}
SAYS["choices"] = [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}]
SAYS["usage"] = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
FIELDS = {  # by the model's name: what servers refuse in a request, and how they say so
    "plain": (lambda asked: asked.get("tools"), 400, "plain does not support tools"),
    "vllm": (
        lambda asked: asked.get("tools"),
        400,
        "tool choice requires --enable-auto-tool-choice to be set",
    ),
    "schema": (
        lambda asked: asked.get("tools"),
        400,
        "Invalid schema for function 'add': 'list' has no items",
    ),
    "azured": (
        lambda asked: asked.get("tools") and asked["path"].endswith("=2023-07-01-preview"),
        404,
        "Unrecognized request argument supplied: tools",
    ),
    "mistral": (
        lambda asked: "functions" in asked,
        422,
        {
            "detail": [
                {
                    "loc": ["body", "functions"],
                    "msg": "Extra inputs are not permitted",
                    "input": [{"name": "add"}],
                }
            ]
        },
    ),
    "studio": (
        lambda asked: "response_format" in asked,
        400,
        "'response_format.type' must be 'json_schema'",
    ),
    "new": (
        lambda asked: "max_tokens" in asked,
        400,
        "Unsupported parameter: 'max_tokens', with this model.",
    ),
    "nameless": (
        lambda asked: any("name" in message for message in asked["messages"]),
        422,
        {
            "detail": [
                {"loc": ["body", "messages", 1, "user", "name"], "msg": "Extra inputs are not permitted"}
            ]
        },
    ),
    "picky": (
        lambda asked: any(" " in message.get("name", "") for message in asked["messages"]),
        400,
        "Invalid 'messages[0].name': string does not match pattern.",
    ),
    "texts": (
        lambda asked: any(message["content"] is None for message in asked["messages"]),
        400,
        "Invalid 'content': 'content' field must be a string or an array of objects.",
    ),
    "texts alone": (
        lambda asked: any(isinstance(message["content"], list) for message in asked["messages"]),
        500,
        "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
    ),
}
REFUSALS = {  # by the model's name: what servers say
    "nobody": (404, {"error": {"message": "The model `nobody` does not exist", "code": "model_not_found"}}),
    "not-pulled": (404, {"error": {"message": 'model "x" not found, try pulling it first'}}),
    "poor": (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}),
    "busy": (429, {"error": {"message": "Rate limit reached for requests"}}),
    "starting": (503, {"error": {"message": "Loading model", "type": "unavailable_error"}}),
    "small": (400, {"error": {"message": "This model's maximum context length is 8 tokens."}}),
    "strict": (400, {"error": {"message": "Conversation roles must alternate user/assistant/..."}}),
    "limited": (200, {"error": {"message": "Provider returned error", "code": 429}}),
    "wants-text": (400, {"error": {"message": "messages.1.content: Field required"}}),
    "closed": (403, {"error": {"message": "Your region is not supported"}}),
    "ill": (500, {"error": {"message": "CUDA kernel went away"}}),
    "odd": (418, {"detail": [{"msg": "I am a teapot"}]}),
    "a text as body": (
        422,
        {"detail": [{"loc": ["body"], "msg": "Input should be a valid dictionary or object"}]},
    ),
    "foreign": (401, {"error": {"message": "OpenAI-Organization header should match organization"}}),
    "large": (500, {"error": {"message": "model requires more system memory (5 GiB) than there is"}}),
    "unread": (400, {"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}),
    "its-own": (400, {"error": {"message": "Expected last role User or Tool but got assistant"}}),
    "asks-back": (400, {"error": {"message": "The `reasoning_content` must be passed back to the API"}}),
    "half": (400, {"error": {"message": "'tool_calls' must be followed by tool messages"}}),
    "no-null": (
        422,
        {"detail": [{"loc": ["messages", 2, "content"], "msg": "none is not an allowed value"}]},
    ),
    "blind": (400, {"error": {"message": "m is not a multimodal model"}}),
    "base": (400, {"error": {"message": "default chat template is no longer allowed"}}),
    "thinking": (400, {"error": {"message": "enable_thinking must be set to false for this call"}}),
    "larger": (413, {"error": {"message": "Request too large for model: Limit 6000, Requested 8318"}}),
    "prim": (400, {"error": {"message": "The response was filtered: content management policy"}}),
    "old": (404, {"error": {"message": "This is not a chat model and thus not supported here."}}),
    "odd-404": (404, {"error": {"message": "No allowed providers are there for the model."}}),
    "azure": (404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment is not there"}}),
}


class Handler(BaseHTTPRequestHandler):
    """A server like many: OpenAI's protocol below /v1, one key, one model; some of its paths are odd."""

    def do_POST(self):
        if self.path.startswith(("/ends", "/greets")):
            self.wfile.write(b"Welcome\r\n\r\n" if self.path == "/greets" else b"")
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        status, said = self.answer({**asked, "path": self.path})
        data = said if isinstance(said, str) else json.dumps(said)
        # Of two slashes at its beginning http.server drops one from the path.
        moved = self.path.startswith("/moved") or " //" in self.requestline
        self.send_response(301 if moved else status)
        self.send_header("Location", self.path.removeprefix("/moved"))
        self.send_header("Content-Type", "text/html" if isinstance(said, str) else "application/json")
        self.end_headers()
        self.wfile.write(data.encode())

    def do_GET(self):  # which a POST becomes that was sent on, or the model hub
        if not self.path.startswith("/hub"):
            self.send_response(405)
        elif self.headers["Authorization"]:
            self.send_response(200)
            for name, value in {"ETag": '"1"', "X-Repo-Commit": "0" * 40, "Content-Length": "2"}.items():
                self.send_header(name, value)
        else:
            self.send_response(403)
            self.send_header("X-Error-Code", "GatedRepo")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"{}")

    do_HEAD = do_GET

    def answer(self, asked):
        if self.path.startswith("/lines"):
            return 200, '{"text": "a"}\n{"text": "b"}\n'
        if self.path.startswith(("/azure", "/openai/deployments/gone/chat")):
            return 404, {"error": {"code": "404", "message": "Resource not found"}}
        if self.path.startswith("/page"):
            return 200, "<html><title>Welcome</title><script>1</script></html>"
        if self.path.startswith("/studio") and not self.path.startswith("/studio/v1/"):
            return 200, {"error": f"Unexpected endpoint or method. (POST {self.path})"}
        if self.path.removeprefix("/studio") != "/v1/chat/completions" and "/azured/" not in self.path:
            return 404, "404 page not found"
        refuses, status, why = FIELDS.get(asked.get("model"), (None, 0, ""))
        if refuses:
            return (status, {"error": {"message": why}}) if refuses(asked) else (200, SAYS)
        if self.headers["Authorization"] in (None, "right", "Bearer wrong", "Bearer None", "Bearer 'right'"):
            return 401, {"error": {"message": "Incorrect API key provided"}}
        if asked["model"] == "empty":  # has no answer to an empty message
            return 200, {**SAYS, "choices": SAYS["choices"] if asked["messages"][-1]["content"] else []}
        if asked["model"] == "forgetful":  # reads no more than the end of a prompt
            return 200, {
                **SAYS,
                "usage": {"prompt_tokens": 2048, "completion_tokens": 1, "total_tokens": 2049},
            }
        return REFUSALS.get(asked["model"], (200, SAYS))

    def log_message(self, *args): ...


SERVER = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{SERVER.server_port}"
GOOD = {"model": "good", "base_url": f"{URL}/v1", "api_key": "right", "max_retries": 0, "price": [0, 0]}
AZURE = {"api_type": "azure", "api_version": "2024-08-01-preview"}


def sends(fields=None, **headers):
    """Return a create that asks a server with some headers, and some fields of a request."""
    fields = {"model": "studio" if fields else "good", **(fields or {})}

    def create(self, params):
        answer = requests.post(f"{URL}/v1/chat/completions", headers=headers, json=fields, timeout=5)
        answer.raise_for_status()
        return DummyModelClient.create(self, params)

    return create
