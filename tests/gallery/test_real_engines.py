"""A matcher over each real engine: correct, isolated, erased, and complete after a kill of the engine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gaitid.errors import ConfigError, EngineUnreachable
from gaitid.gallery.index.engine import EngineIndex, connect
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.placement import RECORD
from gaitid.gallery.store.database import Store
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, Fusion, OperatingPoint, Quality
from tests import engines
from tests.impostors import Ready, people

ROOT = Path(__file__).resolve().parents[2]
SLOW = [
    pytest.param("milvus-lite", marks=pytest.mark.slow),
    pytest.param("pgvector", marks=pytest.mark.slow),
    pytest.param("milvus-server", marks=pytest.mark.long),
]
KILLABLE = SLOW[1:]  # the file of milvus-lite lives in this process


@pytest.fixture(scope="module")
def server(request, tmp_path_factory):
    """Start an engine by name; it stops after its tests."""
    with engines.running(request.param, tmp_path_factory.mktemp(request.param)) as running:
        running.backend = engines.BACKENDS[request.param]
        yield running


def opened(folder: Path, server, **engine) -> LocalMatcher:
    settings = replace(server.settings, **engine)
    quality = Quality(71.5, 20)
    return LocalMatcher(Ready(), folder, index=server.backend, engine=settings, assess=lambda _: quality)


def embedding(vector: np.ndarray) -> Embedding:
    return Embedding(vector, Ready.contract)


def unit(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize("server", SLOW, indirect=True)
def test_a_matcher_over_an_engine_answers_as_one_in_memory(server, tmp_path):
    walks, probes = people(12, 2, 1), people(12, 1, 1)
    with (
        closing(opened(tmp_path / "a", server)) as ours,
        closing(LocalMatcher(Ready(), tmp_path / "b")) as other,
    ):
        for matcher in (ours, other):
            for gallery, fusion in (("g", Fusion.MAX), ("m", Fusion.MEAN)):
                matcher.create_gallery(gallery, fusion=fusion)
                for n in range(6 if gallery == "g" else 12):
                    matcher.enrol(
                        gallery, f"s{n}", list(map(embedding, walks[2 * n : 2 * n + 2])), check="off"
                    )
            matcher.delete_subject("g", "s0")
            assert matcher.erase_subject("g", "s1").templates == 2
            matcher.add_samples("m", "s3", [embedding(probes[3])], check="off")
        for gallery in ("g", "m"):
            for probe in map(embedding, probes):
                assert ours.identify(gallery, probe).candidates == other.identify(gallery, probe).candidates
        ours.delete_gallery("m")
    with (
        closing(opened(tmp_path / "a", server)) as ours,
        closing(LocalMatcher(Ready(), tmp_path / "b")) as other,
    ):
        for probe in map(embedding, probes):
            assert ours.identify("g", probe).candidates == other.identify("g", probe).candidates


@pytest.mark.parametrize("server", KILLABLE, indirect=True)
def test_five_thousand_rows_survive_a_kill(server):
    """Insert, search, delete, SIGKILL, restart, recount; the matcher reconnects automatically."""
    engine = connect(server.backend, server.settings)
    index, exact = (EngineIndex(256, engine.table("gaitid_kill_1", 256)), ExactIndex(256))
    rows, probes = unit(5_000, 256), unit(5, 256, seed=1)
    gone = np.arange(0, 5_000, 50)
    for one in (index, exact):
        one.add(np.arange(5_000), rows)
        one.remove(gone)
    server.kill()
    end = time.monotonic() + engines.HEALTH_S
    while True:
        try:
            again = EngineIndex(256, engine.table("gaitid_kill_1", 256))
            break
        except EngineUnreachable:  # it is healthy before it is ready
            assert time.monotonic() < end
            time.sleep(1)
    assert len(again) == 4_900
    assert len(again.ids(gone)) == 0
    for one, other in zip(again.search(probes, 10), exact.search(probes, 10), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(again.vectors(np.arange(1, 50)), rows[1:50])
    engine.drop("gaitid_kill_1")
    assert engine.names("gaitid_kill_") == []
    engine.close()


@pytest.mark.parametrize("server", SLOW, indirect=True)
def test_a_graph_finds_nearly_all_and_scores_exactly(server):
    engine = connect(server.backend, replace(server.settings, search="hnsw"))
    rows, probes = unit(1_000, 32), unit(20, 32, seed=1)
    index, exact = EngineIndex(32, engine.table("gaitid_graph_1", 32)), ExactIndex(32)
    for one in (index, exact):
        one.add(np.arange(1_000), rows)
    (found, scores), (wanted, _) = index.search(probes, 10), exact.search(probes, 10)
    shared = [len(np.intersect1d(a, b)) / 10 for a, b in zip(found, wanted, strict=True)]
    assert np.mean(shared) >= 0.9
    for n in range(20):
        assert scores[n] == pytest.approx(rows[found[n]].astype(np.float64) @ probes[n], abs=1e-12)
    other = connect(server.backend, server.settings)  # the same rows, looked at one by one from now on
    again = EngineIndex(32, other.table("gaitid_graph_1", 32))
    assert np.array_equal(again.search(probes, 10)[0], wanted)
    for one in (engine, other):
        one.drop("gaitid_graph_1")
        one.close()


@pytest.mark.parametrize("server", SLOW[2:], indirect=True)
def test_what_this_client_wrote_is_seen_by_its_own_session(server):
    engine = connect(server.backend, replace(server.settings, consistency="session"))
    index, rows = EngineIndex(16, engine.table("gaitid_session_1", 16)), unit(60, 16)
    for n in range(30):
        index.add(np.array([n]), rows[n : n + 1])
        assert index.search(rows[n : n + 1], 1)[0][0, 0] == n
        if n % 3 == 0:
            index.remove(np.array([n]))
            assert n not in index.search(rows[n : n + 1], 5)[0]
    engine.drop("gaitid_session_1")
    engine.close()


@pytest.mark.parametrize("server", SLOW, indirect=True)
def test_a_migration_that_is_killed_is_finished_by_the_next(server, tmp_path):
    """Kill the command with SIGKILL as soon as the engine has its table."""
    store = Store(tmp_path / "data")
    row = store.galleries.create("g", "flat", "c0ffee", 256, OperatingPoint(0.9))
    fill(store, row, unit(12_000, 256))
    prefix = f"gaitid_{store.name}_"
    store.close()
    settings = server.settings
    is_file = settings.address.endswith(".db")
    if is_file:  # this process has the other one open, and only one can
        settings = replace(settings, address=str(tmp_path / "own.db"))
    verb = [sys.executable, "-m", "gaitid", "gallery", "migrate", "--data", str(tmp_path / "data"), "--to"]
    there = [*verb, server.backend, "--address", settings.address, "--timeout-s", "60", "--samples", "5"]
    killed = subprocess.Popen(there, cwd=ROOT, stdout=subprocess.PIPE)
    wait_until_it_writes(
        None if is_file else connect(server.backend, settings), prefix, tmp_path / "data", killed
    )
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    done = subprocess.run(there, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert "g: 12000 row(s)" in done.stdout
    assert "5 of 5 searches equal" in done.stdout
    back = subprocess.run(
        [*verb, "faiss", "--samples", "5"], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )
    assert back.returncode == 0, back.stderr
    engine = connect(server.backend, settings)
    left = engine.names(prefix)
    engine.close()
    assert left == []


def fill(store: Store, row, vectors: np.ndarray) -> None:
    """Enrol many subjects of four templates in one commit, like an import."""
    db = store._db
    db.execute("BEGIN")
    for n in range(0, len(vectors), 4):
        key = db.execute(
            "INSERT INTO subjects (gallery, name, enrolled_at, pseudonym) VALUES (?, ?, 0, randomblob(16))",
            (row.key, f"s{n}"),
        ).lastrowid
        db.executemany(
            "INSERT INTO templates (subject, vector, camera, track, enrolled_at) VALUES (?, ?, '', 0, 0)",
            [(key, vector.tobytes()) for vector in vectors[n : n + 4]],
        )
    db.execute("COMMIT")


def wait_until_it_writes(engine, prefix: str, data: Path, process: subprocess.Popen) -> None:
    """Wait for its table, or two seconds after its record if the engine cannot be queried."""
    while process.poll() is None:
        if engine is None and (data / RECORD).exists():
            time.sleep(2)
            break
        if engine is not None and engine.names(prefix):
            break
    if engine is not None:
        engine.close()
    assert process.poll() is None, "it ended before it could be killed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "address", "says"),
    [
        ("milvus", "", "https://host:19530"),
        ("milvus", "ftp://h:1", "https://host:19530"),
        ("milvus", "http://gate.example:19530", "without TLS"),
        ("milvus", "https://user:secret@gate.example:19530", "address contains a password"),
        ("milvus", "/no/such/directory/a.db", "does not exist"),
        ("pgvector", "", "postgresql://"),
        ("pgvector", "nonsense", "postgresql://"),
        ("pgvector", "postgresql://gate.example/x", "without TLS"),
        ("pgvector", "postgresql://gate.example/x?sslmode=require", "without TLS"),
        ("pgvector", "postgresql://u:secret@localhost/x", "address contains a password"),
    ],
)
def test_an_unusable_address_is_reported(backend, address, says):
    engines.require({"milvus": "pymilvus", "pgvector": "psycopg"}[backend])
    with pytest.raises(ConfigError) as caught:
        connect(backend, replace(engines.EngineSettings(), address=address))
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "address"),
    [("milvus", "http://127.0.0.1:9"), ("pgvector", "postgresql://u@127.0.0.1:9/x")],
)
def test_an_engine_that_does_not_answer_is_reported_in_time(backend, address):
    engines.require({"milvus": "pymilvus", "pgvector": "psycopg"}[backend])
    begin = time.monotonic()
    with pytest.raises(EngineUnreachable, match="does not answer"):
        connect(backend, engines.EngineSettings(address, timeout_s=2.0))
    assert time.monotonic() - begin < 10
