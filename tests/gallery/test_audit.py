"""The trail holds what was committed, in order, and every change of it is detected."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from gaitid.caller import calling
from gaitid.errors import AuditBroken, DecisionNotFound, InputError, StoreError, SubjectExists
from gaitid.gallery.store import commits
from gaitid.gallery.store import trail as store_module
from gaitid.gallery.store.audit import START, Flusher, Head, Note, check_chain, link
from gaitid.gallery.store.database import DATABASE, Store
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.records import AuditAction, AuditEntry, OperatingPoint, Origin, Terms, Verdict

ROOT = Path(__file__).resolve().parents[2]
ENTRY = AuditEntry(1, 1795388466.25, "ann", "door", "enrol", "g", "ab" * 16, "done", 1, 2, "x", "cd" * 8)


def sample(seed: int = 0) -> EnrolmentSample:
    return EnrolmentSample(np.random.default_rng(seed).standard_normal(16).astype(np.float32), None, Origin())


def ignore(_: object) -> None:
    """Follow a change by doing nothing."""


def note(number: int = 0) -> Note:
    return Note(AuditAction.IDENTIFY, "g", outcome="no_match", count=5, reference=f"{number:016x}")


def opened(tmp_path: Path, **options: object) -> Store:
    return Store(tmp_path / "data", mark=tmp_path / "mark", **options)


def filled(tmp_path: Path, **options: object) -> Store:
    """Six entries: a gallery, three subjects, terms, a search."""
    store = opened(tmp_path, **options)
    row = store.galleries.create("g", "gei", "c0ffee", 16, OperatingPoint(0.5))
    for n in range(3):
        store.subjects.add(row, f"zebra-{n}", [sample(n)], ignore)
    store.subjects.set_terms(row, "zebra-0", Terms(expires_at=2e9, legal_hold=True), ignore)
    store.trail.record(note())
    return store


@pytest.fixture
def store(tmp_path):
    made = filled(tmp_path)
    yield made
    made.close()


def entries(store: Store) -> list[AuditEntry]:
    return store.trail.entries(0, 10_000)


# -- the chain alone -------------------------------------------------------------------------------


def chain(count: int) -> list[AuditEntry]:
    made, previous = [], START.hash
    for number in range(1, count + 1):
        entry = replace(ENTRY, number=number)
        made.append(replace(entry, hash=link(previous, entry)))
        previous = made[-1].hash
    return made


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_whole_chain_leads_to_its_head(count):
    made = chain(count)
    assert check_chain(made) == (Head(count, made[-1].hash) if made else START)
    assert check_chain(made[2:], Head(2, made[1].hash)).number == count if count > 2 else True


HARM = {
    "first taken out": lambda made: made[1:],
    "middle taken out": lambda made: made[:2] + made[3:],
    "two exchanged": lambda made: [made[0], made[2], made[1], *made[3:]],
    "one twice": lambda made: [*made[:3], made[2], *made[3:]],
    "numbers closed up": lambda made: [
        *made[:2],
        *(replace(entry, number=entry.number - 1) for entry in made[3:]),
    ],
    "one without a hash": lambda made: [*made[:2], replace(made[2], hash=b""), *made[3:]],
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_chain_is_detected(harm):
    with pytest.raises(AuditBroken):
        check_chain(harm(chain(5)))


@pytest.mark.parametrize("name", [field.name for field in fields(AuditEntry)])
def test_every_field_is_bound(name):
    made = chain(3)
    value = getattr(made[1], name)
    other = bytes(32) if name == "hash" else value + "x" if isinstance(value, str) else value + 1
    made[1] = replace(made[1], **{name: other})
    with pytest.raises(AuditBroken, match=r"[Ee]ntry"):
        check_chain(made)


# -- what is recorded ------------------------------------------------------------------------------


def test_a_new_trail_is_empty_and_whole(tmp_path):
    store = opened(tmp_path)
    assert entries(store) == []
    assert store.trail.verify() == START
    store.close()


def test_each_change_is_an_entry_and_a_refused_one_is_none(store):
    row = store.galleries.all()[0]
    with calling("tests", actor="ann"), pytest.raises(SubjectExists):
        store.subjects.add(row, "zebra-1", [sample()], ignore)
    found = entries(store)
    assert [entry.action for entry in found] == ["create_gallery", *["enrol"] * 3, "set_terms", "identify"]
    assert [entry.number for entry in found] == [1, 2, 3, 4, 5, 6]
    assert [entry.revision for entry in found] == [0, 1, 2, 3, 4, 0]
    assert found[4].detail == "expires at 2000000000, held"
    assert found[4].subject == found[1].subject != found[2].subject
    assert {(entry.actor, entry.purpose) for entry in found} == {("local", "")}
    assert store.trail.verify() == (6, found[-1].hash)


def test_entries_of_one_commit_have_callers_of_their_own(store):
    row = store.galleries.all()[0]
    barrier = threading.Barrier(6)

    def enrol(n: int) -> None:
        with calling(f"purpose {n}", actor=f"actor {n}"):
            barrier.wait()
            store.subjects.add(row, f"s{n}", [sample(n)], ignore)

    store._commits.mutex.acquire()
    threads = [threading.Thread(target=enrol, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    store._commits.mutex.release()
    for thread in threads:
        thread.join()
    made = entries(store)[6:]
    assert {(e.actor, e.purpose) for e in made} == {(f"actor {n}", f"purpose {n}") for n in range(6)}
    assert store.trail.verify().number == 12


def test_a_failed_transaction_takes_nothing_along(store):
    row = store.galleries.all()[0]
    store.trail.verify()

    def fail() -> None:
        store._connection.audit.append(note(1))
        raise sqlite3.OperationalError("disk on fire")

    for n in range(3):
        store._connection.audit.queue(note(2 + n), store_module.current())
    with calling("of a failure"), pytest.raises(StoreError):
        store._commits.run(fail)
    store.subjects.add(row, "late", [sample(9)], ignore)
    with calling("of a failure"):
        store.trail.record(note(7))
    found = entries(store)[6:]
    assert [entry.reference[-1:] for entry in found] == ["2", "3", "4", "", "7"]
    assert found[-1].purpose == "of a failure"
    assert store.trail.verify().number == 11


def test_a_caller_of_a_failed_transaction_is_not_taken_for_a_recorded_one(store):
    def refuse() -> None:
        store._connection.audit.append(note(1))
        raise SubjectExists("no")

    def fail() -> None:
        store._connection.audit.append(note(2))
        raise sqlite3.OperationalError("disk on fire")

    store.trail.verify()
    with calling("of a failure"):
        store._connection.audit.queue(note(3), store_module.current())
        tasks = [commits._Task(act, ignore, erases=False) for act in (refuse, fail)]
        with pytest.raises(sqlite3.OperationalError):
            store._commits._transact(tasks)
        store.trail.record(note(4))
    with calling("something else"):
        store.trail.record(note(5))
    assert [(e.reference[-1], e.purpose) for e in entries(store)[6:]] == [
        ("3", "of a failure"),
        ("4", "of a failure"),
        ("5", "something else"),
    ]
    assert store.trail.verify().number == 9


def test_a_trail_goes_on_over_restarts(store, tmp_path):
    before = entries(store)
    store.close()
    again = opened(tmp_path)
    again.trail.record(note(1))
    assert entries(again)[:-1] == before
    assert again.trail.verify().number == 7
    again.close()


# -- searches wait a little ------------------------------------------------------------------------


def stored(tmp_path: Path) -> int:
    """Entries that another process sees."""
    reader = sqlite3.connect(tmp_path / "data" / DATABASE)
    (count,) = reader.execute("SELECT count(*) FROM audit").fetchone()
    reader.close()
    return int(count)


def test_a_search_is_recorded_within_the_time(tmp_path):
    store = filled(tmp_path, audit_within_s=0.2)
    end = time.monotonic() + 5
    while stored(tmp_path) < 6 and time.monotonic() < end:
        time.sleep(0.01)
    assert stored(tmp_path) == 6
    store.close()


def test_a_search_is_recorded_before_its_answer_if_asked_for(tmp_path):
    store = filled(tmp_path, audit_within_s=0)
    assert stored(tmp_path) == 6
    store.close()


def test_the_next_change_takes_waiting_searches_along(tmp_path):
    store = filled(tmp_path, audit_within_s=60)
    assert stored(tmp_path) == 5
    store.subjects.add(store.galleries.all()[0], "s", [sample()], ignore)
    assert [entry.action for entry in entries(store)[-2:]] == ["identify", "enrol"]
    store.close()


def test_a_closed_store_has_recorded_all(tmp_path):
    filled(tmp_path, audit_within_s=60).close()
    assert stored(tmp_path) == 6


def test_so_many_may_wait_and_then_answers_wait_for_them(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MOST_WAITING", 4)
    store = filled(tmp_path, audit_within_s=60)
    for n in range(2):
        store.trail.record(note(n))
    assert stored(tmp_path) == 5
    store.trail.record(note(3))
    assert stored(tmp_path) == 9
    store.close()


def test_no_answer_without_a_record(tmp_path, monkeypatch, caplog):
    """A full disk stops searches once the most that may wait do; the log says it once."""
    monkeypatch.setattr(store_module, "MOST_WAITING", 2)
    monkeypatch.setattr(store_module, "MOST_UNWRITTEN", 5)
    store = filled(tmp_path, audit_within_s=0.1)
    monkeypatch.setattr(
        store._connection.audit, "begin", lambda: (_ for _ in ()).throw(sqlite3.OperationalError("full"))
    )
    with pytest.raises(StoreError):
        store.trail.append(note(9))  # now the store knows that changes are refused
    outcomes = []
    for n in range(6):
        try:
            store.trail.record(note(n))
            outcomes.append(True)
        except StoreError:
            outcomes.append(False)
    assert outcomes == [True] * 3 + [False] * 3
    time.sleep(0.3)
    assert caplog.text.count("wait to be recorded") == 1
    assert caplog.text.count("changes are refused") == 1
    monkeypatch.undo()
    assert store.trail.verify().number == 12
    store.close()


def test_a_killed_process_loses_searches_that_waited_and_nothing_else(tmp_path):
    code = """
        import sys
        from gaitid.gallery.store.database import Store
        sys.path.insert(0, "tests/gallery")
        from test_audit import ignore, note, opened, sample
        from pathlib import Path
        from gaitid.records import OperatingPoint
        store = opened(Path(sys.argv[1]), audit_within_s=0.05)
        row = store.galleries.create("g", "gei", "c0ffee", 16, OperatingPoint(0.5))
        for n in range(100000):
            store.trail.record(note(2 * n))
            store.subjects.add(row, f"s{n}", [sample(n)], ignore)
            store.trail.record(note(2 * n + 1))
            print(n, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        last = [process.stdout.readline() for _ in range(12)][-1]
        process.send_signal(signal.SIGKILL)
        last = (process.stdout.read().split() or [last])[-1]
    done = int(last) + 1
    store = opened(tmp_path)
    found = entries(store)
    assert store.trail.verify().number == len(found)
    enrolled = [entry for entry in found if entry.action == "enrol"]
    assert len(enrolled) >= done
    assert len(store.galleries.contents(store.galleries.all()[0]).subjects) == len(enrolled)
    searches = [int(entry.reference, 16) for entry in found if entry.action == "identify"]
    assert searches[: 2 * done - 1] == list(range(2 * done - 1))  # a change takes those before it along
    store.close()


# -- tampering -------------------------------------------------------------------------------------


def harmed(tmp_path: Path, *statements: str) -> None:
    """Tamper with a closed database by SQL."""
    db = sqlite3.connect(tmp_path / "data" / DATABASE)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert db.execute(statement).rowcount != 0, statement
    db.commit()
    db.close()


TAMPERING = {
    "an outcome": ["UPDATE audit SET outcome = 'match' WHERE number = 6"],
    "a time": ["UPDATE audit SET at = at - 3600 WHERE number = 2"],
    "a pseudonym": ["UPDATE audit SET subject = zeroblob(16) WHERE number = 3"],
    "an actor": ["UPDATE callers SET actor = 'nobody' WHERE actor = 'local'"],
    "the first": ["DELETE FROM audit WHERE number = 1"],
    "one in the middle": ["DELETE FROM audit WHERE number = 4"],
    "closed up": [
        "DELETE FROM audit WHERE number = 4",
        "UPDATE audit SET number = number - 1 WHERE number > 4",
    ],
    "two exchanged": [
        "UPDATE audit SET number = -2 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = -2",
    ],
}


@pytest.mark.parametrize("statements", TAMPERING.values(), ids=TAMPERING)
def test_every_change_is_detected(store, tmp_path, statements):
    store.close()
    harmed(tmp_path, *statements)
    again = Store(tmp_path / "data")
    with pytest.raises(AuditBroken):
        again.trail.verify()
    again.close()


@pytest.mark.parametrize("kept", [0, 3, 5])
def test_what_was_cut_off_is_detected_by_the_mark(store, tmp_path, kept):
    store.close()
    harmed(tmp_path, f"DELETE FROM audit WHERE number > {kept}")  # noqa: S608
    for _ in range(2):
        with pytest.raises(AuditBroken, match="Entry 6"):
            opened(tmp_path)
    blind = Store(tmp_path / "data")  # not detected without a mark
    assert blind.trail.verify().number == kept
    blind.close()


def test_entries_cut_off_while_the_store_is_open_are_detected(store, tmp_path):
    store.trail.verify()
    harmed(tmp_path, "DELETE FROM audit WHERE number > 3")
    with pytest.raises(AuditBroken, match="ends with entry 3, not 6"):
        store.trail.verify()


def test_a_trail_that_was_rewritten_is_detected_by_the_mark(store, tmp_path):
    """Cut off and continued to the same length, with hashes that are right."""
    store.close()
    harmed(tmp_path, "DELETE FROM audit WHERE number > 4")
    forger = Store(tmp_path / "data")
    for n in range(2):
        forger.trail.record(note(50 + n))
    assert forger.trail.verify().number == 6
    forger.close()
    with pytest.raises(AuditBroken, match="Entry 6"):
        opened(tmp_path)


def test_a_mark_of_before_the_trail_is_taken_over(store, tmp_path):
    import hashlib
    import hmac

    name, secret, changes = store._db.execute("SELECT name, secret, changes FROM state").fetchone()
    store.close()
    said = b"gaitid mark 1 %s %020d" % (name.hex().encode(), changes)
    line = said + b" " + hmac.new(secret, said, hashlib.sha256).hexdigest().encode() + b"\n"
    (tmp_path / "mark").write_bytes(line)
    opened(tmp_path).close()
    assert (tmp_path / "mark").read_bytes().startswith(b"gaitid mark 2 ")
    (tmp_path / "mark").write_bytes(line.replace(b"mark 1", b"mark 2"))
    with pytest.raises(StoreError, match="not a mark of this database"):
        opened(tmp_path)


@pytest.mark.parametrize("table", ["audit", "callers"])
def test_the_database_itself_refuses_changes(store, table):
    entries(store)
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid + 1"):  # noqa: S608
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store._db.execute(statement)


def test_an_older_copy_with_its_trail_is_no_whole_trail(store, tmp_path):
    store.close()
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    again = opened(tmp_path)
    again.trail.record(note(1))
    again.close()
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "copy").rename(tmp_path / "data")
    with pytest.raises(StoreError, match="older copy"):
        opened(tmp_path)


