"""What the tests share: the real model, agents that never wait for a human, a server, cells, AutoGen 0.2."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

PROJECT = Path(__file__).resolve().parents[1]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `python -m kit` does, and says why
# In the background (nohup, &) Ctrl-C arrives ignored and would stay so for the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Half the time of `import autogen`, here and in what the tests start: see the file in this folder.
QUICK = str(PROJECT / "tests" / "quick")
sys.path.insert(0, QUICK)
os.environ["PYTHONPATH"] = os.pathsep.join([QUICK, *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="session")
def local_model_folder():
    """The folder of the real small model; the first run fetches it, as a learner's does."""
    import kit

    return str(Path(kit.local_model()).resolve())  # tests change the current folder


@pytest.fixture
def agent():
    """Make an agent whose config list is the given entry, with its client registered.

    The entry's class is filled in, as is a model's name; `kwargs` go to the client's constructor.
    """
    from autogen import AssistantAgent, LLMConfig

    def make(client_class, entry=None, name="assistant", system_message="Be brief.", **kwargs):
        entry = {"model": "dummy", "model_client_cls": client_class.__name__, **(entry or {})}
        agent = AssistantAgent(
            name,
            system_message=system_message,
            llm_config=LLMConfig(entry),
            human_input_mode="NEVER",
            code_execution_config=False,
        )
        agent.register_model_client(client_class, **kwargs)
        return agent

    return make


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder, and none of the variables that config lists and keys are read from."""
    monkeypatch.chdir(tmp_path)
    for name in ("OAI_CONFIG_LIST", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def server():
    """A server of OpenAI's API on this machine: it offers the models a and b, and its answer is Paris.

    `address` is where it is, up to /v1; `seen` has path, key and body of each request. It refuses keys
    that have "wrong" in them, and shows them in its refusal, as real servers do.
    """
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body):
            key = self.headers.get("Authorization", "").removeprefix("Bearer ") or self.headers.get("api-key")
            seen.append(SimpleNamespace(path=self.path, key=key, body=body))
            if "wrong" in str(key):
                self.send(401, {"error": {"message": f"Incorrect API key provided: {key}"}})
            elif body is None:
                models = [{"id": name, "object": "model", "created": 0, "owned_by": "me"} for name in "ba"]
                self.send(200, {"object": "list", "data": models})
            else:
                message = {"role": "assistant", "content": "The capital of France is Paris."}
                choice = {"index": 0, "finish_reason": "stop", "message": message}
                usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
                reply = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
                self.send(200, {**reply, "choices": [choice], "usage": usage})

        def send(self, status, value):
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self):
            self.answer(None)

        def do_POST(self):
            self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.05,))
        thread.start()
        yield SimpleNamespace(address=f"http://127.0.0.1:{served.server_port}/v1", seen=seen)
        served.shutdown()
        thread.join()


@pytest.fixture
def cells():
    """Run cells as a notebook does, and return its variables."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    before = sys.modules["__main__"], sys.excepthook
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))

    def run(*texts):
        for text in texts:
            result = shell.run_cell(text)
            assert result.success, result.error_in_exec or result.error_before_exec
        return shell.user_ns

    yield run
    sys.modules["__main__"], sys.excepthook = before


@pytest.fixture(scope="session")
def python_with():
    """Return the Python of an environment with some packages, for what can't live beside the kit's.

    It lies in `.cache` and is kept between runs. It takes a minute to make, and a package index; where none
    can be reached these tests are skipped, but never in CI.
    """

    def make(name, requirements):
        home = PROJECT / ".cache" / name
        python = str(home / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        stamp, wanted = home / "made-of.txt", "\n".join([sys.version, *requirements])
        home.parent.mkdir(exist_ok=True)
        with FileLock(f"{home}.lock"):
            if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
                return python
            shutil.rmtree(home, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            reachable = _pip_install(python, "--dry-run", "--no-deps", requirements[0])
            if reachable.returncode and not os.environ.get("CI"):
                pytest.skip(f"pip reaches no package index: {_reason_of(reachable)}")
            made = _pip_install(python, *requirements)
            if made.returncode:
                pytest.fail(f"pip can't make the environment {name}: {_reason_of(made)}")
            stamp.write_text(wanted, encoding="utf-8")
        return python

    return make


@pytest.fixture(scope="session")
def old_python(python_with):
    """The Python of an environment with autogen-agentchat 0.2.40 and the kit's torch and transformers."""
    return python_with(
        "autogen-0.2", ["autogen-agentchat==0.2.40", _pinned("torch"), _pinned("transformers")]
    )


def _pinned(name):
    """The line of requirements.txt that pins a package, without its comment."""
    text = (PROJECT / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{name}==[^\s#;]+", text, re.MULTILINE)
    assert found, f"requirements.txt pins no {name}"
    return found.group()


def _pip_install(python, *arguments):
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True)


def _reason_of(pip):
    """What pip complains about, in one line."""
    return "; ".join(line for line in pip.stderr.splitlines() if "ERROR" in line) or pip.stderr.strip()
