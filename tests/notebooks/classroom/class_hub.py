"""JupyterHub with the class's configuration, and students who use it over HTTP as a browser does."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "notebooks" / "classroom" / "jupyterhub_config.py"
PROXY = "configurable-http-proxy@5.3.0"
PASSWORD, ADMIN_PASSWORD = "for the class", "for the teacher alone, and long enough"
LESSON = "notebooks/01_create_the_client.ipynb"
NOBODY = 65534

# A mount namespace: users that are made in it are in a copy of /etc, and a folder that only root may enter
# (/root, with a Python in it) lets others pass. Nothing of this is left when the hub has ended.
PRIVATE = """
set -e
cp -a /etc "$0/etc" && mount --bind "$0/etc" /etc
mkdir -m 700 "$0/closed"
for closed in $CLOSED; do
    mkdir -p "$0/closed$closed" && mount --rbind "$closed" "$0/closed$closed"
    mount -t tmpfs -o mode=755 kit "$closed"
    for open in $OPEN; do
        case "$open" in "$closed"/*) mkdir -p "$open" && mount --rbind "$0/closed$open" "$open";; esac
    done
done
unset CLOSED OPEN
exec "$@"
"""


def install_proxy() -> str:
    """Put the proxy where the configuration looks for it: npm adds it to the virtual environment, once.

    Return why that can't be done here, or nothing.
    """
    if (Path(sys.prefix) / "node_modules" / ".bin" / "configurable-http-proxy").exists():
        return ""
    if (npm := shutil.which("npm")) is None:
        return "JupyterHub's proxy is installed with npm"
    command = [npm, "install", "--silent", "--prefix", sys.prefix, PROXY]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "npm did not install JupyterHub's proxy within two minutes"
    reason = " ".join((done.stderr or done.stdout).split())[-200:]
    return f"npm can't install JupyterHub's proxy: {reason}" if done.returncode else ""


def can_hide() -> bool:
    """Say whether OS users can be made here without a trace: in a mount namespace."""
    if os.geteuid() or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def needed() -> list[Path]:
    """Return what a student's programs read."""
    import kit

    paths = [sys.base_prefix, sys.prefix, ROOT, kit.local_model(), shutil.which("node") or "/usr"]
    return [Path(path).resolve() for path in paths]


def closed() -> list[Path]:
    """Return the folders above those that only their owner may enter, the topmost of each."""
    above = [
        [folder for folder in reversed(path.parents) if not folder.stat().st_mode & 1] for path in needed()
    ]
    return sorted({folders[0] for folders in above if folders})


@dataclass
class Hub:
    """A running hub; `folder` has the homes in it."""

    process: subprocess.Popen[bytes]
    address: str
    folder: Path
    log: Path
    certificate: str = ""

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def student(self, name: str, password: str = PASSWORD) -> Student:
        return Student(self, name, password)

    def processes(self) -> list[psutil.Process]:
        """Return the hub, the proxy, and every student's programs."""
        hub = psutil.Process(self.process.pid)
        return [hub, *hub.children(recursive=True)]

    def stop(self, how: int = signal.SIGINT, seconds: float = 180) -> list[psutil.Process]:
        """End the hub as Ctrl-C does, and return what of it is still running."""
        if self.process.poll() is not None:
            return []
        processes = self.processes()
        self.process.send_signal(how)
        self.process.wait(seconds)
        return psutil.wait_procs(processes, timeout=5)[1]


@contextlib.contextmanager
def class_hub(one_user: bool = False, more: str = "", **edits: Any) -> Iterator[Hub]:
    """Start the hub with its configuration, settings at its top edited and lines added to its end.

    As root each student gets an OS user, in a namespace if there can be one. With `one_user` root lets
    somebody without rights start the hub.
    """
    folder = Path(tempfile.mkdtemp(prefix="kit-hub-"))
    folder.chmod(0o711)
    (folder / "class").mkdir()
    edits = {"PORT": free_ports(), "FOLDER": str(folder / "class"), **edits}
    config, log = folder / "jupyterhub_config.py", folder / "hub.log"
    config.write_text(edited(CONFIG.read_text(encoding="utf-8"), edits) + more, encoding="utf-8")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "KIT_HUB"))}
    passwords = {"KIT_HUB_PASSWORD": PASSWORD, "KIT_HUB_ADMIN_PASSWORD": ADMIN_PASSWORD}
    environment = {**keep, **passwords, "HOME": str(folder), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
    if one_user and os.geteuid() == 0:
        shutil.chown(folder / "class", NOBODY, NOBODY)
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    if can_hide():
        environment |= {"OPEN": " ".join(map(str, needed())), "CLOSED": " ".join(map(str, closed()))}
        (folder / "private").mkdir(0o711)
        command = ["unshare", "--mount", "sh", "-c", PRIVATE, str(folder / "private"), *command]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    certificate = edits.get("CERTIFICATE", "")
    address = f"{'https' if certificate else 'http'}://127.0.0.1:{edits['PORT']}"
    hub = Hub(process, address, folder / "class", log, certificate)
    try:
        wait_until(lambda: "JupyterHub is now running" in hub.text, 120, hub)
        yield hub
    finally:
        for left in hub.stop(signal.SIGTERM):
            left.kill()
        if os.geteuid() == 0 and not one_user and not can_hide():
            for home in folder.glob("class/homes/*"):
                subprocess.run(["userdel", home.name], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def edited(text: str, edits: dict[str, Any]) -> str:
    """Return the configuration with other values of some of the settings at its top."""
    for name, value in edits.items():
        if name in ("PORT", "KEY"):  # second on the line of another
            text, times = re.subn(rf"^(\w+, {name} = [^,]+, )\S+", rf"\g<1>{value!r}", text, flags=re.M)
        elif name in ("ADDRESS", "CERTIFICATE"):
            text, times = re.subn(rf"^({name}, \w+ = )[^,]+", rf"\g<1>{value!r}", text, flags=re.M)
        else:
            value = f"Path({value!r})" if name == "FOLDER" else repr(value)
            text, times = re.subn(rf"^{name} = .*", f"{name} = {value}", text, flags=re.M)
        assert times == 1, f"the configuration has no setting {name}"
    return text


def free_ports() -> int:
    """Return the first of three free ports in a row."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            for number in (port + 1, port + 2):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port


def wait_until(done: Any, seconds: float, hub: Hub) -> None:
    end = time.monotonic() + seconds
    while not done():
        if hub.process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"The hub did not get there:\n{hub.text}")
        time.sleep(0.1)


class Refused(Exception):
    """The hub did not let somebody in, or did not start a server."""


@dataclass
class Ran:
    """What a notebook's code cells did."""

    outputs: list[str] = field(default_factory=list)  # the text that each printed or returned
    failed: list[str] = field(default_factory=list)  # cells that raised and were not meant to
    first_reply: float = 0.0  # seconds from asking for a kernel to the first cell's reply
    seconds: float = 0.0  # and to the end of the last cell


class Student:
    """A browser: it keeps cookies, fills in the login form, follows redirects and waits for the server."""

    def __init__(self, hub: Hub, name: str, password: str) -> None:
        self.hub, self.name, self.password = hub, name, password
        self.ssl = ssl.create_default_context(cafile=hub.certificate or None)
        self.http = httpx.Client(
            base_url=hub.address, follow_redirects=True, timeout=180, verify=self.ssl, trust_env=False
        )
        self.base = f"/user/{name}/"

    def log_in(self) -> httpx.Response:
        """Send the login form; return the page that comes then."""
        form = self.http.get("/hub/login")
        action = re.search(r'<form action="([^"]*/hub/login[^"]*)"', form.text)
        token = re.search(r'name="_xsrf" value="([^"]*)"', form.text)
        if not (action and token):  # logged in already: the hub goes on to the server
            return form
        fields = {"username": self.name, "password": self.password, "_xsrf": token[1]}
        page = self.http.post(action[1].replace("&amp;", "&"), data=fields)
        if page.status_code == 403:
            raise Refused(page.text)
        return page

    def start(self, seconds: float = 180) -> httpx.Response:
        """Log in and wait, on the page that a browser shows meanwhile, until JupyterLab is there."""
        page = self.log_in()
        end = time.monotonic() + seconds
        while not page.url.path.startswith(self.base):
            if page.status_code >= 500 or "Spawn failed" in page.text or time.monotonic() > end:
                raise Refused(page.text)
            time.sleep(0.3)
            page = self.http.get(f"/hub/spawn-pending/{self.name}")
        page.raise_for_status()
        return page

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the student's own server."""
        return self._ask(method, self.base, path, **options)

    def hub_api(self, method: str, path: str) -> httpx.Response:
        """Ask the hub, as its pages do."""
        return self._ask(method, "/hub/", path)

    def stop(self, seconds: float = 60) -> None:
        """Stop the server, as the hub's control panel does."""
        self.hub_api("DELETE", f"users/{self.name}/server")
        end = time.monotonic() + seconds
        while self.hub_api("GET", f"users/{self.name}").json()["server"]:
            assert time.monotonic() < end
            time.sleep(0.2)

    def _ask(self, method: str, base: str, path: str, **options: Any) -> httpx.Response:
        tokens = {cookie.path: cookie.value for cookie in self.http.cookies.jar if cookie.name == "_xsrf"}
        headers = {"X-XSRFToken": tokens.get(base) or ""}
        answer = self.http.request(method, f"{base}api/{path}", headers=headers, **options)
        answer.raise_for_status()
        return answer

    def read(self, path: str) -> Any:
        return self.api("GET", f"contents/{path}").json()["content"]

    def write(self, path: str, text: str) -> None:
        self.api("PUT", f"contents/{path}", json={"type": "file", "format": "text", "content": text})

    @contextlib.contextmanager
    def kernel(self, path: str = LESSON) -> Iterator[Kernel]:
        """Start a kernel for a notebook, in the notebook's folder, as JupyterLab does."""
        body = {"path": path, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        session = self.api("POST", "sessions", json=body).json()
        kernel = Kernel(self, session["kernel"]["id"])
        try:
            yield kernel
        finally:
            kernel.socket.close()
            with contextlib.suppress(httpx.HTTPError):  # the test may have stopped it, or the hub
                self.api("DELETE", f"sessions/{session['id']}")

    def run(self, path: str = LESSON, then: Callable[[], Any] = lambda: None) -> Ran:
        """Open a notebook and run all its code cells in a kernel; `then` is done before the kernel ends."""
        notebook, ran = self.read(path), Ran()
        start = time.perf_counter()
        with self.kernel(path) as kernel:
            for cell in notebook["cells"]:
                if cell["cell_type"] != "code":
                    continue
                text, error = kernel.execute(cell["source"])
                ran.outputs.append(text)
                ran.first_reply = ran.first_reply or time.perf_counter() - start
                if error and "raises-exception" not in cell["metadata"].get("tags", []):
                    ran.failed.append(f"{cell['source']}\n{error}")
            ran.seconds = time.perf_counter() - start
            then()
        return ran


class Kernel:
    """A kernel at the other end of a websocket."""

    def __init__(self, student: Student, identity: str) -> None:
        import websocket

        address = f"{student.hub.address}{student.base}api/kernels/{identity}/channels"
        jar = student.http.cookies.jar
        self.socket = websocket.create_connection(
            address.replace("http", "ws", 1),
            cookie="; ".join(f"{one.name}={one.value}" for one in jar if student.base.startswith(one.path)),
            origin=student.hub.address,
            timeout=300,
            http_no_proxy=["127.0.0.1"],
            sslopt={"context": student.ssl},
        )

    def execute(self, code: str) -> tuple[str, str]:
        """Run code; return the text that came out, and the error or ''."""
        identity = uuid.uuid4().hex
        header = {"msg_id": identity, "username": "", "session": identity, "version": "5.3"}
        content = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": False}
        message = {"header": {**header, "msg_type": "execute_request"}, "parent_header": {}, "metadata": {}}
        self.socket.send(json.dumps({**message, "content": content, "channel": "shell"}))
        text, error, replied, idle = "", "", False, False
        while not (replied and idle):
            got = json.loads(self.socket.recv())
            if got.get("parent_header", {}).get("msg_id") != identity:
                continue
            kind, content = got["header"]["msg_type"], got["content"]
            if kind == "stream":
                text += content["text"]
            elif kind in ("execute_result", "display_data"):
                text += content["data"].get("text/plain", "")
            elif kind == "error":
                error = "\n".join(content["traceback"])
            elif kind == "execute_reply":
                replied = True
            elif kind == "status":
                idle = content["execution_state"] == "idle"
        return text, error
