"""One model for the whole class: `python -m kit serve` starts `transformers serve` behind a door.

The engine is transformers' own, with continuous batching: replies of many students are computed together.
This module adds what a class needs and the engine leaves to you: settings that were measured (the table is
in notebooks/INSTRUCTOR.md), a look at port and memory first, the door (kit/door.py), a warm-up, and the
entry for the students' config lists.
"""

from __future__ import annotations

import argparse
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
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from kit.files import write_atomically
from kit.models import ModelDownloadError, local_model, models_folder

NAME = "class-model"  # whatever runs behind it: an entry stays the same when the server changes
GIGABYTE = 1_000_000_000
RUNTIME = 1.5 * GIGABYTE  # PyTorch, the engine and its cache beside the weights (measured: 1.1 to 1.7 GB)
BLOCK = 32  # tokens; a system message that all share is computed once, in blocks of this size
ROOM = 8  # requests of the longest kind that the cache holds at the same time; the others wait


def main() -> None:
    """Check, load, warm up, say where the server is, and serve until Ctrl-C."""
    options = read_options()
    # Before torch is imported, which reads it. One core stays free for whatever else the machine does:
    # beside one busy program a reply took three times as long with all of them.
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    try:
        options.port = check_port(options.host, options.port)
        folder = model_folder(options.model)
        check_memory(folder)
        key = class_key()
    except (ServeError, ModelDownloadError) as problem:
        sys.exit(f"✘ {problem}")
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing may wait for a network from here on
    print(f"Loading {folder.name} ...", flush=True)
    try:
        server = build(folder, key, options)
    except KeyboardInterrupt:
        sys.exit("The server was stopped before it was ready.")
    except ServeError as problem:
        sys.exit(f"✘ {problem}")
    except Exception as error:
        why = str(error).strip().partition("\n")[0]
        sys.exit(f"✘ {folder.name} can't be loaded: {type(error).__name__}: {why}")
    log_from_a_thread()
    threading.Thread(target=_announce, args=(server, key, options), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has closed everything, and hands the signal on
        server.run()
    if server.problem:
        sys.exit(f"✘ {server.problem}")
    with contextlib.suppress(OSError):  # nobody reads it any more, as behind `| head`
        print(
            "The server has stopped. Start it again in the same way: key and entries stay valid.", flush=True
        )


class ServeError(RuntimeError):
    """The server can't start here; the message says why, and what to do."""


def check_port(host: str, port: int) -> int:
    """Try the address; return the port, for 0 any that is free.

    Raises:
        ServeError: another program has the port, or the machine has no such address.
    """
    if not host.strip():
        raise ServeError("--host is empty. For the whole room: --host 0.0.0.0")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        if os.name == "posix":  # as uvicorn does: a server that was killed a moment ago is no hindrance
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            return probe.getsockname()[1]
        except (OSError, OverflowError) as error:
            why = str(getattr(error, "strerror", None) or error).rstrip(".")
            what = f"Can't listen on {host}, port {port}: {why}."
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                what += f" Another server may be running there: stop it, or take --port {port + 1}."
            raise ServeError(what) from None


def model_folder(name: str | None) -> Path:
    """Return the folder of a model: the lessons' small one, a folder, or a name on the model hub.

    A model of the hub is fetched to where the small one is: weights as safetensors only (no code in them).

    Raises:
        ServeError: there is no such model, or none that can be loaded.
        ModelDownloadError: the small model could not be fetched.
    """
    folder = Path(name or local_model()).expanduser().resolve()
    if name and not folder.is_dir():
        from huggingface_hub import snapshot_download

        folder = models_folder().resolve() / Path(name).name
        wanted = ["*.json", "*.jinja", "*.model", "*.safetensors", "*.txt"]
        try:
            snapshot_download(name, local_dir=folder, allow_patterns=wanted)
        except Exception as error:
            why = str(error).strip().partition("\n")[0]
            raise ServeError(f"{name} is no folder here, and the model hub does not give it: {why}") from None
    if not (folder / "config.json").is_file():
        raise ServeError(f"{folder} is no folder of a model: it has no config.json.")
    if not any(folder.glob("*.safetensors")):
        raise ServeError(f"{folder} has no .safetensors file, and other formats may hold code.")
    if "@" in folder.name or ":" in folder.name:  # which have a meaning in the engine's names of models
        raise ServeError(f"The name of {folder} has a sign that the engine takes for its own: rename it.")
    return folder


def check_memory(folder: Path) -> None:
    """Compare the free memory with what the model will take.

    Raises:
        ServeError: there is too little.
    """
    import psutil

    free = psutil.virtual_memory().available
    wanted = RUNTIME + weights(folder)
    if free < wanted:
        raise ServeError(
            f"{folder.name} needs about {wanted / GIGABYTE:.1f} GB of memory, and {free / GIGABYTE:.1f} GB "
            "are free. Close other programs, or take a smaller model."
        )


def weights(folder: Path) -> int:
    """Return the bytes of a model's weights."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def class_key() -> str:
    """Return the key of this class: `KIT_CLASS_KEY`, or one made at the first start and kept.

    A server that is started again has the same key, so that nobody's entry has to change. The file is
    readable by its owner alone; delete it to get a new key.

    Raises:
        ServeError: no client could send that key, or it can't be kept.
    """
    file = models_folder() / ".class-key"
    key = os.environ.get("KIT_CLASS_KEY", "")
    try:
        if not key and (not file.is_file() or not file.stat().st_size):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, f"class-{secrets.token_hex(6)}")
        key = key or file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ServeError(f"The key can't be kept in {file}: {error}. Choose one: KIT_CLASS_KEY=...") from None
    if not re.fullmatch("[!-~]+", key):  # it travels in a line of HTTP
        source = "KIT_CLASS_KEY" if os.environ.get("KIT_CLASS_KEY") else file
        raise ServeError(f"The key in {source} may have letters, digits and signs of ASCII, and no spaces.")
    return key


def cache_blocks(config: Any, width: int, longest: int, free: float) -> int:
    """Return how many blocks the cache is to have, for a model's config and the bytes of one number in it.

    Room for some requests of `longest` tokens, or a tenth of the free memory, and always for one: a request
    that doesn't fit would end the engine.

    Raises:
        ServeError: there is no room for one.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    block = 2 * config.num_hidden_layers * heads * head * width * BLOCK
    one = math.ceil(longest / BLOCK) + 1
    if one * block > free:
        raise ServeError(
            f"Beside the model, the longest request ({longest:,} tokens) needs "
            f"{one * block / GIGABYTE:.1f} GB of memory, and that is not free. "
            "Take a smaller --max-prompt-tokens, or a smaller model."
        )
    return max(one, min(ROOM * one, int(free / 10 / block)))


def build(folder: Path, key: str, options: argparse.Namespace) -> Any:
    """Load the model and return a `uvicorn.Server` that is ready to run, behind the door."""
    import psutil
    import torch
    from transformers import AutoConfig
    from transformers.cli.serve import Serve

    from kit.classroom.gate import Door, Rules

    class Engine(Serve):
        def start_server(self) -> None:
            self._thread = None  # not yet: the door comes first

    os.chdir(folder.parent)  # so that the engine's name of the model is short, and no path of this machine
    on_cpu = not torch.accelerator.is_available()
    cpu = torch.cpu.get_capabilities()
    # A CPU without bfloat16 instructions takes four times as long to read a prompt in bfloat16.
    dtype = "float32" if on_cpu and not (cpu.get("avx512_bf16") or cpu.get("bf16")) else "auto"
    config = AutoConfig.from_pretrained(folder.name).get_text_config()
    window = (
        getattr(config, "max_position_embeddings", None) or options.max_prompt_tokens + options.max_tokens
    )
    if window <= options.max_tokens:
        raise ServeError(f"{folder.name} reads {window:,} tokens: take a smaller --max-tokens.")
    longest_prompt = min(options.max_prompt_tokens, window - options.max_tokens)
    batching: dict[str, float] = {"cb_block_size": BLOCK}
    if on_cpu and not options.one_by_one:  # by default the cache takes most of the memory
        width = 4 if "float32" in (dtype, str(config.dtype).removeprefix("torch.")) else 2
        free = psutil.virtual_memory().available - RUNTIME / 2 - weights(folder)
        batching["cb_num_blocks"] = cache_blocks(config, width, longest_prompt + options.max_tokens, free)
        batching["cb_max_batch_tokens"] = 512  # with more, long prompts took longer and 0.4 GB besides
        batching["cb_max_memory_percent"] = 0.9  # a limit that the engine checks
    engine = Engine(
        folder.name,
        continuous_batching=not options.one_by_one,
        **({} if options.one_by_one else batching),
        device="cpu" if on_cpu else "auto",
        dtype=dtype,
        host=options.host,
        port=options.port,
        log_level="error",
        non_blocking=True,
    )
    loaded = next(iter(engine._model_manager.loaded_models.values()))
    model, tokenizer = loaded.model, loaded.processor
    if not getattr(tokenizer, "chat_template", None):
        raise ServeError(
            f"{folder.name} has no chat template: take a model that was made for chats (-Instruct)."
        )
    # With continuous batching the sampling of the first request would be everybody's.
    sampling = {"temperature": options.temperature, "top_p": options.top_p}
    model.generation_config.do_sample = options.temperature > 0
    if options.temperature > 0:
        model.generation_config.temperature, model.generation_config.top_p = sampling.values()

    def count(request: dict[str, Any]) -> int:
        messages = engine._chat_handler.get_processor_inputs_from_messages(request["messages"], modality)
        tools = request.get("tools")
        return len(
            tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True)["input_ids"]
        )

    def batches() -> Any:
        """Return what computes batches; None before the first request, and without batching."""
        return getattr(engine._generation_state._cb_manager, "_cb", None)

    def cancel(identity: str) -> None:
        if computing := batches():
            computing.cancel_request(identity)

    modality = engine._model_manager.get_model_modality(model, processor=tokenizer)
    rules = Rules(
        key=key,
        model=NAME,
        engine_model=folder.name,
        sampling=sampling,
        max_tokens=options.max_tokens,
        max_prompt_tokens=longest_prompt,
        has_tools="tools" in (tokenizer.chat_template or ""),
        count=count,
    )
    server = engine.server
    server.config.app = Door(server.config.app, rules, cancel)
    server.config.timeout_graceful_shutdown = 5  # seconds that Ctrl-C waits for replies that are under way
    end_requests = server.shutdown

    async def shutdown(sockets: Any = None) -> None:
        await end_requests(sockets)
        if server.force_exit:  # by a second Ctrl-C: uvicorn leaves this out, and a traceback comes of it
            await server.lifespan.shutdown()
        if computing := batches():
            computing.stop(timeout=5, hard_stop=True)
            engine._generation_state._cb_manager = None
        engine.kill_server()  # while the loop still runs to which the threads that compute report

    server.shutdown = shutdown
    server.problem = None
    server.is_well = engine._generation_state.is_cb_alive
    for name in ("uvicorn.error", "uvicorn.access"):  # the door tells what it refused, and that is enough
        logging.getLogger(name).setLevel("WARNING")
    return server


