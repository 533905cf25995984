"""Galleries in an engine never lag the store, whatever the engine does, and can be moved there and back."""

from __future__ import annotations

import numpy as np
import pytest

import gaitid
from gaitid import registry
from gaitid.errors import ConfigError, EngineError, EngineUnreachable, InputError, UnknownName
from gaitid.gallery.care.backup import restore
from gaitid.gallery.care.migration import Moved, migrate
from gaitid.gallery.index.engine import EngineIndex, EngineSettings
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.placement import RECORD, recall
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.keys import KeyRing
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, Fusion, Quality
from tests.gallery.dict_engine import FAULTS, TABLES, DictTable
from tests.impostors import DIMENSION, Ready, embedding, people

HERE = EngineSettings("here")
RING = {"keys": KeyRing(lambda: {"a": bytes(32)}), "engine": EngineSettings("here", unsealed=True)}


@pytest.fixture(autouse=True)
def _dict_engine(monkeypatch):
    monkeypatch.setitem(registry.ENGINES, "dict", "tests.gallery.dict_engine:DictEngine")
    yield
    TABLES.clear()
    FAULTS.clear()


@pytest.fixture
def open_(tmp_path):
    """Open the directory, after closing it if it is open."""
    opened = []

    def open_(index="dict", engine=HERE, **more):
        close()
        assess = lambda _: Quality(71.5, 20)  # noqa: E731
        opened.append(LocalMatcher(Ready(), tmp_path, index=index, engine=engine, assess=assess, **more))
        return opened[-1]

    def close():
        while opened:
            opened.pop().close()

    open_.close = close
    yield open_
    FAULTS.clear()
    close()


@pytest.fixture
def matcher(open_):
    made = open_()
    made.create_gallery("g")
    for n in range(6):
        made.enrol("g", f"s{n}", [embedding(n), embedding(100 + n)], check="off")
    return made


def found(matcher, seed: int, gallery="g") -> list[str]:
    return [one.subject for one in matcher.identify(gallery, embedding(seed), max_candidates=3).candidates]


def rows() -> list[int]:
    return sorted(len(content) for content in TABLES.values())


# -- the index ----------------------------------------------------------------------------------------


def index_of(count: int, distinct: int, seed: int = 0) -> tuple[EngineIndex, ExactIndex, np.ndarray]:
    pool = people(distinct, 1, seed)
    vectors = pool[np.random.default_rng(seed).integers(0, distinct, count)]
    TABLES["t"] = {}
    ours, exact = EngineIndex(DIMENSION, DictTable("t", DIMENSION)), ExactIndex(DIMENSION)
    for index in (ours, exact):
        index.add(np.arange(count), vectors)
    return ours, exact, pool


@pytest.mark.parametrize(
    ("count", "distinct", "k"),
    [(0, 1, 3), (1, 1, 3), (5, 5, 5), (60, 60, 3), (60, 1, 3), (300, 300, 3), (300, 2, 3), (300, 300, 100)],
)
def test_an_index_in_an_engine_equals_the_exact_one(count, distinct, k):
    """Also with more requested or equal rows than the 64 that this engine returns at most."""
    ours, exact, pool = index_of(count, distinct)
    for one, other in zip(ours.search(pool[:4], k), exact.search(pool[:4], k), strict=True):
        assert np.array_equal(one, other)


def test_what_was_removed_does_not_come_back_from_an_engine_that_lags():
    ours, exact, pool = index_of(30, 30)
    FAULTS.add("lags")
    near = exact.search(pool[:1], 3)[0][0]
    for index in (ours, exact):
        index.remove(near)
    assert np.array_equal(ours.search(pool[:1], 5)[0], exact.search(pool[:1], 5)[0])


def test_a_removal_is_verified():
    ours, _, _ = index_of(5, 5)
    FAULTS.add("keeps")
    with pytest.raises(EngineError, match="still holds 2 deleted rows"):
        ours.remove(np.array([1, 2]))
    with pytest.raises(InputError, match="not in the index"):
        ours.vectors(np.array([1]))


