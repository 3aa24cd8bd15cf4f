"""How fast is ConfigListBuilder: in the kernel, and from a key press to the changed page?

    python tests/benchmarks/builder.py

Medians, in milliseconds. Needs tests/requirements.txt; the lines about the page need a Chromium on the PATH.
Run it while nothing else runs.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))
import lab
from ipywidgets.widgets.widget import _instances

from kit import ConfigListBuilder

PRESET = "Dummy (no model)"
MANY = 100  # entries
TIMES = 9
FORM = """
from kit import ConfigListBuilder
builder = ConfigListBuilder()
for _ in range({entries}):
    builder.editor.entries.append({{"model": "dummy", "model_client_cls": "DummyModelClient"}})
builder.editor.select(0)
builder
"""
# Until the program, which is drawn near the end, is another one.
PRESS_TO_PAGE = """form => new Promise(done => {
    let pressed;
    form.addEventListener("keydown", () => { pressed = performance.now(); }, {capture: true, once: true});
    const seen = new MutationObserver(() => { seen.disconnect(); done(performance.now() - pressed); });
    const program = form.querySelector("pre[aria-label=Python]");
    seen.observe(program, {childList: true, characterData: true, subtree: true});
})"""
RUN_TO_PAGE = """() => new Promise(done => {
    const forms = () => document.querySelectorAll(".kit-builder pre[aria-label=Python]").length;
    const start = performance.now(), before = forms();
    const look = () => forms() > before ? done(performance.now() - start) : requestAnimationFrame(look);
    window.jupyterapp.commands.execute("notebook:run-cell");
    look();
})"""


def main() -> None:
    """Print everything that is measured."""
    os.chdir(tempfile.mkdtemp())
    ConfigListBuilder().close()  # imports what is imported once
    before = len(_instances)
    builder = ConfigListBuilder()
    builder.editor.add(PRESET)
    tell("widget models of a form", len(_instances) - before, "")
    tell("kernel: make a form", median(lambda _: ConfigListBuilder()))
    while len(builder.editor.entries) < MANY:
        builder.editor.duplicate()

    def edit(index: int) -> None:
        builder.do({"do": "set", "field": "model", "text": f"model {index}"})

    tell(f"kernel: an edit, {MANY} entries", median(edit))
    if lab.sync_playwright and lab.chromium():
        in_the_page()


def in_the_page() -> None:
    """Time a form that opens and an edit that shows, in a real JupyterLab."""
    with tempfile.TemporaryDirectory() as root, lab.browser() as chromium, lab.jupyterlab(root) as server:
        folder = Path(root, "bench")
        folder.mkdir()
        page = lab.Lab(chromium, server, folder)
        page.open([FORM.format(entries=MANY), FORM.format(entries=0)], run=False)
        page.run(0)
        form = page.output(0).locator(".kit-builder")
        lab.expect(form.get_by_label("Model", exact=True)).to_be_visible()
        edits = []
        for index in range(TIMES):
            form.get_by_label("Model", exact=True).fill(f"model {index}")
            page.settle()
            form.evaluate(f"form => {{ window.edit = ({PRESS_TO_PAGE})(form); }}")  # not awaited here
            page.page.keyboard.press("Enter")
            edits.append(page.page.evaluate("window.edit"))
        tell(f"page: key press to changed page, {MANY} entries", statistics.median(edits))
        page.run(1)
        opened = []
        for _ in range(TIMES):
            page.page.evaluate("window.jupyterapp.commands.execute('notebook:clear-cell-output')")
            page.settle()
            opened.append(page.page.evaluate(RUN_TO_PAGE))
        tell("page: run the cell to the form", statistics.median(opened))
        page.close()


def median(action: Callable[[int], Any]) -> float:
    """Return how long an action takes, in milliseconds."""
    times = []
    for index in range(TIMES):
        start = time.perf_counter()
        action(index)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def tell(what: str, number: float, unit: str = " ms") -> None:
    print(f"{what:45} {number:8.0f}{unit}", flush=True)


if __name__ == "__main__":
    main()
