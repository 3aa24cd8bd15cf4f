"""Packages that do not work together, and files of one's own that hide them."""

import importlib.metadata
import sys
import types
from types import MappingProxyType

import openai
import pytest
from set_ups import codes, write

from kit import diagnose
from kit.checks.check_packages import extra_of, modules_of
from kit.checks.explain import explain

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


def test_the_extra_of_autogen_that_brings_a_package():
    assert extra_of("Please install `google-genai` and 'vertexai' to use it.") == "gemini"
    assert extra_of("'openai' is not installed.") == ""  # it is: something else is wrong
    assert extra_of("No module named `no_such_package`") == ""
    # Other extras bring it, too; the one that is named counts.
    assert extra_of("'docker' is not installed.\n'pip install ag2[docker]'") == "docker"


def test_what_the_modules_of_a_distribution_are_called():
    assert modules_of("pyautogen") == "autogen"
    assert modules_of("huggingface-hub") == modules_of("Huggingface.Hub") == "huggingface_hub"
    assert modules_of("openai") == modules_of("no-such-package") == modules_of("odd(name") == ""


def test_a_distribution_that_is_imported_by_its_own_name():
    error = ModuleNotFoundError("No module named 'pyautogen'", name="pyautogen")
    finding = explain(error)
    assert finding.code == "imported-as"
    exec(finding.fix)  # as it stands
    assert explain(ModuleNotFoundError("No module named 'no_such'", name="no_such")).code == "missing-package"


def test_a_module_that_a_package_of_this_version_lacks():
    with pytest.raises(ImportError) as raised:
        exec("import openai.error")
    finding = explain(raised.value)
    assert finding.code == "module-gone" and openai.__version__ in finding.message
    assert openai.RateLimitError
