"""The virtual environment that the commands make: once, from which files, with or without torch."""

import ast
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kit import environment as kit_environment
from kit.models import NAME, no_torch

RUN = kit_environment._run
RAN = {}
PYTHON = Path(".venv", "Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A new virtual environment, to be copied: making one takes seconds."""
    folder = tmp_path_factory.mktemp("bare") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch, bare):
    """A project of its own whose requirements are small packages; RAN keeps what was run to fill it."""
    files = {
        "requirements.txt": "-r kit/requirements.txt\nsix==1.16.0\n",
        "kit/requirements.txt": "idna==3.10\n",
        "kit/adapters/requirements.txt": "pluggy==1.6.0\n",
        "tests/requirements.txt": "iniconfig==2.3.0\n",
        "notebooks/classroom/requirements.txt": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    ran = []

    def run(what, command, log, env):
        if command[1:3] == ["-m", "venv"]:
            if not Path(command[3], "pyvenv.cfg").exists():  # else venv, too, leaves what was installed
                shutil.copytree(bare, command[3], symlinks=True, dirs_exist_ok=True)
            return True
        ran.append(command[2:])
        return RUN(what, command, log, env)

    monkeypatch.setattr(kit_environment, "_run", run)
    monkeypatch.setattr(kit_environment, "ROOT", tmp_path)
    monkeypatch.setattr(kit_environment, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(kit_environment, "UV", "uv-is-not-there==0")  # pip is what every Python has
    monkeypatch.setattr(kit_environment, "no_torch", lambda: "")
    (tmp_path / "models" / NAME).mkdir(parents=True)
    monkeypatch.setenv("KIT_MODELS", str(tmp_path / "models"))
    RAN[tmp_path] = ran
    return tmp_path


def installed(project, *names):
    """Return the versions of some packages in a project's environment; None for one that is not there."""
    program = "import importlib.metadata as m; print({d.name: d.version for d in m.distributions()})"
    found = ast.literal_eval(subprocess.check_output([str(project / PYTHON), "-c", program], text=True))
    return [found.get(name) for name in names]


def files_of(project, command, **options):
    """Return the files that a command installed."""
    ran = RAN[project]
    del ran[:]
    kit_environment.environment(command, **options)
    return [command[3::2] for command in ran if command[:2] == ["pip", "install"] and "-r" in command]


def test_the_environment_is_made_once_and_again_after_a_file_changed(project):
    assert files_of(project, "start") == [["requirements.txt"]]
    assert installed(project, "idna", "six", "iniconfig") == ["3.10", "1.16.0", None]
    assert files_of(project, "start") == []

    (project / "kit" / "requirements.txt").write_text("idna==3.11\n")  # which the other reads
    assert files_of(project, "start") == [["requirements.txt"]]
    assert installed(project, "idna") == ["3.11"]


def test_without_torch_until_it_is_asked_for(project, capsys):
    assert files_of(project, "start", light=True) == [["kit/requirements.txt"]]
    assert installed(project, "idna", "six") == ["3.10", None]
    assert files_of(project, "start") == []
    assert "This set-up has no torch" in capsys.readouterr().out
    assert files_of(project, "start", light=False) == [["requirements.txt"]]
    assert installed(project, "idna", "six") == ["3.10", "1.16.0"]
    capsys.readouterr()
    assert files_of(project, "start") == []
    assert capsys.readouterr().out == ""


def test_where_torch_has_no_wheels_it_is_left_out_and_why_is_told(project, monkeypatch, capsys):
    monkeypatch.setattr(kit_environment, "no_torch", lambda: "it has no wheels for toasters.")
    assert files_of(project, "start") == [["kit/requirements.txt"]]
    said = capsys.readouterr().out
    assert "it has no wheels for toasters." in said and "--full" not in said
    with pytest.raises(SystemExit, match="needs torch .* toasters"):
        kit_environment.environment("serve")


MACHINES = {
    ("linux", "x86_64", "x86_64-pc-linux-gnu", ""): "",
    ("linux", "aarch64", "aarch64-unknown-linux-gnu", ""): "",
    ("darwin", "arm64", "", "14.2"): "",
    ("win32", "win-amd64", "", ""): "",
    ("linux", "x86_64", "x86_64-alpine-linux-musl", ""): "musl",
    ("linux", "armv7l", "arm-unknown-linux-gnueabihf", ""): "armv7l",
    ("darwin", "x86_64", "", "14.2"): "Intel",
    ("darwin", "arm64", "", "13.6"): "macOS 14",
    ("win32", "win-arm64", "", ""): "Windows on ARM",
}


@pytest.mark.parametrize(("machine", "why"), MACHINES.items(), ids=str)
def test_for_which_machines_torch_has_wheels(monkeypatch, machine, why):
    system, processor, host, macos = machine
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    monkeypatch.setattr(platform, "mac_ver", lambda: (macos, ("", "", ""), processor))
    monkeypatch.setattr("sysconfig.get_platform", lambda: processor)  # on Windows, that of the Python
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: host)
    assert why in no_torch()
    assert bool(why) == bool(no_torch())


def test_a_32_bit_python_is_told(monkeypatch):
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert "32-bit" in no_torch()


def test_the_tests_add_their_packages_to_what_start_made_and_start_leaves_them(project):
    files_of(project, "start")
    added = [
        "tests/requirements.txt",
        "kit/adapters/requirements.txt",
        "notebooks/classroom/requirements.txt",
    ]
    assert files_of(project, "test") == [added]
    assert installed(project, "six", "iniconfig", "pluggy") == ["1.16.0", "2.3.0", "1.6.0"]
    assert files_of(project, "start") == files_of(project, "test") == []

    (project / "tests" / "requirements.txt").write_text("iniconfig==2.3.1\n")
    assert files_of(project, "start") == []
    assert files_of(project, "test") == [added[:1]]


def test_uv_is_taken_where_it_can_be_had(project, monkeypatch):
    """A package with a module `uv` stands for it, which notes how it was called and installs nothing."""
    package = project / "wheels" / "uv"
    package.mkdir(parents=True)
    (package / "pyproject.toml").write_text('[project]\nname = "uv"\nversion = "1.0"\n')
    (package / "uv.py").write_text("import sys; open('called', 'w').write(' '.join(sys.argv[1:]))")
    monkeypatch.setattr(kit_environment, "UV", str(package))
    kit_environment.environment("start")
    called = (project / "called").read_text().split()
    assert called[:3] == ["pip", "install", "--python"]
    assert called[-2:] == ["-r", "requirements.txt"]
    assert installed(project, "six") == [None]  # that was uv's to do


def test_pips_settings_are_uvs(project, monkeypatch):
    files_of(project, "start", light=True)
    settings = {"PIP_INDEX_URL": "http://mirror/simple", "PIP_FIND_LINKS": "/a stick", "PIP_NO_INDEX": "1"}
    python = project / PYTHON
    found = kit_environment.as_uv_has_it(python, {"PIP_CONFIG_FILE": os.devnull, **settings})
    assert found["UV_DEFAULT_INDEX"] == "http://mirror/simple"
    assert found["UV_FIND_LINKS"] == "/a stick"
    assert found["UV_NO_INDEX"] == "1"
    kept = kit_environment.as_uv_has_it(python, {**settings, "UV_DEFAULT_INDEX": "http://mine"})
    assert "UV_DEFAULT_INDEX" not in kept  # who has set uv's own is left alone


def test_what_can_not_be_installed_is_told_with_its_log_and_tried_again_next_time(project, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project))
    for _ in range(2):
        with pytest.raises(SystemExit) as caught:
            kit_environment.environment("start")
        said = str(caught.value)
        assert "No matching distribution found for idna==3.10" in said
        assert "Set-up stopped: Installing about 2 GB failed" in said
        log = Path(said.partition("failed; ")[2].partition(" has all of it")[0])
        assert "pip install -r requirements.txt" in log.read_text()