def test_a_row_that_the_engine_lost_is_reported():
    ours, _, _ = index_of(5, 5)
    del TABLES["t"][3]
    with pytest.raises(EngineError, match="1 of 2 rows"):
        ours.vectors(np.array([3, 4]))


# -- the gallery --------------------------------------------------------------------------------------


def test_answers_equal_those_of_an_index_in_memory(matcher, tmp_path):
    other = LocalMatcher(Ready(), tmp_path / "other")
    other.create_gallery("g")
    for n in range(6):
        other.enrol("g", f"s{n}", [embedding(n), embedding(100 + n)], check="off")
    for seed in range(10):
        ours, theirs = (one.identify("g", embedding(seed)) for one in (matcher, other))
        assert (ours.outcome, ours.candidates) == (theirs.outcome, theirs.candidates)
    other.close()


def test_a_gallery_sees_its_own_subjects_only(matcher):
    matcher.create_gallery("h")
    matcher.enrol("h", "else", [embedding(0)])
    assert found(matcher, 0, "h") == ["else"]
    assert "else" not in found(matcher, 0)
    assert rows() == [1, 12]
    matcher.delete_gallery("h")
    assert rows() == [12]


@pytest.mark.parametrize("fusion", list(Fusion))
def test_a_start_repairs_what_a_crash_left(open_, fusion):
    made = open_()
    made.create_gallery("g", fusion=fusion)
    for n in range(4):
        made.enrol("g", f"s{n}", [embedding(n), embedding(100 + n)], check="off")
    expected = [made.identify("g", embedding(n)).candidates for n in range(8)]
    ((name, content),) = TABLES.items()
    content.pop(next(iter(content)))  # written to the store, not to the engine
    content[999] = people(1, 1, 7)[0]  # deleted in the store, not in the engine
    if fusion is not Fusion.MAX:
        content[next(iter(content))] = people(1, 1, 8)[0]  # of before a sample was added
    TABLES[name.rpartition("_")[0] + "_77"] = {}  # of a gallery that was deleted
    made = open_()
    assert [made.identify("g", embedding(n)).candidates for n in range(8)] == expected
    assert list(TABLES) == [name]
    assert 999 not in content


def test_another_stores_galleries_are_left_alone(matcher, open_):
    TABLES["gaitid_" + 32 * "0" + "_1"] = {1: people(1, 1, 0)[0]}
    open_()
    assert rows() == [1, 12]


def test_while_the_engine_is_down_changes_are_kept_and_searches_refused(matcher, caplog):
    FAULTS.add("down")
    assert matcher.enrol("g", "new", [embedding(50)], check="off").revision == 7
    matcher.delete_subject("g", "s0")
    for act in (lambda: found(matcher, 0), lambda: matcher.verify("g", "s1", embedding(1))):
        with pytest.raises(EngineUnreachable):
            act()
    FAULTS.clear()
    assert found(matcher, 50)[0] == "new"
    assert "s0" not in found(matcher, 0)
    assert rows() == [11]
    assert "new" not in caplog.text


def test_a_partial_change_in_the_engine_is_completed_at_the_next_search(matcher):
    FAULTS.add("half")
    matcher.enrol("g", "new", [embedding(50), embedding(51)], check="off")
    assert rows() == [13]
    FAULTS.clear()
    assert found(matcher, 51)[0] == "new"
    assert rows() == [14]


@pytest.mark.parametrize(("fault", "error"), [("down", EngineUnreachable), ("keeps", EngineError)])
def test_no_receipt_while_the_engine_may_hold_the_subject(matcher, fault, error):
    FAULTS.add(fault)
    with pytest.raises(error):
        matcher.erase_subject("g", "s1")
    FAULTS.clear()
    assert found(matcher, 1)[0] != "s1"
    assert rows() == [10]
    assert matcher.erase_subject("g", "s1").templates == 2
    assert matcher.erase_subject("g", "s3").templates == 2
    assert rows() == [8]


