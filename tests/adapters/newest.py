"""Try the adapters with the newest release of each framework, beside the pinned ones that stay as they are.

    python tests/adapters/newest.py

Each framework is installed into a temporary folder of its own, which comes first on the path while the suite
runs. It prints a table, and below it the tests that failed, and ends with 1 if there are any. It takes some
six minutes, and a package index.
"""

import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# What is installed, and which tests are about it (as `pytest -k` selects them). Microsoft's 0.2 has ended.
FRAMEWORKS = {
    "autogen[openai]": "classic",
    "autogen-core autogen-agentchat": "autogen or recipe",
    "ag2": "ag2",
    "agent-framework-core": "agent_framework",
}


def install(packages, folder):
    """Install packages with all that they need into a folder; return what pip complains about."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--target", folder, *packages], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1:] if done.returncode else []


def run(tests, folder):
    """Run the tests with a folder first on the path; return pytest's last line, and those that failed."""
    path = os.pathsep.join(filter(None, [folder, str(PROJECT), os.environ.get("PYTHONPATH")]))
    options = ["-q", "-rfE", "--tb=line", "--continue-on-collection-errors", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "tests/adapters", "-k"]
    done = subprocess.run(
        [*command, f"({tests}) and not pinned"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": path, "CI": "1"},  # there, what can't be imported is a failure
        capture_output=True,
        text=True,
    )
    lines = (done.stdout + done.stderr).splitlines() or [f"pytest ended with {done.returncode}"]
    return lines[-1], [line for line in lines if re.match("FAILED|ERROR", line)]


def versions(names, path):
    """Return the versions of packages that lie on a path, as one text."""
    there = {package.name: package.version for package in distributions(path=path)}
    return ", ".join(dict.fromkeys(there.get(name, "none") for name in names))


def main():
    print("| framework | pinned | newest | result |\n| --- | --- | --- | --- |")
    broken = []
    for packages, tests in FRAMEWORKS.items():
        names = [re.sub(r"\[.*", "", name) for name in packages.split()]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            result, failed = "not installed", install(packages.split(), folder)
            if not failed:
                result, failed = run(tests, folder)
            pinned, newest = versions(names, sys.path), versions(names, [folder])
        print(f"| {', '.join(names)} | {pinned} | {newest} | {result} |", flush=True)
        broken += failed
    print("", *broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