def test_paths_that_windows_does_not_take_are_noticed_before_anything_is_installed(project, monkeypatch):
    deep = project / ("d" * 200) / ".venv"
    monkeypatch.setattr(kit_environment, "ENVIRONMENT", deep)
    monkeypatch.setattr(kit_environment.os, "name", "nt")
    monkeypatch.setattr(kit_environment, "_takes_long_paths", lambda: False)
    with pytest.raises(SystemExit, match="too deep.* characters long"):
        kit_environment._refuse_long_paths()
    monkeypatch.setattr(kit_environment, "_takes_long_paths", lambda: True)
    kit_environment._refuse_long_paths()


def test_with_from_all_comes_from_there_lesson_09s_packages_too_and_then_it_may_be_gone(project, monkeypatch):
    used = []

    def source():
        used.append("stick")
        return {"PIP_NO_INDEX": "0"}

    assert files_of(project, "start", source=source) == [
        ["requirements.txt", "kit/adapters/requirements.txt"]
    ]
    assert used == ["stick"]
    assert installed(project, "pluggy", "six") == ["1.6.0", "1.16.0"]
    assert files_of(project, "start", source=source) == []


def test_the_model_is_fetched_before_nbval_compares_what_is_printed(project, monkeypatch):
    files_of(project, "test")
    (project / "models" / NAME).rmdir()
    ran = []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: ran.append(command[2]))
    kit_environment.environment("start")
    assert ran == []
    kit_environment.environment("test")
    assert ran == ["import kit; kit.local_model()"]  # where it fails, the tests tell


def test_a_stick_whose_model_can_not_be_had_stops_the_set_up(project, monkeypatch):
    files_of(project, "test")
    (project / "models" / NAME).rmdir()
    monkeypatch.setattr(subprocess, "run", lambda command, **options: SimpleNamespace(returncode=1))
    with pytest.raises(SystemExit, match="the model can't be had from there"):
        kit_environment.environment("start", source=lambda: {"PIP_NO_INDEX": "1"})


@pytest.mark.slow
def test_an_environment_that_was_moved_along_with_its_folder_is_made_anew(project, monkeypatch):
    """Scripts in a virtual environment hold its full path."""
    monkeypatch.setattr(kit_environment, "_run", RUN)
    for file in (project / "requirements.txt", project / "kit" / "requirements.txt"):
        file.write_text("")
    before = Path(kit_environment.environment("start")).parents[1] / "kit-requirements.sha256"
    old = before.read_text()
    moved = project.rename(project.with_name("moved"))
    monkeypatch.setattr(kit_environment, "ROOT", moved)
    monkeypatch.setattr(kit_environment, "ENVIRONMENT", moved / ".venv")
    python = Path(kit_environment.environment("start"))
    assert (python.parents[1] / "kit-requirements.sha256").read_text() != old
    assert str(moved) in (python.parents[1] / "pyvenv.cfg").read_text()