def test_a_gallery_deleted_while_the_engine_is_down_is_dropped_at_the_next_start(matcher, open_):
    FAULTS.add("down")
    with pytest.raises(EngineUnreachable, match="Remove the cause and restart, which drops them"):
        matcher.delete_gallery("g")
    assert matcher.list_galleries() == []
    FAULTS.clear()
    assert rows() == [12]
    open_()
    assert rows() == []


def test_a_gallery_is_not_created_while_the_engine_is_down(matcher):
    FAULTS.add("down")
    with pytest.raises(EngineUnreachable):
        matcher.create_gallery("h")
    FAULTS.clear()
    matcher.create_gallery("h")


def test_a_server_does_not_start_without_its_engine(matcher, open_):
    FAULTS.add("down")
    with pytest.raises(EngineUnreachable):
        open_()


def test_a_directory_in_an_engine_is_opened_with_that_engine_only(matcher, open_, tmp_path):
    assert recall(tmp_path) == ("dict", HERE)
    for index, engine in (("faiss", HERE), ("dict", EngineSettings("elsewhere"))):
        with pytest.raises(ConfigError, match="The engine dict at here holds the galleries"):
            open_(index, engine)
    (tmp_path / RECORD).write_text("index = 3")
    with pytest.raises(ConfigError):
        open_()


def test_connect_opens_a_directory_with_its_engine(tmp_path):
    made = gaitid.connect(f"local:{tmp_path}", encoder="gei")
    made.close()
    store = Store(tmp_path)
    list(migrate(store, "dict", HERE, sealed=False))
    store.close()
    made = gaitid.connect(f"local:{tmp_path}", encoder="gei")
    made.create_gallery("g")
    made.close()
    assert rows() == [0]


def test_encrypted_templates_go_to_an_engine_only_with_consent(open_):
    keys = KeyRing(lambda: {"a": bytes(32)})
    with pytest.raises(ConfigError, match="an engine stores them in clear"):
        open_(keys=keys)
    open_(engine=EngineSettings("here", unsealed=True), keys=keys)


def test_an_unknown_index_names_those_that_are_known(open_):
    with pytest.raises(UnknownName, match=r"faiss.*pgvector.*Write 'milvus'"):
        open_("milvsu")


@pytest.mark.parametrize(
    "wrong",
    [{"search": "fast"}, {"consistency": "eventually"}, {"timeout_s": 0.0}, {"timeout_s": float("nan")}],
    ids=str,
)
def test_invalid_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        EngineSettings("here", **wrong)


@pytest.mark.parametrize(
    ("host", "encrypted", "insecure", "allowed"),
    [
        ("localhost", False, False, True),
        ("127.0.0.2", False, False, True),
        ("::1", False, False, True),
        ("db.example", True, False, True),
        ("db.example", False, True, True),
        ("db.example", False, False, False),
        ("10.0.0.7", False, False, False),
    ],
)
def test_vectors_do_not_travel_unencrypted(host, encrypted, insecure, allowed):
    settings = EngineSettings("x", insecure=insecure)
    if allowed:
        settings.check_tls(host, encrypted=encrypted)
    else:
        with pytest.raises(ConfigError, match="without TLS"):
            settings.check_tls(host, encrypted=encrypted)


# -- restored -----------------------------------------------------------------------------------------


@pytest.fixture
def restored(tmp_path):
    """Restore the backup of `backed_up` and open it; `forget` = the backup has no record of the engine."""
    opened = []

    def restored(index="dict", *, forget=False, **more):
        while opened:
            opened.pop().close()
        if not (tmp_path / "again").exists():
            (folder,) = (tmp_path / "backups").iterdir()
            restore(folder, tmp_path / "again")
            if forget:
                (tmp_path / "again" / RECORD).unlink()
        opened.append(LocalMatcher(Ready(), tmp_path / "again", index=index, **{"engine": HERE, **more}))
        return opened[-1]

    yield restored
    FAULTS.clear()
    for one in opened:
        one.close()


