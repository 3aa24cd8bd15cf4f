"""JupyterLab in a real browser: a server with settings of its own, and a notebook as a person uses it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import nbformat

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # then the fixtures say why the tests are skipped
    expect = sync_playwright = None
else:
    expect.set_options(timeout=60_000)

LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are there, too
    # Off by default; on, whatever a widget holds is in the file, where a test can look for secrets.
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
}
KEYS = ("OAI_CONFIG_LIST", "OPENAI_")  # variables that config lists and keys are read from
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Server(NamedTuple):
    """A running JupyterLab, and the folder in which it and its kernels keep everything of their own."""

    address: str
    own: Path


@contextmanager
def jupyterlab(root, theme=LIGHT):
    """Start JupyterLab on a folder. Close the pages before you leave."""
    # ignore_cleanup_errors: on Windows, a kernel that is just ending still holds its files.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        own = Path(own)
        # Nothing of the user's: neither settings, history and start-up files, nor keys.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(KEYS)}
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "TMPDIR"):
            (own / name).mkdir()
            environment[name] = str(own / name)
        settings = {**SETTINGS, "@jupyterlab/apputils-extension/themes": {"theme": theme}}
        for name, values in settings.items():
            file = own / "JUPYTER_CONFIG_DIR" / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
        command += ["--ServerApp.port=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={root}"]
        command += ["--expose-app-in-browser"]
        log = own / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:\d+/lab", log.read_text())):
                if server.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.1)
            yield Server(found[0], own)
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                # A request that was being answered when the server stopped leaves a thread behind, which
                # Python waits for without an end. A kernel that is still there ends with its server.
                server.kill()
                server.wait()


def chromium():
    """Return the path of the Chromium on this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def browser():
    """Start a Chromium without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        try:
            yield started
        finally:
            started.close()


class Lab:
    """One page of JupyterLab with one notebook, whose code cells count from 0."""

    def __init__(self, browser, server, folder, **page_options):
        self.address, self.folder = server.address, Path(folder)
        self.own = server.own
        self.errors, self.dialogs = [], []  # what went wrong in the page, and what popped up
        self.page = browser.new_page(**page_options)
        self.page.set_default_timeout(60_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self._answer)

    def _answer(self, dialog):
        if dialog.type != "beforeunload":  # which asks whether to leave an unsaved notebook
            self.dialogs.append(dialog.message)
        dialog.accept()

    def open(self, cells, run=True):
        """Write a notebook with these code cells, open it and run them, unless told not to."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
        )
        nbformat.write(notebook, self.folder / "notebook.ipynb")
        self.visit("notebook.ipynb")
        if run:
            self.run_all()

    def visit(self, name):
        """Open a notebook of the folder and wait for its kernel."""
        self.file = self.folder / name
        self.page.goto(f"{self.address}/tree/{self.folder.name}/{name}?reset")
        self.page.get_by_text("| Idle").wait_for()

    def run_all(self):
        """Run all cells and wait until the last is done, or one has failed."""
        self._run("notebook:run-all-cells")

    def run(self, index):
        """Run one cell and wait until it is done."""
        self.page.evaluate(
            """index => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                const code = notebook.widgets.filter(cell => cell.model.type === 'code');
                notebook.deselectAll();
                notebook.activeCellIndex = notebook.widgets.indexOf(code[index]);
            }""",
            index,
        )
        self._run("notebook:run-cell")

    def _run(self, command):
        # Not awaited in one go: evaluate() would wait for ever, and wait_for_function() has a timeout.
        self.page.evaluate(
            """command => {
                window.ran = false;
                window.jupyterapp.commands.execute(command).finally(() => { window.ran = true; });
            }""",
            command,
        )
        self.page.wait_for_function("window.ran")

    def settle(self):
        """Wait until the kernel has taken in what was done in widgets, and they show what it made of it."""
        self.page.evaluate(
            """async () => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                for (let round = 0; round < 2; round++)  // a widget sends its next message after the first
                    await kernel.requestExecute({code: "", silent: true, store_history: false}).done;
                await new Promise(done => setTimeout(done, 50));  // new widgets are drawn a little later
            }"""
        )

    def output(self, index):
        """Return the locator of a code cell's output area."""
        return self.page.locator(".jp-CodeCell").nth(index).locator(".jp-Cell-outputArea")

    def text(self, index):
        """Return the text of a code cell's output area, as it can be seen now."""
        return self.output(index).inner_text()

    def save(self):
        """Save the notebook with the state of its widgets, and return the text of its file."""
        self.page.evaluate("window.jupyterapp.shell.currentWidget.context.save()")
        return self.file.read_text(encoding="utf-8")

    def axe(self, where, everything=False):
        """Return what axe finds in an element (selector or locator): what is serious or critical, or all."""
        from axe_playwright_python.base import AXE_SCRIPT

        element = self.page.locator(where) if isinstance(where, str) else where
        self.page.evaluate(AXE_SCRIPT)
        found = element.evaluate("element => axe.run(element, {resultTypes: ['violations']})")
        return [
            {"rule": rule["id"], "help": rule["help"], "nodes": [node["html"] for node in rule["nodes"]]}
            for rule in found["violations"]
            if everything or rule["impact"] in ("serious", "critical")
        ]

    def close(self):
        """Shut the kernel down and close the page, once."""
        if self.page.is_closed():
            return
        try:
            self.page.evaluate("window.jupyterapp?.serviceManager.sessions.shutdownAll()")
        finally:
            self.page.close()
