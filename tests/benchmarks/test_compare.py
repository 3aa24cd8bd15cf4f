"""The benchmark runs and reports; how fast anything is, is not tested: that depends on the machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, str(Path(__file__).with_name("compare.py"))]


def test_a_small_run_prints_its_tables_and_writes_its_files(local_model_folder, tmp_path):
    length = ["--turns", "2", "--tokens", "4", "--decode-tokens", "8", "--repeats", "1"]
    limits = ["--only", "chat", "decode", "--ways", "kit", "published", "--out", str(tmp_path)]
    done = subprocess.run([*COMMAND, *length, *limits], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ")[0].removeprefix("| ") for line in done.stdout.splitlines()]
    assert rows.count("kit") == rows.count("published") == 2  # one per scenario
    assert "chat: published / kit" in rows
    report = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    for way in ("kit", "published"):
        ((first, second),) = report["results"]["chat"][way]
        assert first["seconds"] > 0 and second["seconds"] > 0
        assert second["prompt_tokens"] > first["prompt_tokens"] > 400  # the default system message is in it
        assert all(speed > 0 for speed in report["results"]["decode"][way])
    assert (tmp_path / "results.png").stat().st_size > 10_000
