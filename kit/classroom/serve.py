"""One model for the whole class: `python -m kit serve` starts `transformers serve` behind a gate.

The engine is transformers' own, with continuous batching: replies of many students are computed together.
This module adds what a class needs and the engine leaves to you: settings that were measured (how long a
class waits is in notebooks/INSTRUCTOR.md), a look at port and memory first, the gate (gate.py), a warm-up,
and the entry for the students' config lists.
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

from kit.classroom.gate import CHAT, Gate, Rules
from kit.files import print_anywhere, write_atomically
from kit.models import ModelDownloadError, local_model, look_into, models_folder

NAME = "class-model"  # whatever runs behind it: an entry stays the same when the server changes
RUNTIME = 1.5e9  # bytes: PyTorch, the engine and its cache beside the weights (measured: 1.1 to 1.7 GB)
# Tokens; a system message that all share is computed once, as far as it fills blocks of this size. With the
# default, a class with AutoGen's long system message waited three times as long.
BLOCK = 32
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
        key = class_key()
        print(f"Loading {folder.name} ...", flush=True)
        os.environ["HF_HUB_OFFLINE"] = "1"  # nothing may wait for a network from here on
        # Imports of large packages swallow an exception.
        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        server = ClassServer(load(folder, engine_settings(folder, options)), key, options, starter)
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


def class_key() -> str:
    """Return the key of this class: `KIT_CLASS_KEY`, or one made at the first start and kept.

    A server that is started again has the same key, so that nobody's entry has to change. The file is
    readable by its owner alone; delete it to get a new key.
    """
    file, key = models_folder() / ".class-key", os.environ.get("KIT_CLASS_KEY", "")
    source = "KIT_CLASS_KEY" if key else file
    try:
        if not key and not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, f"class-{secrets.token_hex(6)}")
        key = key or file.read_text(encoding="utf-8-sig").strip()  # an editor may have put a BOM before it
    except (OSError, UnicodeError) as error:
        stop(f"The key can't be kept in {file}: {error}. Choose one: KIT_CLASS_KEY=...")
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
    return {
        "continuous_batching": not options.one_by_one,
        "device": device,
        "dtype": dtype,
        "cb_block_size": BLOCK,
        "cb_num_blocks": cache_blocks(config, width, options.max_prompt_tokens + options.max_tokens, free),
        "cb_max_batch_tokens": 512,  # with more, long prompts took longer and 0.4 GB besides
        "cb_max_memory_percent": 0.9,  # a limit that the engine checks
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


def load(folder: Path, settings: dict[str, Any]) -> Any:
    """Return the engine with the model loaded, and its server not started: the gate comes first."""
    from transformers.cli.serve import Serve
    from transformers.generation.continuous_batching import input_outputs

    if settings["device"] == "cpu":
        # Where there is a GPU besides, the engine pins what it computes with, and on a Mac torch puts what is
        # pinned on the GPU, whatever device was asked for (pytorch/pytorch#181374).
        input_outputs.get_available_devices = lambda: frozenset({"cpu"})
    os.chdir(folder.parent)  # so that the engine's name of the model is short, and no path of this machine

    class Engine(Serve):
        _thread = None

        def start_server(self) -> None:
            pass

    return Engine(folder.name, **settings, log_level="error", non_blocking=True)


class ClassServer(uvicorn.Server):
    """Serves an engine through the gate, and tells the instructor how; `problem` says why it stopped.

    It stops with the program that started it, if there is one.
    """

    def __init__(
        self, engine: Any, key: str, options: argparse.Namespace, starter: psutil.Process | None
    ) -> None:
        self.engine, self.key, self.options, self.problem = engine, key, options, ""
        self.starter = starter
        (loaded,) = engine._model_manager.loaded_models.values()
        self.model, self.tokenizer = loaded.model, loaded.processor
        self.modality = engine._model_manager.get_model_modality(self.model, processor=self.tokenizer)
        sampling = {"temperature": options.temperature, "top_p": options.top_p}
        # With continuous batching the sampling of the first request would be everybody's.
        self.model.generation_config.do_sample = options.temperature > 0
        if options.temperature > 0:
            self.model.generation_config.update(**sampling)
        rules = Rules(
            key=key,
            model=NAME,
            engine_model=engine._model_manager.force_model,
            sampling=sampling,
            max_tokens=options.max_tokens,
            max_prompt_tokens=options.max_prompt_tokens,
            has_tools="tools" in (self.tokenizer.chat_template or ""),
            count=self.count,
        )
        gate = Gate(engine.server.config.app, rules, self.cancel)
        config = uvicorn.Config(gate, host=options.host, port=options.port, log_level="warning")
        config.timeout_graceful_shutdown = 5  # seconds that Ctrl-C waits for replies that are under way
        super().__init__(config)

    def count(self, request: dict[str, Any]) -> int:
        """Return the tokens of a request's prompt."""
        handler, tools = self.engine._chat_handler, request.get("tools")
        messages = handler.get_processor_inputs_from_messages(request["messages"], self.modality)
        prompt = self.tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True)
        return len(prompt["input_ids"])

    def cancel(self, identity: str) -> None:
        """Stop the reply to a request."""
        if batches := self._batches():
            batches.cancel_request(identity)

    def _batches(self) -> Any:
        """Return what computes batches; None before the first request, and without batching."""
        return getattr(self.engine._generation_state._cb_manager, "_cb", None)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.warming_up = asyncio.create_task(self.warm_up())

    async def warm_up(self) -> None:
        """Let the server answer its first, slow request, and say what to do with it."""
        here = {"0.0.0.0": "127.0.0.1"}.get(self.options.host, self.options.host)
        question = {"model": NAME, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
        start = time.monotonic()
        try:  # no proxy between us and ourselves
            async with httpx.AsyncClient(trust_env=False, timeout=300) as client:
                url, key = f"http://{here}:{self.options.port}{CHAT}", f"Bearer {self.key}"
                response = await client.post(url, json=question, headers={"Authorization": key})
            response.raise_for_status()
        except httpx.HTTPError as error:
            if not self.should_exit:
                self.problem = f"The server started, but does not answer: {_first_line(error)}"
                self.should_exit = True
        else:
            with contextlib.suppress(OSError):  # nobody reads it
                announce(time.monotonic() - start, self.key, self.options)

    async def on_tick(self, counter: int) -> bool:
        """Stop with a broken engine: it would answer 503 to everybody, and nobody would see why.

        Stop, too, with the program that started this one.
        """
        if self.starter and counter % 10 == 0 and has_ended(self.starter):  # once a second
            return True
        if self.engine._generation_state.is_cb_alive():
            return await super().on_tick(counter)
        self.problem = "The engine has stopped after a mistake. Start it again: key and entries stay valid."
        return True

    async def shutdown(self, sockets: Any = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:  # by a second Ctrl-C: uvicorn leaves this out, and a traceback comes of it
            await self.lifespan.shutdown()
        if batches := self._batches():
            batches.stop(timeout=5, hard_stop=True)
            self.engine._generation_state._cb_manager = None
        self.engine.kill_server()  # while the loop still runs to which the threads that compute report


def announce(seconds: float, key: str, options: argparse.Namespace) -> None:
    """Say that the server is ready, and what students paste into their config lists."""
    print(f"""✔ Ready: the first reply took {seconds:.1f} s. Ctrl-C stops the server.
  Sampling, the same for everybody: temperature {options.temperature:g}, top_p {options.top_p:g}.

The entry for every config list:

[{json.dumps(entry(key, options))}]
""")
    if options.host in ("127.0.0.1", "localhost"):
        print("Only this machine can reach it. For a class: --host 0.0.0.0", flush=True)
    else:
        print("Words and key travel unencrypted: for a room's own network, not the internet.", flush=True)


def entry(key: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the entry that students put into their config list."""
    return {
        "model": NAME,
        "base_url": f"http://{address(options.host)}:{options.port}/v1",
        "api_key": key,
        "price": [0, 0],  # or AutoGen warns that it does not know the model's
        "max_tokens": min(128, options.max_tokens),
    }


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
    logger = logging.getLogger("kit.classroom.gate")
    logger.addHandler(logging.handlers.QueueHandler(lines))
    logger.propagate = False
    logging.handlers.QueueListener(lines, logging.StreamHandler()).start()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


if __name__ == "__main__":
    main()
