"""What `python -m kit serve` looks at before it loads a model, and the entry that it prints.

test_class.py has the running server.
"""

import errno
import io
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import psutil
import pytest
import torch

from kit.classroom.serve import (
    BLOCK,
    address,
    announce,
    cache_blocks,
    check_memory,
    check_port,
    device_for,
    engine_settings,
    has_ended,
    kept_key,
    model_folder,
    read_options,
)
from kit.files import print_anywhere


@pytest.fixture
def model(tmp_path):
    """A folder that looks like a model of 100 MB."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(100_000_000)
    return folder


@pytest.fixture
def taken():
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_free_port_is_taken_as_it_is(taken):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert check_port("127.0.0.1", free) == free
    assert check_port("127.0.0.1", 0) not in (0, taken)


def test_a_port_in_use_is_named_and_another_one_proposed(taken):
    with pytest.raises(SystemExit, match=f"port {taken}: .*may be running there: .*--port {taken + 1}"):
        check_port("127.0.0.1", taken)


def test_a_port_that_the_system_keeps_for_itself_is_told_and_another_one_proposed(monkeypatch):
    """Windows does so with ranges of ports; the next one is mostly kept, too."""

    def refuse(address):
        raise PermissionError(errno.EACCES, "forbidden by its access permissions")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(SystemExit, match=r"permissions\. The system keeps .*--port 18000"):
        check_port("127.0.0.1", 8000)


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_refused_and_another_port_is_no_help(host):
    with pytest.raises(SystemExit, match=host) as refused:
        check_port(host, 8000)
    assert "--port" not in str(refused.value)


@pytest.mark.parametrize("port", [-1, 99999])
def test_a_port_that_cannot_be_one_is_refused(port):
    with pytest.raises(SystemExit, match=r"port must be 0-65535\.$"):
        check_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["", " "])
def test_an_empty_address_is_not_all_of_them(host):
    with pytest.raises(SystemExit, match="--host is empty"):
        check_port(host, 8000)


def test_a_folder_is_taken_as_it_is(model):
    assert model_folder(str(model)) == model


def test_without_a_name_it_is_the_model_of_the_lessons(local_model_folder):
    assert str(model_folder(None)) == local_model_folder


def test_a_name_is_fetched_from_the_hub_without_files_that_may_hold_code(model, monkeypatch, tmp_path):
    asked = {}

    def snapshot_download(name, local_dir, allow_patterns):
        asked.update(name=name, patterns=allow_patterns)
        shutil.copytree(model, local_dir)

    monkeypatch.setenv("KIT_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert model_folder("someone/a-model") == tmp_path / "models" / "a-model"
    assert asked["name"] == "someone/a-model"
    assert not [p for p in asked["patterns"] if p.endswith((".bin", ".pt", ".py", ".pkl", "*"))]


@pytest.mark.parametrize("name", ["someone/a-model", "not a name/at all/!", "./missing"])
def test_a_model_that_nobody_gives_is_one_line(name, monkeypatch, tmp_path):
    monkeypatch.setenv("KIT_MODELS", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SystemExit, match="nor does the model hub give it: .") as refused:
        model_folder(name)
    assert "\n" not in str(refused.value)


def without(name):
    return lambda model: (model / name).unlink()


def damaged(name):
    return lambda model: (model / name).write_text("{")


def unsafe(model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without("config.json"), r"no config\.json"),
        (damaged("config.json"), r"no config\.json"),
        (unsafe, "may hold code"),
        (without("tokenizer.json"), "no tokenizer"),
        (without("chat_template.jinja"), "no chat template"),
    ],
    ids=["no config", "damaged config", "unsafe", "no tokenizer", "no chat template"],
)
def test_a_folder_that_can_not_be_served_is_refused_before_it_is_loaded(model, change, why):
    change(model)
    with pytest.raises(SystemExit, match=why):
        model_folder(str(model))


@pytest.mark.parametrize("name", ["a@b", "a:b.gguf"])
def test_a_folder_whose_name_the_engine_would_take_apart_is_refused(model, name):
    if os.name == "nt" and ":" in name:
        pytest.skip("not a folder's name there")
    with pytest.raises(SystemExit, match="Rename it"):
        model_folder(str(model.rename(model.with_name(name))))


def test_too_little_memory_is_said_in_numbers(model, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=700_000_000))
    with pytest.raises(SystemExit, match=r"about 1\.6 GB of memory, and 0\.7 GB are free"):
        check_memory(model)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2_000_000_000))
    check_memory(model)


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("KIT_CLASS_KEY", raising=False)
    first = kept_key("class")
    assert first == kept_key("class")
    assert len(first) >= 12
    file = tmp_path / "models" / ".class-key"
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.unlink()
    assert kept_key("class") != first


def test_a_key_that_was_written_with_windows_editor_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_MODELS", str(tmp_path))
    monkeypatch.delenv("KIT_CLASS_KEY", raising=False)
    (tmp_path / ".class-key").write_bytes(b"\xef\xbb\xbfour-room\r\n")
    assert kept_key("class") == "our-room"


def test_a_key_of_ones_own_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_MODELS", str(tmp_path))
    monkeypatch.setenv("KIT_CLASS_KEY", "our-room")
    assert kept_key("class") == "our-room"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["our room", "schlüssel", "key\n", " "])
def test_a_key_that_no_client_can_send_is_refused(key, tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_MODELS", str(tmp_path))
    monkeypatch.setenv("KIT_CLASS_KEY", key)
    with pytest.raises(SystemExit, match="key in KIT_CLASS_KEY"):
        kept_key("class")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"two words"])
def test_a_damaged_file_of_the_key_is_named(content, tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_MODELS", str(tmp_path))
    monkeypatch.delenv("KIT_CLASS_KEY", raising=False)
    (tmp_path / ".class-key").write_bytes(content)
    with pytest.raises(SystemExit, match="class-key"):
        kept_key("class")


def test_a_key_that_cannot_be_kept_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KIT_MODELS", str(tmp_path / "file"))
    monkeypatch.delenv("KIT_CLASS_KEY", raising=False)
    with pytest.raises(SystemExit, match="KIT_CLASS_KEY=") as refused:
        kept_key("class")
    assert "\n" not in str(refused.value)


SMALL = SimpleNamespace(
    num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, head_dim=64, hidden_size=576
)
LARGE = SimpleNamespace(num_hidden_layers=24, num_attention_heads=32, hidden_size=2048)  # 1.7B


@pytest.mark.parametrize(
    ("config", "gigabytes", "requests"), [(SMALL, 20, 8), (SMALL, 0.5, 1), (LARGE, 10, 2), (LARGE, 1, 1)]
)
def test_the_cache_always_has_room_for_the_longest_request(config, gigabytes, requests):
    """Or that request would end the engine: 5 % of a laptop's memory was less."""
    assert cache_blocks(config, 2, 2304, gigabytes * 1e9) // 73 == requests


