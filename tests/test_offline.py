"""A class without a network: all is gathered into a folder, and set up from it where no network is."""

import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kit import offline
from kit.models import NAME

ROOT = Path(__file__).resolve().parents[1]
# Brings up the loopback device of a new network namespace (kernels talk over it), and runs a command there.
WITHOUT_NETWORK = """
import fcntl, os, socket, struct, sys
with socket.socket() as device:
    fcntl.ioctl(device, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def stick(tmp_path, monkeypatch):
    """A gathered folder without wheels, a project to copy the model into, and no pip settings."""
    folder = tmp_path / "a stick"
    (folder / "wheels").mkdir(parents=True)
    (folder / "models" / NAME).mkdir(parents=True)
    (folder / "models" / NAME / "config.json").write_text("{}")
    (folder / offline.MADE_FOR).write_text(json.dumps(offline.machine()))
    monkeypatch.setenv("KIT_MODELS", str(tmp_path / "models"))
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST"):
        monkeypatch.setenv(name, "")  # so that what `use` sets is undone after the test
    return folder


@pytest.fixture
def without_network():
    """Return the words before a command that let it run without a network."""
    unshare = shutil.which("unshare")
    if not unshare:
        pytest.skip("there is no unshare here, which takes the network from a program")
    own_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    words = [unshare, *own_root, "--net", sys.executable, "-c", WITHOUT_NETWORK]
    probe = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=5)"
    tried = subprocess.run([*words, sys.executable, "-c", probe], capture_output=True, text=True)
    if "Network is unreachable" not in tried.stderr:
        pytest.skip(f"this machine takes the network from no program: {tried.stderr[-200:]}")
    return words


def test_pip_is_told_to_take_everything_from_the_folder(stick, tmp_path):
    offline.use(str(stick))
    assert os.environ["PIP_NO_INDEX"] == "1"
    # pip splits the value at blanks
    assert os.environ["PIP_FIND_LINKS"] == f"{stick.as_uri()}/wheels/".replace(" ", "%20")
    assert (tmp_path / "models" / NAME / "config.json").is_file()


def test_a_model_that_is_there_is_left_alone(stick, tmp_path):
    (tmp_path / "models" / NAME).mkdir(parents=True)
    offline.use(str(stick))
    assert list((tmp_path / "models" / NAME).iterdir()) == []


def test_a_copy_that_breaks_off_leaves_no_model_behind(stick, tmp_path, monkeypatch):
    def copytree(source, target):
        target.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copytree", copytree)
    with pytest.raises(KeyboardInterrupt):
        offline.use(str(stick))
    assert list((tmp_path / "models").iterdir()) == []


def test_the_folder_may_be_on_a_web_server_in_the_room(stick, monkeypatch):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=stick)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        offline.use(f"{address}/")
        server.shutdown()
    assert os.environ["PIP_FIND_LINKS"] == f"{address}/wheels/"
    assert os.environ["PIP_TRUSTED_HOST"] == "127.0.0.1"


@pytest.mark.parametrize("source", ["missing", "http://127.0.0.1:9", ""])
def test_a_folder_that_is_none_of_ours_is_one_line(source, folder):
    with pytest.raises(SystemExit, match=r"has no made_for\.json, so it is not"):
        offline.use(source)


def test_a_folder_for_another_kind_of_machine_is_refused(stick):
    (stick / offline.MADE_FOR).write_text('{"system": "Plan9", "processor": "mips", "python": "3.11"}')
    with pytest.raises(SystemExit, match=r"gathered for Plan9 mips 3\.11, and this is .* Gather it on"):
        offline.use(str(stick))


def test_a_wheel_that_is_missing_is_told_by_pip_and_by_us(stick, tmp_path):
    """The real command, on a copy of the kit without an environment."""
    kit = tmp_path / "kit"
    kit.mkdir()
    shutil.copytree(ROOT / "kit", kit / "kit", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("requirements.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, kit)
    command = [sys.executable, "-m", "kit", "start", "--from", str(stick), "--version"]
    done = subprocess.run(command, cwd=kit, capture_output=True, text=True)
    assert done.returncode == 1
    assert "No matching distribution found for" in done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith("Set-up stopped: -m pip install failed")


def test_gathering_that_fails_leaves_a_folder_that_is_not_taken_for_complete(tmp_path):
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    command = [sys.executable, "-m", "kit.offline", str(tmp_path / "stick")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "✘ Gathering stopped: pip failed, see above." in done.stderr
    with pytest.raises(SystemExit, match="run it again"):
        offline.use(str(tmp_path / "stick"))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["one", "two"]])
def test_without_one_folder_gathering_says_how(arguments):
    command = [sys.executable, "-m", "kit.offline", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "Usage: python -m kit gather FOLDER\n")


def test_all_is_gathered_and_a_laptop_without_a_network_is_set_up_from_it(
    local_model_folder, without_network, tmp_path
):
    """The whole way: gather, copy the kit, set it up and run the first lesson, the network switched off."""
    stick, laptop = tmp_path / "a stick", tmp_path / "laptop"
    subprocess.run([sys.executable, "-m", "kit.offline", str(stick)], cwd=ROOT, check=True)
    assert not list((stick / "wheels").glob("*.zip"))  # the kit itself, with whatever lies in its folder
    ignored = shutil.ignore_patterns(".*", "__pycache__", "models", "node_modules")
    shutil.copytree(ROOT, laptop, ignore=ignored)

    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "KIT_"))}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    run = functools.partial(subprocess.run, cwd=laptop, env=environment, check=True, text=True)
    kit = [sys.executable, "-m", "kit", "start"]
    run([*without_network, *kit, "--from", str(stick), "--version"])
    shutil.rmtree(stick)  # the stick is pulled out

    again = run([*without_network, *kit, "--version"], capture_output=True)
    assert "Setting up" not in again.stdout
    python = str(laptop / ".venv" / "bin" / "python")  # Linux: elsewhere there is no unshare
    lesson = ["nbconvert", "--execute", "--to", "markdown", "--stdout", "notebooks/00_start_here.ipynb"]
    told = run([*without_network, python, "-m", *lesson], capture_output=True).stdout
    assert "The capital of France is Paris." in told
    assert "Fetching" not in told
