"""The load test runs and reports; how fast anything is, is not tested: that depends on the machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, str(Path(__file__).with_name("classroom.py"))]


def test_a_small_class_is_measured_with_and_without_batching(local_model_folder, tmp_path):
    size = ["--students", "1", "2", "--messages", "short", "--tokens", "4", "--out", str(tmp_path)]
    done = subprocess.run([*COMMAND, *size], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ")[1:3] for line in done.stdout.splitlines() if line.startswith("| short")]
    assert rows == [["1", "batching"], ["1", "one by one"], ["2", "batching"], ["2", "one by one"]]
    report = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    for case in report["cases"]:
        assert len(case["chats"]) == case["students"]
        for chat in case["chats"]:
            assert chat["error"] == ""
            assert len(chat["turns"]) == 3
            assert all(0 < turn["first_token"] <= turn["reply"] for turn in chat["turns"])
            assert all(1 <= turn["tokens"] <= 4 for turn in chat["turns"])
    assert (tmp_path / "results.png").stat().st_size > 10_000
