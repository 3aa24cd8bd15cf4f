"""Running hubs for the tests of a class."""

import os
from functools import partial

import class_hub
import pytest


def missing(what):
    """Skip the test; fail it where the browser tests have to run, too."""
    if os.environ.get("KIT_BROWSER_REQUIRED"):
        pytest.fail(f"{what}, and KIT_BROWSER_REQUIRED is set", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def proxy(local_model_folder):
    """JupyterHub's proxy, which is a program for Node."""
    if os.name == "nt":
        pytest.skip("JupyterHub does not run on Windows")
    if why := class_hub.install_proxy():
        missing(why)


@pytest.fixture(scope="module")
def separated_hub(proxy):
    """Start a hub as root, which makes each student an OS user. daemon is one already, of the system."""
    if os.geteuid():
        pytest.skip("only root can make OS users")
    if not class_hub.can_hide():
        if not os.environ.get("KIT_HUB_TEST_USERS"):
            pytest.skip(
                "OS users can't be made without a trace; KIT_HUB_TEST_USERS=1 lets the test make them"
            )
        if class_hub.closed():
            pytest.skip(f"students can't pass through {class_hub.closed()}")
    return partial(class_hub.class_hub, STUDENTS=["ada", "grace", "daemon"])


@pytest.fixture(scope="module")
def separated(separated_hub):
    with separated_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def one_user_hub(proxy):
    """Start a hub without rights, where all students are one OS user."""
    if os.geteuid() == 0 and not class_hub.can_hide() and class_hub.closed():
        pytest.skip(f"nobody can't pass through {class_hub.closed()}")
    return partial(class_hub.class_hub, one_user=True, STUDENTS=["ada", "grace"])
