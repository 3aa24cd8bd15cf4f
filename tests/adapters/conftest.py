"""What the tests of the adapters share, and the lines at the end that say which frameworks ran."""

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]


@pytest.fixture(scope="session")
def old_results(old_python, local_model_folder, tmp_path_factory):
    """What became of each scenario under AutoGen 0.2 (None, or how it failed), and its `versions`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), str(HERE)])}
    done = subprocess.run(
        [old_python, str(HERE / "run_in_old_autogen.py"), local_model_folder],
        cwd=tmp_path_factory.mktemp("old"),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def pytest_terminal_summary(terminalreporter):
    counts, versions = Counter(), {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if found := re.search(r"test_conformance\.py::\w+\[(\w+)-", report.nodeid):
                counts[found[1], outcome] += 1
                versions[found[1]] = dict(report.user_properties).get("versions")
    frameworks = dict.fromkeys(framework for framework, _ in counts)
    if frameworks:
        terminalreporter.section("adapters")
    for framework in frameworks:
        outcomes = [f"{number} {outcome}" for (name, outcome), number in counts.items() if name == framework]
        version = versions[framework] or "not installed"
        terminalreporter.line(f"{framework}: {version}: {', '.join(outcomes)}")
