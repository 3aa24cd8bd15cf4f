"""The benchmark runs and reports; how fast anything is, is not tested: that depends on the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks" / "classroom"))
from class_hub import can_hide, closed, install_proxy  # noqa: E402

pytestmark = pytest.mark.slow


def test_a_small_class_is_measured(local_model_folder, tmp_path):
    if why := install_proxy():
        pytest.skip(why)
    if os.geteuid() == 0 and not can_hide() and closed():
        pytest.skip(f"nobody can't pass through {closed()}")
    command = [sys.executable, str(Path(__file__).with_name("hub.py")), "--students", "2", "--one-user"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 students, all at once, one OS user" in done.stdout
    assert "| lesson 01 done, s | failed |" in done.stdout and "| a student, MiB |" in done.stdout
    report = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (
        len(report["students"]) == len(report["memory"]["servers"]) == len(report["memory"]["kernels"]) == 2
    )
    for student in report["students"]:
        assert 0 < student["server"] < student["first_reply"] < student["lesson"]