def test_a_request_for_which_there_is_no_memory_is_told_before_anything_is_loaded():
    with pytest.raises(SystemExit, match=r"\(2,304 tokens\) needs 0\.5 GB.*--max-prompt-tokens"):
        cache_blocks(LARGE, 2, 2304, 0.4e9)


# The device


@pytest.fixture
def gpu(monkeypatch):
    """Let torch find a GPU of some kind."""

    def install(kind):
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device(kind))
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3_000_000_000, 4_000_000_000))

    return install


@pytest.mark.parametrize(
    ("kind", "wanted", "device"),
    [
        ("mps", None, "cpu"),  # continuous batching is slow there
        ("mps", "mps", "mps"),
        ("mps", "cpu", "cpu"),
        ("cuda", None, "cuda"),
        ("cuda", "cuda:0", "cuda:0"),
        ("cuda", "cpu", "cpu"),
    ],
)
def test_the_device_is_the_wanted_one_else_the_fastest_but_never_a_macs_gpu(gpu, kind, wanted, device):
    gpu(kind)
    assert device_for(wanted) == device


def test_a_device_that_is_not_there_is_one_line(monkeypatch, gpu):
    gpu("mps")
    with pytest.raises(SystemExit, match=r"no device 'cuda' here, only mps, cpu, mps:0\. Change --device"):
        device_for("cuda")


@pytest.mark.parametrize(
    ("kind", "wanted"), [("mps", None), ("mps", "mps"), ("cuda", "cuda"), ("cuda", "cpu")]
)
def test_the_cache_is_small_on_every_device(gpu, kind, wanted, local_model_folder):
    """By default it takes most of the memory."""
    gpu(kind)
    read = read_options(["--device", wanted] if wanted else [])
    settings = engine_settings(Path(local_model_folder), read)
    assert settings["device"] == (wanted or "cpu")
    tokens, block = settings["cache"]
    assert block == BLOCK
    assert 1 <= tokens / 2304 < 9


