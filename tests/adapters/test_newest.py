"""The command that tries newer releases: its table, and what it does where something fails."""

import newest
import pytest


@pytest.fixture
def trial(monkeypatch, capsys):
    """Run the command with pretended installations and tests; return its exit code and what it printed."""

    def start(complaint=(), failed=()):
        monkeypatch.setattr(newest, "FRAMEWORKS", {"autogen[openai]": "classic"})
        monkeypatch.setattr(newest, "install", lambda packages, folder: list(complaint))
        monkeypatch.setattr(newest, "run", lambda tests, folder: ("24 passed", list(failed)))
        monkeypatch.setattr(newest, "versions", lambda names, path: f"{names[0]} 1" if len(path) > 1 else "2")
        return newest.main(), capsys.readouterr().out

    return start


def test_it_prints_a_row_for_each_framework(trial):
    code, out = trial()
    assert code == 0 and out.splitlines()[2:3] == ["| autogen | autogen 1 | 2 | 24 passed |"]


def test_what_failed_stands_below_the_table(trial):
    code, out = trial(failed=["FAILED test_conformance.py::test_scenario[classic-two_agents_talk]"])
    assert code == 1 and out.splitlines()[-1].startswith("FAILED test_conformance.py")


def test_where_nothing_can_be_installed_it_says_why_and_runs_nothing(trial):
    code, out = trial(complaint=["ERROR: No matching distribution found for autogen"])
    assert code == 1 and "| not installed |" in out and "No matching distribution" in out


def test_versions_are_those_of_the_path(tmp_path):
    info = tmp_path / "ag2-9.8.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ag2\nVersion: 9.8\n")
    assert newest.versions(["ag2"], [str(tmp_path)]) == "9.8"
    assert newest.versions(["ag2", "autogen"], [str(tmp_path)]) == "9.8, none"


def test_the_package_that_is_not_there_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert "No matching distribution" in newest.install(["no-such-package-of-ours"], str(tmp_path))[0]


@pytest.mark.slow  # it collects all tests of the adapters
def test_the_newest_comes_first_when_the_tests_run(tmp_path):
    (tmp_path / "ag2.py").write_text("raise ImportError('the newest one')")
    last, failed = newest.run("two_agents_talk", str(tmp_path))
    assert "1 failed, 3 passed" in last and "errors" in last
    assert any("test_scenario[ag2-two_agents_talk] - ImportError: the newest one" in line for line in failed)
