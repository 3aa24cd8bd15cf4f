"""Packages that do not work together, and files of one's own that hide them."""

import importlib.metadata
import sys
import types
from types import MappingProxyType

import pytest
from set_ups import codes, write

from kit import diagnose

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def install(monkeypatch):
    """Pretend that these packages are installed, and that those of them own the module `autogen`."""

    def install(owners=(), needs=MappingProxyType({}), **versions):
        def version(name):
            if name.replace("-", "_") not in versions:
                raise importlib.metadata.PackageNotFoundError(name)
            return versions[name.replace("-", "_")]

        monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"autogen": [*owners]})
        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(importlib.metadata, "requires", lambda name: needs.get(name))

    return install


def test_two_packages_that_own_autogen(install):
    install(["pyautogen", "autogen"], autogen="0.14.1", pyautogen="0.2", openai="2")
    [finding] = diagnose().findings
    assert (finding.code, finding.step) == ("two-autogens", 0)
    assert "pip uninstall -y autogen pyautogen" in finding.fix


def test_no_package_that_owns_autogen(install):
    install(autogen_agentchat="0.7.5", openai="2")
    [finding] = diagnose().findings
    assert finding.code == "no-autogen"
    assert "autogen-agentchat 0.7.5" in finding.message


def test_a_version_that_another_package_can_not_take(install):
    needs = {"transformers": ["tokenizers<=0.22", "tokenizers>=9; extra == 'new'", "missing>1"]}
    install(["autogen"], needs, autogen="0.14.1", openai="2", transformers="5.23", tokenizers="0.23")
    [finding] = diagnose().findings
    assert (finding.code, finding.fix) == (
        "versions-clash",
        'pip install "tokenizers<=0.22", and restart the kernel.',
    )
    install(["autogen"], needs, autogen="0.14.1", openai="2", transformers="5.23", tokenizers="0.22")
    assert diagnose().findings == []


def test_no_openai(install):
    install(["autogen"], autogen="0.14.1")
    assert codes(diagnose()) == ["no-openai"]


def test_a_file_of_ones_own_that_hides_a_package():
    write("print('my first try')", "autogen.py")
    assert codes(diagnose()) == ["shadowed"]


def test_a_module_of_the_same_name_elsewhere_is_no_shadow(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert diagnose().findings == []
