"""`import kit` is light, and each public name brings what it needs when it is first used."""

import subprocess
import sys

import pytest

import kit

HEAVY = ("torch", "transformers", "autogen", "ipywidgets", "openai")


def bare(program):
    """Return what a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_and_listing_kit_loads_nothing_heavy():
    heavy = f"[name for name in {HEAVY} if name in sys.modules]"
    loaded = bare(f"import sys, kit; dir(kit); kit.__all__; print(*{heavy}, len({heavy}))")
    assert loaded == ["0"]
    # The same look at the modules does find them once they are there:
    assert "openai" in bare(f"import sys, kit; kit.DummyModelClient; print(*{heavy})")


@pytest.mark.parametrize(
    "name", ["DummyModelClient", "load_config_list", "local_model", "register_model_clients"]
)
def test_what_needs_no_model_loads_no_torch(name):
    look = "'torch' in sys.modules, 'autogen' in sys.modules"
    assert bare(f"import sys, kit; kit.{name}; print({look})") == ["False", "False"]


@pytest.mark.parametrize("name", kit.__all__)
def test_every_public_name_can_be_got_and_says_what_it_is(name):
    thing = getattr(kit, name)
    assert thing.__name__ == name
    assert thing.__doc__
    assert thing is getattr(kit, name)
    assert name in dir(kit)


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(AttributeError) as caught:
        kit.DummyClient  # noqa: B018
    told = str(caught.value)
    assert told.startswith("module 'kit' has no attribute 'DummyClient'; it has ChatPanel, ConfigList")
    assert "DummyModelClient" in told
    with pytest.raises(ImportError, match="cannot import name 'DummyClient' from 'kit'"):
        from kit import DummyClient  # noqa: F401