# -- names -----------------------------------------------------------------------------------------


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def test_a_pseudonym_ends_with_its_subject(store, tmp_path):
    row = store.galleries.all()[0]
    (first,) = {entry.subject for entry in entries(store) if entry.number == 3}
    store.subjects.delete(row, "zebra-1", ignore)
    store.subjects.add(row, "zebra-1", [sample(1)], ignore)
    *_, gone, back = entries(store)
    assert (gone.action, gone.subject) == ("delete_subject", first)
    assert back.subject != first
    linked = store._db.execute("SELECT count(*) FROM subjects WHERE pseudonym = ?", (bytes.fromhex(first),))
    assert linked.fetchone() == (0,)


def test_no_name_gets_into_the_trail(store, tmp_path):
    row = store.galleries.all()[0]
    for said in ({"purpose": "look for zebra-1 again"}, {"actor": "zebra-1"}):
        with calling(**said), pytest.raises(InputError, match="contains the name of a subject"):
            store.trail.record(note())
    with calling("look for zebra-9"):
        store.trail.record(note())
    with pytest.raises(InputError, match="part of an actor"):
        store.subjects.add(row, "zebra-9", [sample()], ignore)
    for built_in in ("anonymous", "gaitid"):
        with pytest.raises(InputError, match="part of an actor"):
            store.subjects.add(row, built_in, [sample()], ignore)
    with pytest.raises(InputError, match="Gallery name 'of-zebra-1' contains"):
        store.galleries.create("of-zebra-1", "gei", "c0ffee", 16, OperatingPoint(0.5))
    with calling("look for zebra-2"), pytest.raises(InputError, match="contains the name"):
        store.subjects.add(row, "late", [sample()], ignore)
    store.galleries.create("orangutan", "gei", "c0ffee", 16, OperatingPoint(0.5))
    with pytest.raises(InputError, match="or a gallery name"):
        store.subjects.add(row, "orangutan", [sample()], ignore)
    with calling("look for ape"):  # too short: a match may be chance
        store.trail.record(note())
    store.subjects.add(row, "ape", [sample()], ignore)
    for name in ("zebra-1", "zebra-2"):
        store.subjects.delete(row, name, ignore)
    content = everything(tmp_path)
    assert b"zebra-0" in content
    assert b"zebra-1" not in content
    assert b"zebra-2" not in content


