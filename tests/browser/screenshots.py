"""Run lessons in a real JupyterLab and take pictures of them: `python tests/browser/screenshots.py`.

Needs `pip install playwright` and a Chromium on the PATH. Pictures go to the folder given, one for
each lesson, theme and place; name them after `LESSON:TEXT` to scroll to the heading TEXT.

    python tests/browser/screenshots.py /tmp/pictures "02_add_the_config:The form" 04_hugging_face_model
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def jupyterlab(folder, theme):
    """Start JupyterLab on the lessons with settings of its own, and give its address."""
    settings = folder / "@jupyterlab"
    for name, values in {
        "apputils-extension/themes": {"theme": theme},
        "apputils-extension/notification": {"fetchNews": "false"},
        "docmanager-extension/plugin": {"autosave": False},  # the lessons stay as they are
    }.items():
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.port=0"]
    command += [f"--ServerApp.root_dir={ROOT / 'notebooks'}", f"--LabApp.user_settings_dir={folder}"]
    command += ["--IdentityProvider.token=", "--expose-app-in-browser"]
    log = folder / "server.log"
    with log.open("w") as output, subprocess.Popen(command, stderr=output) as server:
        try:
            while not (found := re.search(r"http://localhost:\d+/lab", log.read_text())):
                if server.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.2)
            yield found[0]
        finally:
            server.terminate()


def run_all_cells(page, address, lesson):
    """Open a lesson, run it, and wait until it is done."""
    page.goto(f"{address}/tree/{lesson}.ipynb?reset")
    page.get_by_text("| Idle").wait_for()
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells'); null")
    page.wait_for_function(
        """() => {
            const cells = window.jupyterapp.shell.currentWidget.content.model.cells;
            const code = Array.from(cells).filter(cell => cell.type === 'code');
            return code.at(-1).executionCount !== null && code.at(-1).executionState === 'idle';
        }""",
        timeout=120_000,
    )


def main(target, places):
    """Take a picture of each place in the light and the dark theme."""
    Path(target).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder), theme) as address:
                page = browser.new_page(viewport={"width": 1280, "height": 1500})
                for place in places:
                    lesson, _, heading = place.partition(":")
                    run_all_cells(page, address, lesson)
                    if heading:
                        found = page.get_by_role("heading", name=heading, exact=True)
                        found.evaluate("heading => heading.scrollIntoView({block: 'start'})")
                    page.wait_for_timeout(1500)
                    name = re.sub(r"\W+", "_", f"{lesson} {heading} {theme.split()[-1]}").lower()
                    page.screenshot(path=f"{target}/{name}.png")
                    print(f"{target}/{name}.png", flush=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["02_add_the_config:The form", "04_hugging_face_model"])
