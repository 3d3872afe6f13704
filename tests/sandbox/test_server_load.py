"""The load of bench/sandbox_load.py, small: SEEDCODER_LOAD=64,10000,2000 makes it the whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "sandbox_load.py"


@pytest.mark.slow
@pytest.mark.alone
def test_nothing_is_lost_or_run_twice_and_killed_zygotes_cost_no_answer() -> None:
    clients, programs, killed = os.environ.get("SEEDCODER_LOAD", "16,500,120").split(",")
    done = subprocess.run(
        [sys.executable, str(BENCH), "--clients", clients, "--programs", programs,
         "--killed", killed],
        capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    # The bar on the queue's wait belongs to quiet machines.
    assert "each once: True; survived: True; drained: True" in done.stdout, (
        done.stdout + done.stderr
    )
    assert json.loads(done.stdout.splitlines()[-1])["value"] > 0