# -- reviews ---------------------------------------------------------------------------------------


def test_verdicts_follow_a_decision_even_one_that_waits(store):
    row = store.galleries.all()[0]
    store.trail.record(replace(note(77), subject=bytes(range(16)), revision=4))
    with calling(actor="ann"):
        first = store.trail.review(row, f"{77:016x}", Verdict.CONFIRMED)
    with calling(actor="bob"):
        second = store.trail.review(row, f"{77:016x}", Verdict.REJECTED)
    assert (first, second) == (8, 9)
    found = entries(store)[6:]
    assert [(e.action, e.actor, e.outcome) for e in found] == [
        ("identify", "local", "no_match"),
        ("review", "ann", "confirmed"),
        ("review", "bob", "rejected"),
    ]
    assert {(e.reference, e.subject, e.revision) for e in found} == {
        (f"{77:016x}", bytes(range(16)).hex(), 4)
    }


def test_a_decision_that_is_not_there_has_no_verdict(store):
    row = store.galleries.all()[0]
    other = store.galleries.create("other", "gei", "c0ffee", 16, OperatingPoint(0.5))
    for gallery, number in ((row, 99), (other, 0)):
        with pytest.raises(DecisionNotFound):
            store.trail.review(gallery, f"{number:016x}", Verdict.CONFIRMED)
    assert store.trail.verify().number == 7


def test_the_flusher_ends_when_it_is_closed_while_it_begins_a_flush():
    flusher = Flusher(lambda: None, 0.0)
    closing = threading.Thread(target=flusher.close)
    clear, is_first = flusher._due.clear, True

    def clear_late() -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            closing.start()
            flusher._closed.wait(10)
            time.sleep(0.05)  # `close` has set the event that is cleared now
        clear()

    flusher._due.clear = clear_late
    flusher.wake()
    flusher._thread.join(10)
    assert not flusher._thread.is_alive()
    closing.join(10)