def backed_up(tmp_path, then, **more) -> None:
    """Back up a directory in the engine, run `then`, and lose the directory."""
    options = {"engine": HERE, **more, "index": "dict", "backups": tmp_path / "backups"}
    made = LocalMatcher(Ready(), tmp_path / "lost", **options)
    made.create_gallery("g")
    made.enrol("g", "ann", [embedding(1)])
    made.back_up()
    then(made)
    made.close()


def enrol_bob(made) -> None:
    made.enrol("g", "bob", [embedding(2)])


def test_a_restored_directory_names_its_engine_and_brings_it_to_its_state(tmp_path, restored):
    backed_up(tmp_path, enrol_bob)
    with pytest.raises(ConfigError, match="The engine dict at here holds the galleries"):
        restored("faiss")
    assert recall(tmp_path / "again") == ("dict", HERE)
    made = restored()
    assert found(made, 2) == ["ann"]
    made.enrol("g", "carol", [embedding(3)])
    assert found(restored(), 3)[0] == "carol"


def test_no_subject_is_confused_with_a_former_owner_of_its_id(tmp_path, restored, monkeypatch):
    backed_up(tmp_path, enrol_bob)
    made = restored("faiss", forget=True)
    made.enrol("g", "carol", [embedding(3)])  # gets the id that bob has in the engine

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gaitid.local.Gallery", killed)
        with pytest.raises(KeyboardInterrupt):
            restored()
    made = restored()
    assert made.identify("g", embedding(2)).subject is None
    assert made.identify("g", embedding(3)).subject == "carol"
    monkeypatch.setattr("gaitid.gallery.index.reconciliation.differing", killed)
    restored()  # what was compared once is not compared again


def test_a_renewal_that_was_lost_is_taken_back_in_the_engine(tmp_path, restored):
    backed_up(tmp_path, lambda made: made.renew_templates("g"), **RING)
    assert restored(**RING).identify("g", embedding(1)).subject == "ann"


# -- the migration ------------------------------------------------------------------------------------


@pytest.fixture
def filled(open_, tmp_path):
    """Fill a directory with a gallery of each fusion and an empty one, in memory; return its answers."""
    made = open_("faiss")
    for gallery, fusion in (("g", Fusion.MAX), ("m", Fusion.MEAN), ("void", Fusion.MAX)):
        made.create_gallery(gallery, fusion=fusion)
        for n in range(0 if gallery == "void" else 5):
            made.enrol(gallery, f"s{n}", [embedding(n), embedding(100 + n)], check="off")
    answers = {(g, n): made.identify(g, embedding(n)).candidates for g in ("g", "m") for n in range(9)}
    open_.close()
    return answers


def moved(tmp_path, name: str, settings=HERE) -> list[Moved]:
    store = Store(tmp_path)
    try:
        return list(migrate(store, name, settings, sealed=False))
    finally:
        store.close()


def check_answers(made, answers) -> None:
    for (gallery, n), candidates in answers.items():
        assert made.identify(gallery, embedding(n)).candidates == candidates


def test_galleries_move_to_an_engine_and_back(filled, open_, tmp_path):
    there = [Moved("g", 10, 10, 5, 5), Moved("m", 5, 5, 5, 5), Moved("void", 0, 0, 0, 0)]
    assert moved(tmp_path, "dict") == there
    assert rows() == [0, 5, 10]
    check_answers(open_(), filled)
    open_.close()
    assert [one.added for one in moved(tmp_path, "dict")] == [0, 0, 0]  # again: verified, nothing sent
    assert moved(tmp_path, "faiss") == there
    assert TABLES == {}
    check_answers(open_("faiss"), filled)


def test_an_interrupted_migration_continues(filled, open_, tmp_path):
    FAULTS.add("half")
    with pytest.raises(EngineUnreachable):
        moved(tmp_path, "dict")
    FAULTS.clear()
    # Opened elsewhere, an erasure would not reach the engine.
    with pytest.raises(ConfigError, match="The engine dict at here holds the galleries"):
        open_("faiss")
    assert [one.added for one in moved(tmp_path, "dict")] == [9, 5, 0]
    check_answers(open_(), filled)