def log_from_a_thread() -> None:
    """Let a thread write what the door tells: a full pipe, which nobody reads, must not stop the server."""
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger = logging.getLogger("kit.classroom.gate")
    logger.addHandler(logging.handlers.QueueHandler(lines))
    logger.propagate = False
    logging.handlers.QueueListener(lines, logging.StreamHandler()).start()


def entry(key: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the entry that students put into their config list."""
    return {
        "model": NAME,
        "base_url": f"http://{in_url(address(options.host))}:{options.port}/v1",
        "api_key": key,
        "price": [0, 0],  # or AutoGen warns that it does not know the model's
        "max_tokens": min(128, options.max_tokens),
    }


def address(host: str) -> str:
    """Return the address under which others reach a server that listens on `host`."""
    if host not in ("0.0.0.0", "::"):
        return host
    family, outside = (socket.AF_INET6, "2001:db8::1") if host == "::" else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((outside, 9))  # sends nothing: asks which of our addresses leads outside
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _announce(server: Any, key: str, options: argparse.Namespace) -> None:
    """Wait for the server, let it answer once, say what to do with it, and watch over it."""
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.05)
    pasted = entry(key, options)
    try:
        seconds = warm_up(pasted, options)
    except Exception as error:
        server.problem = f"The server started, but does not answer: {error}"
        server.should_exit = True
        return
    with contextlib.suppress(OSError):
        _say(seconds, pasted, options)
    while server.is_well():
        time.sleep(1)
    # It would answer 503 to everybody from now on, and nobody would see that it has to be started again.
    server.problem = "The engine has stopped after a mistake. Start it again: key and entries stay valid."
    server.should_exit = True


def _say(seconds: float, pasted: dict[str, Any], options: argparse.Namespace) -> None:
    print(f"✔ Ready: the first reply took {seconds:.1f} s. Ctrl-C stops the server.")
    print(
        f"  Sampling, the same for everybody: temperature {options.temperature:g}, top_p {options.top_p:g}."
    )
    print(f"\nThe entry for every config list:\n\n[{json.dumps(pasted)}]\n")
    if options.host in ("127.0.0.1", "localhost", "::1"):
        print("Only this machine can reach it. For a class: --host 0.0.0.0")
    else:
        print("Words and key travel unencrypted: for a room's own network, not for the internet.")
    sys.stdout.flush()


def warm_up(pasted: dict[str, Any], options: argparse.Namespace) -> float:
    """Let the server answer its first, slow request; return the seconds that it took."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)
    question = {"model": NAME, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
    request = urllib.request.Request(
        f"http://{in_url(here)}:{options.port}/v1/chat/completions",
        json.dumps(question).encode(),
        {"Authorization": f"Bearer {pasted['api_key']}", "Content-Type": "application/json"},
    )
    start = time.monotonic()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy between us and ourselves
    with direct.open(request, timeout=300) as response:
        json.load(response)["choices"][0]["message"]["content"]
    return time.monotonic() - start


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
    add(
        "--temperature",
        type=share,
        default=0.0,
        help="of all replies; 0: the most likely words (%(default)s)",
    )
    add("--top-p", type=share, default=1.0, help="of all replies (%(default)s)")
    add("--max-tokens", type=count, default=256, help="the most that one reply may have (%(default)s)")
    add("--max-prompt-tokens", type=count, default=2048, help="the most that a prompt may have (%(default)s)")
    cores = os.cpu_count() or 2
    add("--threads", type=count, default=max(1, cores - 1), help="cores to use (all but one: %(default)s)")
    add("--one-by-one", action="store_true", help="no continuous batching, to see what it is good for")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
