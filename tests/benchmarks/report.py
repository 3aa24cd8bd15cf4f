"""What compare.py shows: a table per scenario, the kit's promises beside what was measured, and a plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from ways import KIT, WAYS

Runs = dict[str, list[Any]]  # by way, one per repeat
PROMISED = ["kit", "kit int8", "kit int4"]  # the default and the fast settings: what the promises are about


def total(run: list[dict[str, Any]]) -> float:
    """Return how long all turns of a chat took."""
    return sum(turn["seconds"] for turn in run)


def growth(run: list[dict[str, Any]]) -> float:
    """Return how the last turn compares with the second, the first that has a prefix to reuse."""
    return run[-1]["seconds"] / run[:2][-1]["seconds"]


def memory(run: dict[str, Any]) -> float:
    """Return how many times the memory of one agent three agents take."""
    return run["3"]["megabytes"] / run["1"]["megabytes"]


def against(runs: Runs, one: str, other: str, value: Callable[[Any], float] = float) -> list[float]:
    """Return a way's value divided by another's, repeat by repeat; nothing if one was not timed."""
    pairs = zip(runs.get(one, []), runs.get(other, []), strict=False)
    return [value(above) / value(below) for above, below in pairs]


def spread(values: list[float], digits: int = 2) -> str:
    """Return the median and the range, a dash if there are no values."""
    if not values:
        return "-"
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low}..{high})"


def table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return f"\n### {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def chat_table(runs: Runs) -> str:
    rows = []
    for way, chats in runs.items():
        turns = [[run[turn]["seconds"] for run in chats] for turn in range(len(chats[0]))]
        times = [spread([total(run) for run in chats]), *map(spread, (turns[0], turns[:2][-1], turns[-1]))]
        faster = [spread(against(runs, other, way, total)) for other in ("published", "generate")]
        rows.append([way, *times, spread([growth(run) for run in chats]), *faster])
    last = f"turn {len(turns)}"
    heads = ["way", "all, s", "turn 1, s", "turn 2, s", f"{last}, s", f"{last} / turn 2"]
    heads += ["times as fast as published", "as generate"]
    return table("chat: after AutoGen's default system message", heads, rows)


def choices_table(runs: Runs) -> str:
    tables = []
    for prompt, example in next(iter(runs.values()))[0].items():
        rows = []
        for way, calls in runs.items():
            seconds = [call[prompt]["seconds"] for call in calls]
            different = str(min(call[prompt]["different"] for call in calls))
            rows.append([way, spread(seconds), different, spread(choices_ratio(runs, way, prompt))])
        heads = ["way", "s", "different texts", "times as fast as published"]
        tables.append(table(f"choices: n = 4, {example['prompt_tokens']} tokens of prompt", heads, rows))
    return "\n".join(tables)


def choices_ratio(runs: Runs, way: str, prompt: str) -> list[float]:
    return against(runs, "published", way, lambda call: call[prompt]["seconds"])


def agents_table(runs: Runs) -> str:
    rows = []
    for way, both in runs.items():
        columns = [("seconds", "1", 2), ("seconds", "3", 2), ("megabytes", "1", 0), ("megabytes", "3", 0)]
        cells = [spread([run[count][key] for run in both], digits) for key, count, digits in columns]
        rows.append([way, *cells, spread([memory(run) for run in both])])
    heads = ["way", "one agent, s", "three, s", "one agent, MB", "three, MB", "memory: three / one"]
    return table("agents: as many replies from one as from three, peak memory", heads, rows)


def decode_table(runs: Runs) -> str:
    rows = [[way, spread(runs[way], 1), spread(against(runs, way, "published"))] for way in runs]
    heads = ["way", "tokens/s", "times as fast as published"]
    return table("decode: the speed of one reply, without the prompt", heads, rows)


def cold_table(runs: Runs) -> str:
    rows = [[way, spread(seconds)] for way, seconds in runs.items()]
    return table("cold: from the start of Python to the first token, without AutoGen", ["way", "s"], rows)


def quality_table(runs: Runs) -> str:
    rows = [
        [way, f"{run['perplexity']:.3f}", f"{run['agreement']:.1%}", f"{run['megabytes']:.0f}"]
        for way, (run,) in runs.items()
    ]
    heads = ["way", "perplexity", "most likely token as in float32", "weights, MB"]
    return table("quality: 2,000 tokens of Python's manual", heads, rows)


TABLES = {
    "chat": chat_table,
    "choices": choices_table,
    "agents": agents_table,
    "decode": decode_table,
    "cold": cold_table,
    "quality": quality_table,
}


def required(results: dict[str, Runs], tokens: int) -> list[dict[str, Any]]:
    """Return the kit's promises, as far as they were measured; a promise is met by the median.

    How much a chat gains depends on the tokens per reply: the longer, the more decoding alone counts.
    """
    chats, speeds, found = results.get("chat", {}), results.get("decode", {}), []

    def promise(what: str, values: list[float], sign: str, bound: float) -> None:
        if values:
            met = median(values) >= bound if sign == ">=" else median(values) <= bound
            found.append({"what": what, "bound": f"{sign} {bound}", "measured": values, "met": met})

    if kits := [way for way in KIT if way in chats]:
        best = min(kits, key=lambda way: median(total(run) for run in chats[way]))
        bound = 6.5 if tokens <= 16 else 5.5
        promise(f"chat: published / {best}", against(chats, "published", best, total), ">=", bound)
    if tokens <= 16:
        promise("chat: published / kit", against(chats, "published", "kit", total), ">=", 3.4)
    for way in PROMISED:
        promise(f"chat: last turn / second, {way}", [growth(run) for run in chats.get(way, [])], "<=", 1.2)
    # Each with a plain `generate` of the same dtype, the last one of the same quantized model.
    for way, plain in {"kit": "generate", "kit float32": "published", "kit int8": "generate int8"}.items():
        promise(f"decode: {way} / {plain}", against(speeds, way, plain), ">=", 0.95)
    promise("decode: kit int4 / kit int8", against(speeds, "kit int4", "kit int8"), ">=", 1.2)
    promise("decode: kit int4 / llama.cpp (an aim)", against(speeds, "kit int4", "llama.cpp"), ">=", 0.85)
    for prompt in ("long", "short"):
        for way in PROMISED:
            values = choices_ratio(results.get("choices", {}), way, prompt)
            promise(f"n = 4, {prompt} prompt: published / {way}", values, ">=", 3)
    for way in PROMISED:
        values = [memory(run) for run in results.get("agents", {}).get(way, [])]
        promise(f"memory: three agents / one, {way}", values, "<=", 1.15)
    return found


def required_table(found: list[dict[str, Any]]) -> str:
    rows = [
        [one["what"], one["bound"], spread(one["measured"]), "yes" if one["met"] else "no"] for one in found
    ]
    return table("required", ["what", "bound", "measured", "met"], rows)


def save(told: dict[str, Any], results: dict[str, Runs], folder: Path) -> None:
    """Write what there is so far: a long run that breaks off leaves its results."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = {**told, "results": results, "required": required(results, told["tokens"])}
    (folder / "results.json").write_text(json.dumps(everything, indent=1), encoding="utf-8")
    draw(results.get("chat", {}), results.get("decode", {}), folder / "results.png")


def draw(chats: Runs, speeds: Runs, file: Path) -> None:
    """Draw each turn's time, one line per way, and the decoding speeds as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    colors = dict(zip(WAYS, pyplot.get_cmap("tab10").colors, strict=False))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for way, runs in chats.items():
        turns = [median(turn["seconds"] for turn in same) for same in zip(*runs, strict=True)]
        left.plot(range(1, len(turns) + 1), turns, marker="o", label=way, color=colors[way])
    left.set(title="Each turn of a chat", xlabel="turn", ylabel="seconds", ylim=(0, None))
    left.xaxis.get_major_locator().set_params(integer=True)
    if chats:
        figure.legend(loc="outside lower center", ncols=len(chats))
    bars = right.barh(list(speeds), list(map(median, speeds.values())), color=[colors[way] for way in speeds])
    right.bar_label(bars, fmt="%.0f", padding=3)
    right.invert_yaxis()
    right.margins(x=0.1)
    right.set(title="Decoding", xlabel="tokens per second")
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