def test_an_interrupted_way_back_continues(filled, open_, tmp_path):
    moved(tmp_path, "dict")
    FAULTS.add("down")
    with pytest.raises(EngineUnreachable):
        moved(tmp_path, "faiss")
    FAULTS.clear()
    check_answers(open_(), filled)
    open_.close()
    moved(tmp_path, "faiss")
    assert TABLES == {}


def test_rows_that_differ_are_found(filled, tmp_path, monkeypatch):
    moved(tmp_path, "dict")
    content = max(TABLES.values(), key=len)
    content[next(iter(content))] = people(1, 1, 9)[0]
    with pytest.raises(EngineError, match="lacked 1 rows of gallery 'g' and held 1 others"):
        moved(tmp_path, "dict")
    assert moved(tmp_path, "dict")[0].rows == 10  # it was repaired


def test_an_engine_that_searches_wrongly_is_found(filled, tmp_path, monkeypatch):
    nearest = DictTable.nearest
    monkeypatch.setattr(DictTable, "nearest", lambda self, vectors, count: nearest(self, -vectors, 1))
    with pytest.raises(EngineError, match="searches the engine found other candidates"):
        moved(tmp_path, "dict")
    assert moved(tmp_path, "dict", EngineSettings("here", search="hnsw"))[0].equal < 5


def test_from_engine_to_engine_needs_a_stop_in_this_process(filled, tmp_path):
    moved(tmp_path, "dict")
    with pytest.raises(ConfigError, match="Move them to faiss first"):
        moved(tmp_path, "dict", EngineSettings("elsewhere"))


# -- what changes the rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", list(Fusion))
def test_a_renewal_reaches_the_engine_and_changes_no_answer(open_, fusion):
    matcher = open_(**RING)
    matcher.create_gallery("g", fusion=fusion)
    for n in range(6):
        matcher.enrol("g", f"s{n}", [embedding(n), embedding(100 + n)], check="off")
    (content,) = TABLES.values()

    def scores() -> list[tuple[str, float]]:
        decisions = [matcher.identify("g", embedding(seed), max_candidates=6) for seed in (2, 104, 999)]
        return [(c.subject, c.score) for decision in decisions for c in decision.candidates]

    def same(found: list[tuple[str, float]]) -> bool:
        return found == [(subject, pytest.approx(score, abs=2e-6)) for subject, score in before]

    before, plain = scores(), dict(content)
    assert matcher.renew_templates("g") == 12
    assert same(scores())
    assert content.keys() == plain.keys()
    assert all(abs(content[key] - plain[key]).max() > 0.01 for key in plain)
    matcher.enrol("g", "late", [embedding(50)], check="off")
    held = dict(content)
    matcher = open_(**RING)
    assert all(np.array_equal(content[key], held[key]) for key in held)
    assert found(matcher, 50)[0] == "late"


def test_a_renewal_that_does_not_reach_the_engine_is_repaired_at_the_next_start(open_):
    matcher = open_(**RING)
    matcher.create_gallery("g")
    for n in range(6):
        matcher.enrol("g", f"s{n}", [embedding(n)], check="off")
    (content,) = TABLES.values()
    held = matcher._galleries["g"]
    held._store.galleries.renew_templates(held.row, lambda _: FAULTS.add("down"))
    with pytest.raises(EngineUnreachable):
        matcher.renew_templates("g")
    FAULTS.clear()
    stale = dict(content)
    matcher = open_(**RING)
    assert not any(np.array_equal(content[key], stale[key]) for key in stale)
    assert [found(matcher, n)[0] for n in range(6)] == [f"s{n}" for n in range(6)]


def test_an_engine_holds_no_normalised_rows(matcher, open_):
    cohort = [Embedding(vector, Ready.contract) for vector in people(100, 1, 7)]
    before = matcher.describe("g")
    with pytest.raises(ConfigError, match="engine holds plain rows"):
        matcher.normalise("g", cohort, fpir=0.5)
    assert matcher.describe("g") == before
    assert found(matcher, 3)[0] == "s3"
