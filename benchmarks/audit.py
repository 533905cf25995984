"""What the audit trail costs: CPU per search and per enrolment, bytes per entry, time to verify the trail.

    OMP_NUM_THREADS=1 python -m benchmarks.audit [--rounds 9] [--entries 50000]

The rival, in the same run and in turns, is the same gallery with nothing recorded. Times are CPU times of
the whole process, including the thread that records. Vectors are random unit vectors of 256 dimensions,
four templates per subject.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import harness
from benchmarks.gallery import TEMPLATES, StubEncoder, unit_vectors
from gaitid.caller import calling
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, EnrolmentCheck


def embeddings(count: int, seed: int) -> list[Embedding]:
    """Random embeddings of the stub encoder."""
    return [Embedding(vector, StubEncoder.contract) for vector in unit_vectors(count, seed)]


def opened(directory: Path, *, recorded: bool = True, within_s: float = 1.0) -> LocalMatcher:
    """A matcher, with or without an audit trail."""
    matcher = LocalMatcher(StubEncoder(), directory, audit_within_s=within_s)
    if not recorded:
        matcher._recorded = lambda action, gallery, subject, decision: decision  # type: ignore[method-assign]
        matcher._store._connection.audit._write = lambda note, caller, at: None  # type: ignore[method-assign]
    return matcher


def fill(matcher: LocalMatcher, subjects: int) -> None:
    """Create a gallery and enrol that many subjects."""
    matcher.create_gallery("g")
    samples = embeddings(subjects * TEMPLATES, seed=0)
    for n in range(subjects):
        matcher.enrol("g", f"s{n}", samples[n * TEMPLATES : (n + 1) * TEMPLATES], check=EnrolmentCheck.OFF)


def compare(kinds: dict[str, Callable[[int], float]], rounds: int) -> dict[str, object]:
    """CPU microseconds of each kind, measured in turns, and what each costs above the first kind."""
    costs = harness.in_turns(kinds, rounds)
    first, *others = kinds
    extra = {
        f"{name}_minus_{first}_us": [a - b for a, b in zip(costs[name], costs[first], strict=True)]
        for name in others
    }
    every = {**{f"{name}_us": values for name, values in costs.items()}, **extra}
    return {name: harness.quartiles(values, 1) for name, values in every.items()}


def per_call_us(act: Callable[[], object], count: int) -> float:
    """CPU microseconds of one of the `count` calls that `act` makes."""
    return harness.cpu_s(act) / count * 1e6


def identify_cost(subjects: int, searches: int, rounds: int) -> dict[str, object]:
    """CPU of one identification: not recorded, recorded within a second, recorded before the answer."""
    probes = embeddings(searches, seed=1)
    with harness.scratch() as folder:
        matchers = {
            "without": opened(Path(folder) / "a", recorded=False),
            "within_1_s": opened(Path(folder) / "b"),
            "before_the_answer": opened(Path(folder) / "c", within_s=0),
        }

        def search(matcher: LocalMatcher) -> None:
            for probe in probes:
                matcher.identify("g", probe)
            matcher._store.trail.flush()

        for matcher in matchers.values():
            fill(matcher, subjects)
        kinds = {
            name: lambda _, matcher=matcher: per_call_us(lambda: search(matcher), searches)
            for name, matcher in matchers.items()
        }
        report = compare(kinds, rounds)
        for matcher in matchers.values():
            matcher.close()
    return {"templates": subjects * TEMPLATES, "searches_a_round": searches, **report}


def enrol_cost(count: int, rounds: int) -> dict[str, object]:
    """CPU of one enrolment, one commit each, with and without an audit entry."""
    samples = embeddings(count, seed=2)
    with harness.scratch() as folder:
        matchers = {
            name: opened(Path(folder) / name, recorded=name == "recorded") for name in ("without", "recorded")
        }

        def enrol(matcher: LocalMatcher, turn: int) -> None:
            for n, sample in enumerate(samples):
                matcher.enrol("g", f"{turn}-{n}", [sample], check=EnrolmentCheck.OFF)

        for matcher in matchers.values():
            matcher.create_gallery("g")
        kinds = {
            name: lambda turn, matcher=matcher: per_call_us(lambda: enrol(matcher, turn), count)
            for name, matcher in matchers.items()
        }
        report = compare(kinds, rounds)
        for matcher in matchers.values():
            matcher.close()
    return {"enrolments_a_round": count, **report}


def size_and_verification(count: int) -> dict[str, object]:
    """Database bytes per audit entry of a search, and CPU seconds to verify a trail of them."""
    with harness.scratch() as folder:
        matcher = opened(Path(folder))
        fill(matcher, 100)
        probes = embeddings(100, seed=3)
        before = _pages(matcher)
        with calling("door of annex 4", actor="gate-3"):
            for n in range(count):
                matcher.identify("g", probes[n % len(probes)])
        matcher._store.trail.flush()
        size = _pages(matcher) - before
        entries = 0

        def follow() -> None:
            nonlocal entries
            entries = matcher.verify_audit().number

        seconds = harness.cpu_s(follow)
        matcher.close()
    return {
        "entries": entries,
        "bytes_an_entry": round(size / count, 1),
        "verify_cpu_s_a_million": round(seconds / entries * 1e6, 2),
    }


def _pages(matcher: LocalMatcher) -> int:
    db = matcher._store._db
    return int(db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0])


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--entries", type=int, default=50_000)
    options = parser.parse_args()
    report = {
        **harness.facts(__file__),
        "identify": [identify_cost(250, 1000, options.rounds), identify_cost(2500, 300, options.rounds)],
        "enrol": enrol_cost(100, options.rounds),
        "trail": size_and_verification(options.entries),
    }
    harness.save(report, options.out)


if __name__ == "__main__":
    main()
