"""Fixtures for tests in a real browser; README.md says where they run."""

import os
from contextlib import ExitStack

import lab as harness
import pytest


def missing(what):
    """Skip the test; fail it where browser tests have to run."""
    if os.environ.get("KIT_BROWSER_REQUIRED"):
        pytest.fail(f"{what}, and KIT_BROWSER_REQUIRED is set", pytrace=False)
    pytest.skip(what)


# Not for the whole session: as long as Playwright runs, no other test can use asyncio.run().
@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window."""
    if harness.sync_playwright is None:
        missing("browser tests need the package playwright")
    if harness.chromium() is None:
        missing("browser tests need a Chromium on the PATH")
    with harness.browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Start JupyterLab in a theme, at its first use; return it and the folder that it shows."""
    with ExitStack() as running:
        started = {}

        def start(theme):
            if theme not in started:
                root = tmp_path_factory.mktemp("lab")
                started[theme] = running.enter_context(harness.jupyterlab(root, theme)), root
            return started[theme]

        yield start


@pytest.fixture
def lab(request, browser, server, tmp_path):
    """A page of JupyterLab and an empty folder for its notebook, light unless parametrized with a theme."""
    running, root = server(getattr(request, "param", harness.LIGHT))
    folder = root / tmp_path.name  # which is unique
    folder.mkdir()
    lab = harness.Lab(browser, running, folder)
    yield lab
    lab.close()
