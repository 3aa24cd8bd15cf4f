"""One model for the whole class: `python -m kit serve`.

The engine (engine.py) computes replies of many students together, the gate (gate.py) says who may come in.
This module starts them: settings that were measured (how long a class waits is in notebooks/INSTRUCTOR.md), a
look at port and memory first, a warm-up, and the entry for the students' config lists.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import logging
import logging.handlers
import math
import os
import queue
import re
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import httpx
import psutil
import uvicorn

from kit.classroom import paste
from kit.classroom.board import Board
from kit.classroom.gate import CHAT, CLASS, Gate
from kit.classroom.request import Rules
from kit.files import print_anywhere, write_atomically
from kit.models import SHARED, ModelDownloadError, local_model, look_into, models_folder

logger = logging.getLogger(__name__)

RUNTIME = 1.5e9  # bytes: PyTorch, the engine and its cache beside the weights (measured: 1.1 to 1.7 GB)
# Tokens; a system message that all share is computed once, as far as it fills blocks of this size. With the
# default, a class with AutoGen's long system message waited three times as long.
BLOCK = 32
TOLD = 300  # tenths of a second after which the terminal tells how the class is doing, if it does anything
ROOM = 8  # requests of the longest kind that the cache holds at the same time; the others wait


def main() -> None:
    """Check, load, warm up, say where the server is, and serve until Ctrl-C or SIGTERM."""
    print_anywhere()
    options = read_options()
    # Before torch is imported, which reads it. One core stays free for whatever else the machine does:
    # beside one busy program a reply took three times as long with all of them.
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does, in all that follows
    starter = started_by()
    try:
        options.port = check_port(options.host, options.port)
        folder = model_folder(options.model)
        check_memory(folder)
        keys = kept_key("class"), kept_key("teacher")
        print(f"Loading {folder.name} ...", flush=True)
        os.environ["HF_HUB_OFFLINE"] = "1"  # nothing may wait for a network from here on
        # Imports of large packages swallow an exception.
        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        server = ClassServer(folder, options, keys, starter)
        for number, handler in before.items():
            signal.signal(number, handler)
    except KeyboardInterrupt:
        interrupt()
    except ModelDownloadError as problem:
        stop(str(problem))
    except Exception as error:
        stop(f"The model can't be loaded: {type(error).__name__}: {_first_line(error)}")
    log_from_a_thread()
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has closed everything, and hands the signal on
        server.run()
    if server.problem:
        stop(server.problem)
    with contextlib.suppress(OSError):  # nobody reads it any more, as behind `| head`
        print("The server has stopped. Start it again: key and entries stay valid.", flush=True)


def started_by() -> psutil.Process | None:
    """Return the `python -m kit serve` that started this program, if one did.

    The server ends with it, however that ends: killed, it can't tell anybody, and on Windows nothing else
    would end what it started. There, the virtual environment's python.exe stands between the two.
    """
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().parents()[:2]:
            if {"-m", "kit", "serve"} <= set(process.cmdline()):
                return process
    return None


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def interrupt(*_: Any) -> NoReturn:
    print("The server was stopped before it was ready.", file=sys.stderr, flush=True)
    os._exit(1)


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    def count(text: str) -> int:
        if (value := int(text)) < 1:
            raise argparse.ArgumentTypeError("has to be at least 1")
        return value

    def share(text: str) -> float:
        if not 0 <= (value := float(text)) <= 1:  # AutoGen allows no temperature above 1 either
            raise argparse.ArgumentTypeError("has to be from 0 to 1")
        return value

    parser = argparse.ArgumentParser(prog="python -m kit serve", description=main.__doc__)
    add = parser.add_argument
    add("--model", help="folder, or name on the hub (default: the small one of the lessons)")
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for the whole room (%(default)s)")
    add("--port", type=int, default=8000, help="0 for any that is free (%(default)s)")
    add("--temperature", type=share, default=0.0, help="of all replies; 0: the likeliest words (%(default)s)")
    add("--top-p", type=share, default=1.0, help="of all replies (%(default)s)")
    add("--max-tokens", type=count, default=256, help="the most that one reply may have (%(default)s)")
    add("--max-prompt-tokens", type=count, default=2048, help="the most that a prompt may have (%(default)s)")
    cores = os.cpu_count() or 2
    add("--threads", type=count, default=max(1, cores - 1), help="cores to use (all but one: %(default)s)")
    add("--device", help="cpu, cuda, mps (default: cuda where there is one, else cpu; mps is slow at this)")
    add("--one-by-one", action="store_true", help="no continuous batching, to see what it is good for")
    return parser.parse_args(arguments)


# What is looked at before anything is loaded; each of these stops the program where it fails


def stop(why: str) -> NoReturn:
    """End the program with one line that says why, and what to do."""
    sys.exit(f"✘ {why}")


def check_port(host: str, port: int) -> int:
    """Try the address; return the port, for 0 any that is free."""
    if not host.strip():
        stop("--host is empty. For the whole room: --host 0.0.0.0")
    try:
        with socket.create_server((host, port)) as probe:
            return probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        why = str(getattr(error, "strerror", None) or error).partition(" (while")[0].rstrip(".")
        what = f"Can't listen on {host}, port {port}: {why}."
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            what += f" Another server may be running there: stop it, or take --port {port + 1}."
        if getattr(error, "errno", None) == errno.EACCES:  # on Windows whole ranges, for virtual machines
            what += f" The system keeps that port for itself: take another, as --port {port + 10000}."
        stop(what)


def model_folder(name: str | None) -> Path:
    """Return the folder of a model: the lessons' small one, a folder, or a name on the model hub.

    A model of the hub is fetched to where the small one is: weights as safetensors only (no code in them).
    """
    folder = Path(name or local_model()).expanduser().resolve()
    if name and not folder.is_dir():
        from huggingface_hub import snapshot_download

        folder = models_folder().resolve() / Path(name).name
        wanted = ["*.json", "*.jinja", "*.model", "*.safetensors", "*.txt"]
        try:
            snapshot_download(name, local_dir=folder, allow_patterns=wanted)
        except Exception as error:
            why = _first_line(error)
            stop(f"{name} isn't a folder here, nor does the model hub give it: {why}")
    model = look_into(folder)
    for wrong, why in (
        (not model.config, "it has no config.json that can be read"),
        (not model.weights, "it has no weights as .safetensors, and other formats may hold code"),
        (not model.has_tokenizer, "it has no tokenizer"),
        (not model.has_chat_template, "it has no chat template. Take a model made for chats (-Instruct)"),
        (re.search("[@:]", folder.name), "the engine takes @ and : in its name for its own. Rename it"),
    ):
        if wrong:
            stop(f"{folder} can't be served: {why}.")
    return folder


def check_memory(folder: Path) -> None:
    """Compare the free memory with what the model will take."""
    free = psutil.virtual_memory().available
    wanted = RUNTIME + look_into(folder).weights
    if free < wanted:
        stop(
            f"{folder.name} needs about {wanted / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. "
            "Close other programs, or take a smaller model."
        )


def kept_key(whose: str) -> str:
    """Return the key of the class or the teacher: `KIT_CLASS_KEY`, `KIT_TEACHER_KEY`, or one made and kept.

    A server that is started again has the same keys, so that nobody's entry has to change. The files are
    readable by their owner alone; delete one to get a new key.
    """
    variable = f"KIT_{whose.upper()}_KEY"
    file, key = models_folder() / f".{whose}-key", os.environ.get(variable, "")
    source = variable if key else file
    try:
        if not key and not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, f"{whose}-{secrets.token_hex(6)}")
        key = key or file.read_text(encoding="utf-8-sig").strip()  # an editor may have put a BOM before it
    except (OSError, UnicodeError) as error:
        stop(f"The key can't be kept in {file}: {error}. Choose one: {variable}=...")
    if not re.fullmatch("[!-~]+", key):  # it travels in a line of HTTP
        stop(f"The key in {source} may have letters, digits and signs of ASCII, and no spaces.")
    return key


# The engine and its server


def device_for(wanted: str | None) -> str:
    """Return the device to compute on.

    On a Mac that is the CPU, unless somebody wants it otherwise: with torch before 2.14, continuous batching
    on its GPU (mps) is slow and takes much memory, as the engine itself warns.
    """
    import torch

    kind = getattr(torch.accelerator.current_accelerator(check_available=True), "type", "cpu")
    if not wanted:
        return "cpu" if kind == "mps" else kind
    count = 0 if kind == "cpu" else torch.accelerator.device_count()
    there = dict.fromkeys([kind, "cpu", *(f"{kind}:{index}" for index in range(count))])
    if wanted not in there:
        stop(f"There is no device {wanted!r} here, only {', '.join(there)}. Change --device.")
    return wanted


def free_memory(device: str) -> float:
    """Return the free bytes of a device; a Mac's GPU has its memory with the CPU."""
    import torch

    module = getattr(torch, device.partition(":")[0])
    if hasattr(module, "mem_get_info"):
        return module.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def engine_settings(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return device, kind of numbers and cache for an engine here; limit prompts to what the model reads."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder).get_text_config()
    if window := getattr(config, "max_position_embeddings", None):
        if window <= options.max_tokens:
            stop(f"{folder.name} reads {window:,} tokens: take a smaller --max-tokens.")
        options.max_prompt_tokens = min(options.max_prompt_tokens, window - options.max_tokens)
    device, cpu = device_for(options.device), torch.cpu.get_capabilities()
    # A CPU without bfloat16 instructions takes four times as long to read a prompt in bfloat16.
    slow = device == "cpu" and not (cpu.get("avx512_bf16") or cpu.get("bf16"))
    dtype = "float32" if slow else "auto"
    width = 4 if "float32" in (dtype, str(config.dtype).removeprefix("torch.")) else 2
    free = free_memory(device) - RUNTIME / 2 - look_into(folder).weights
    blocks = cache_blocks(config, width, options.max_prompt_tokens + options.max_tokens, free)
    return {
        "device": device,
        "dtype": dtype,
        "sampling": {"temperature": options.temperature, "top_p": options.top_p},
        "cache": None if options.one_by_one else (blocks * BLOCK, BLOCK),
    }


def cache_blocks(config: Any, width: int, longest: int, free: float) -> int:
    """Return how many blocks the cache is to have, for a model's config and the bytes of one number in it.

    By default it takes most of the memory. Here: room for some requests of `longest` tokens, or a tenth of
    the free memory, and always for one: a request that doesn't fit would end the engine.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    block = 2 * config.num_hidden_layers * heads * head * width * BLOCK
    one = math.ceil(longest / BLOCK) + 1
    if one * block > free:
        stop(
            f"Beside the model, the longest request ({longest:,} tokens) needs {one * block / 1e9:.1f} GB of "
            "memory, and that is not free. Take a smaller --max-prompt-tokens, or a smaller model."
        )
    return max(one, min(ROOM * one, int(free / 10 / block)))


class ClassServer(uvicorn.Server):
    """Serves a model through the gate, and tells the instructor how; `problem` says why it stopped.

    It stops with the program that started it, if there is one.
    """

    def __init__(
        self,
        folder: Path,
        options: argparse.Namespace,
        keys: tuple[str, str],
        starter: psutil.Process | None,
    ) -> None:
        from transformers.utils import logging as transformers_logging

        from kit.classroom.engine import Engine

        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self.options, self.keys, self.starter, self.problem, self.told = options, keys, starter, "", 0
        settings = engine_settings(folder, options)  # may lower what a prompt may have
        rules = Rules(keys[0], SHARED, options.max_tokens, options.max_prompt_tokens)
        self.engine, self.board = Engine(folder, rules=rules, **settings), Board(keys[1])
        gate = Gate(self.engine, rules, self.board)
        config = uvicorn.Config(
            gate, host=options.host, port=options.port, log_level="warning", lifespan="off"
        )
        config.timeout_graceful_shutdown = 5  # seconds that Ctrl-C waits for replies that are under way
        super().__init__(config)

    async def startup(self, sockets: Any = None) -> None:
        self.engine.start()
        await super().startup(sockets)
        self.warming_up = asyncio.create_task(self.warm_up())

    async def warm_up(self) -> None:
        """Let the server answer its first, slow request, and say what to do with it."""
        here = {"0.0.0.0": "127.0.0.1"}.get(self.options.host, self.options.host)
        question = {"model": SHARED, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
        start = time.monotonic()
        try:  # no proxy between us and ourselves
            async with httpx.AsyncClient(trust_env=False, timeout=300) as client:
                url, key = f"http://{here}:{self.options.port}{CHAT}", f"Bearer {self.keys[0]}"
                response = await client.post(url, json=question, headers={"Authorization": key})
            response.raise_for_status()
        except httpx.HTTPError as error:
            if not self.should_exit:
                self.problem = f"The server started, but does not answer: {_first_line(error)}"
                self.should_exit = True
        else:
            with contextlib.suppress(OSError):  # nobody reads it
                announce(time.monotonic() - start, self.options, self.keys, bool(self.engine.cache))

    async def on_tick(self, counter: int) -> bool:
        """Stop with a broken engine: it would answer 503 to everybody, and nobody would see why.

        Stop, too, with the program that started this one.
        """
        if counter % 10 == 0:  # once a second
            if self.starter and has_ended(self.starter):
                return True
            self.board.measure(self.engine.tokens)
        if counter % TOLD == 0 and self.board.requests > self.told:
            self.told = self.board.requests
            logger.warning(self.board.line(self.engine.waiting))
        if self.engine.is_well():
            return await super().on_tick(counter)
        self.problem = "The engine has stopped after a mistake. Start it again: key and entries stay valid."
        return True

    async def shutdown(self, sockets: Any = None) -> None:
        await super().shutdown(sockets)
        self.engine.stop()  # while the loop still runs to which the threads that compute report


def announce(seconds: float, options: argparse.Namespace, keys: tuple[str, str], batches: bool) -> None:
    """Say that the server is ready, and what students paste into their config lists."""
    here = f"http://{address(options.host)}:{options.port}"
    entry = paste.entry(SHARED, f"{here}/v1", keys[0], options.max_tokens)
    how = "" if batches else " Replies are computed one by one."
    print(f"""✔ Ready: the first reply took {seconds:.1f} s.{how} Ctrl-C stops the server.
  Sampling, unless an entry asks for another: temperature {options.temperature:g}, top_p {options.top_p:g}.

The entry for every config list, of AutoGen classic and 0.2:

[{json.dumps(entry)}]

In other frameworks:

{paste.lines(entry)}

Who is there, for you alone: {here}{CLASS}?key={keys[1]}
""")
    if options.host in ("127.0.0.1", "localhost"):
        print("Only this machine can reach it. For a class: --host 0.0.0.0", flush=True)
    else:
        print("Words and keys travel unencrypted: for a room's own network, not the internet.", flush=True)


def address(host: str) -> str:
    """Return the address under which others reach a server that listens on `host`."""
    if host != "0.0.0.0":
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks which of our addresses leads outside
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def log_from_a_thread() -> None:
    """Let a thread write what the gate tells: a full pipe, which nobody reads, must not stop the server."""
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger = logging.getLogger("kit.classroom")
    logger.addHandler(logging.handlers.QueueHandler(lines))
    logger.propagate = False
    logging.handlers.QueueListener(lines, logging.StreamHandler()).start()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


if __name__ == "__main__":
    main()
