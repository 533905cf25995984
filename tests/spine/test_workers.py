"""Worker processes do not outlive the process that started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from gaitid.workers import pool

PARENT = """
import os, sys, time
from gaitid.workers import pool
if __name__ == "__main__":
    with pool(1) as processes:
        print(processes.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def test_they_start_before_their_first_task():
    with pool(2, os.putenv, "GAITID_TEST_WORKER", "1") as processes:
        assert list(processes.map(abs, [-1, -2, -3])) == [1, 2, 3]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_they_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)  # it is there
        parent.kill()
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"worker {worker} is still there")
