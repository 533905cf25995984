"""A killed process loses nothing that it acknowledged, brings nothing back, and leaves nothing half done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gaitid.gallery.store import failpoints
from tests.crash import driver

ROOT = Path(__file__).resolve().parents[2]


def drive(cycles: int, seed: int) -> dict[str, int]:
    """Run the driver in a separate process, which has no other thread when it forks."""
    command = [sys.executable, "-m", "tests.crash.driver", "--cycles", str(cycles), "--seed", str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["counts"]


def check(counts: dict[str, int], cycles: int) -> None:
    assert counts["cycles"] == cycles
    assert counts["acknowledged"] > cycles
    bad = ("lost", "resurrected", "traces of erased", "index not equal to SQL")
    assert [counts[name] for name in bad] == [0, 0, 0, 0]


def test_a_few_kills():
    check(drive(6, seed=3), 6)


@pytest.mark.long
def test_many_kills_at_all_points():
    cycles = int(os.environ.get("CYCLES", "200"))
    counts = drive(cycles, seed=int(os.environ.get("SEED", "0")))
    print(json.dumps(counts, indent=1))
    check(counts, cycles)
    if cycles >= 200:
        assert all(counts.get(f"died {point}", 0) for point in failpoints.POINTS)


def sabotaged(folder: Path, spoil: str) -> subprocess.CompletedProcess[str]:
    code = f"""
from pathlib import Path
from tests.crash import driver
{spoil}
driver.run_cycles(40, 0, Path({str(folder)!r}))
"""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


_AMISS = "lost|resurrected|a half of|the backup has|revision is"
"""Faults that the driver may report first, depending on the timing."""
SPOILS = {
    "samples acknowledged and not kept": ("driver.Child.add = lambda self, said: 0", _AMISS),
    "a deletion acknowledged and not done": ("driver.Child.delete = lambda self, said: 0", _AMISS),
    "a rule acknowledged and not kept": ("driver.Child.rule = lambda self, said: 0", "threshold is|revision"),
    "an erasure acknowledged and not done": ("driver.Child.erase = lambda self, said: 0", "a trace of it"),
    "an erasure that leaves the log": (
        "from gaitid.gallery.store.commits import Commits\nCommits._empty_log = lambda self, erasures: None",
        "still holds a part of them",
    ),
    "a change outside of the transaction": (
        """
from gaitid.gallery.store.commits import Commits
def loose(self, tasks, transact=Commits._transact):
    transact(self, tasks)
    self._db.execute("UPDATE galleries SET revision = revision + 1 WHERE id = 1")
Commits._transact = loose
""",
        "revision is",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "found"), SPOILS.values(), ids=SPOILS)
def test_the_driver_finds_what_is_wrong(tmp_path, spoil, found):
    done = sabotaged(tmp_path, spoil)
    assert done.returncode != 0
    assert re.search(found, done.stderr)
    assert driver.Wrong.__name__ in done.stderr