def test_what_a_gpu_has_no_room_for_is_told_before_anything_is_loaded(gpu, monkeypatch, local_model_folder):
    gpu("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1_000_000_000, 4_000_000_000))
    with pytest.raises(SystemExit, match="the longest request"):
        engine_settings(Path(local_model_folder), read_options([]))


# What is printed


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_entry_is_printed_whatever_the_console_can_show(encoding, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, newline=""))
    print_anywhere()
    announce(1.5, read_options([]), ("class-1", "teacher-1"), batches=True)
    text = written.getvalue().decode(encoding)
    assert text.startswith(f"{'✔' if encoding == 'utf-8' else '?'} Ready: the first reply took 1.5 s.")
    assert '"api_key": "class-1"' in text
    assert "/class?key=teacher-1" in text


# Who started it


def test_the_one_that_started_it_is_known_and_its_end_is_seen():
    """It is asked for a program that python -m kit serve started, and for one that nobody did."""
    program = "from kit.classroom.serve import started_by as by; print(getattr(by(), 'pid', None))"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"
    command = [sys.executable, "-c", starts]
    with subprocess.Popen([*command, "-m", "kit", "serve"], stdout=subprocess.PIPE, text=True) as starter:
        process = psutil.Process(starter.pid)
        assert not has_ended(process)
        known = int(starter.stdout.read())
        assert known == starter.pid or os.name == "nt"  # where a venv's python.exe starts another one
        for _ in range(100):
            if has_ended(process):  # though nobody has waited for it yet
                break
            time.sleep(0.05)
        assert has_ended(process)
    assert has_ended(process)
    assert subprocess.check_output(command, text=True) == "None\n"


def test_the_entry_names_an_address_that_others_can_reach(capsys):
    announce(1.5, read_options(["--host", "0.0.0.0"]), ("class-1", "teacher-1"), batches=True)
    assert "0.0.0.0:" not in capsys.readouterr().out
    assert address("192.0.2.7") == "192.0.2.7"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--temperature", "1.5"], "from 0 to 1"),
        (["--temperature", "hot"], "--temperature"),
        (["--top-p", "-1"], "from 0 to 1"),
        (["--threads", "0"], "at least 1"),
        (["--max-tokens", "-5"], "at least 1"),
        (["--max-prompt-tokens", "many"], "--max-prompt-tokens"),
        (["--modle", "x"], "unrecognized"),
    ],
)
def test_options_that_cannot_be_are_refused(given, why, capsys):
    with pytest.raises(SystemExit):
        read_options(given)
    assert why in capsys.readouterr().err


def test_without_options_it_serves_this_machine_alone_and_leaves_a_core_free():
    read = read_options([])
    assert (read.host, read.port, read.temperature) == ("127.0.0.1", 8000, 0)
    assert 1 <= read.threads <= max(1, os.cpu_count() - 1)


@pytest.mark.parametrize(("encoding", "sign"), [("utf-8", "✘"), ("ascii", "?"), ("cp1252", "?")])
def test_what_is_wrong_is_one_line_and_comes_before_anything_is_loaded(taken, model, encoding, sign):
    """With torch made unimportable: what can be seen without it is looked at first."""
    (model / "torch.py").write_text("raise SystemExit('torch was imported')")
    command = [sys.executable, "-m", "kit.classroom.serve", "--port", str(taken), "--model", str(model)]
    path = os.pathsep.join(filter(None, [str(model), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, encoding=encoding, env=environment, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{sign} Can't listen on 127.0.0.1, port {taken}")
    assert len(done.stderr.splitlines()) == 1


SLOWER = pytest.param("model.safetensors", marks=pytest.mark.slow)  # seconds of imports before it is found


@pytest.mark.parametrize("broken", ["config.json", SLOWER, "tokenizer.json"])
def test_a_model_that_can_not_be_loaded_is_one_line(broken, local_model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(local_model_folder, folder)
    (folder / broken).write_text('{"model_type": "unknown"}')
    command = [sys.executable, "-m", "kit.classroom.serve", "--port", "0", "--model", str(folder)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("✘ The model can't be loaded: ")
    assert "Traceback" not in done.stderr
