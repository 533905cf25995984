"""Every benchmark shows its help; every result is linked; shared measures are right."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks import harness

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = {"harness", "embeddings"}
SCRIPTS = sorted({path.stem for path in (ROOT / "benchmarks").glob("*.py")} - LIBRARIES)
PAGES = [ROOT / "README.md", ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_shows_its_help(name, monkeypatch, capsys):
    module = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == 0
    assert f"python -m benchmarks.{name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_needs_no_argument(name, monkeypatch):
    """Parsing stops the run, so that a required argument is the only thing that can fail."""
    module = importlib.import_module(f"benchmarks.{name}")
    parsed = []

    def stop(parser, *_):
        parsed.append(parser.parse_known_args([])[1])
        raise SystemExit(0)

    monkeypatch.setattr("argparse.ArgumentParser.parse_args", stop)
    with pytest.raises(SystemExit) as end:
        module.main()
    assert (end.value.code, parsed) == (0, [[]])


def test_every_result_is_linked_and_every_link_leads_somewhere():
    links = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text())
        if not target.startswith("http")
    }
    assert [str(link) for link in links if not link.exists()] == []
    results = {path.resolve() for path in harness.RESULTS.iterdir()}
    assert sorted(path.name for path in results - links) == []


def test_every_script_is_listed():
    listed = re.findall(r"^\|[^|]*\| `(\w+)` \|", (ROOT / "benchmarks/README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == SCRIPTS


def test_a_report_says_where_it_comes_from(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", "--rounds", "3"])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    facts = harness.facts("benchmarks/gallery.py")
    assert facts["command"] == "OMP_NUM_THREADS=1 python -m benchmarks.gallery --rounds 3"
    assert {"commit", "processor", "date", "cores", "load", "numpy"} <= set(facts)
    harness.save(facts, tmp_path / "new" / "a.json")
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == json.loads(capsys.readouterr().out)


def test_calls_are_numbered_through_the_rounds():
    numbers = []
    times = harness.cpu_ms_rounds(numbers.append, calls=2, rounds=3)
    assert numbers == [0, 1, 2, 3, 4, 5]
    assert len(times) == 3
    assert min(times) >= 0


def test_kinds_take_turns():
    order = []
    found = harness.in_turns({"a": lambda n: order.append(("a", n)) or n, "b": lambda n: 2 * n}, rounds=2)
    assert order == [("a", 0), ("a", 1)]
    assert found == {"a": [0, 1], "b": [0, 2]}


def test_spreads():
    assert harness.quartiles([1, 2, 3, 4, 5]) == {"median": 3, "q1": 1.5, "q3": 4.5, "repeats": 5}
    assert harness.extremes([3.14, 1.0, 2.0], digits=1) == {"median": 2.0, "lowest": 1.0, "highest": 3.1}


def test_cpu_time_is_counted():
    spent = harness.cpu_s(lambda: sum(range(300_000)))
    assert spent > 0
    both = harness.wall_and_cpu(lambda: sum(range(300_000)))
    assert both["wall_s"] > 0


@pytest.mark.parametrize(
    ("change", "kept"),
    [({}, True), ({"commit": "abc+"}, True)]
    + [({name: other}, False) for name, other in (("commit", "def"), ("commit", ""), ("steps", 300))]
    + [({"processor": "another"}, False)],
)
def test_ablations_continue_only_what_they_can_vouch_for(change, kept, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")
    ablations = importlib.import_module("benchmarks.ablations")
    facts = {"commit": "abc", "processor": "one", "steps": 600}
    assert ablations.earlier_runs(tmp_path / "none.json", facts) == {}
    path = tmp_path / "ablations.json"
    path.write_text(json.dumps({**facts, "runs": {"as it is": {}}}))
    assert ablations.earlier_runs(path, {**facts, **change}) == ({"as it is": {}} if kept else {})
