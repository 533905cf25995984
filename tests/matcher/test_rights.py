"""Rights of a subject: export and erasure."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from gaitid.caller import calling
from gaitid.errors import StoreCorrupt, StoreError, SubjectNotFound
from gaitid.gallery.care.identity import FILE, check
from gaitid.gallery.store.keys import KeyRing
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, GaitSequence, Origin, Quality, Reason, Terms, Verdict
from tests.impostors import Ready, embedding


class Flat(Ready):
    """Embeds a sequence as the vector named by its camera."""

    def __call__(self, sequence: GaitSequence) -> Embedding:
        return embedding(int(sequence.origin.camera))


QUALITY = Quality(71.5, 20, 2.5, 110.0, 200.0, 25.0, 0.5, 0.25)


@pytest.fixture(params=[None, {"a": bytes(32)}], ids=["plain", "sealed"])
def matcher(tmp_path, request):
    keys = None if request.param is None else KeyRing(lambda: request.param)
    made = LocalMatcher(
        Flat(), tmp_path / "data", keys=keys, mark=tmp_path / "mark", assess=lambda _: QUALITY
    )
    made.create_gallery("g")
    yield made
    made.close()


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def test_an_erased_subject_is_in_no_file_within_a_second_of_the_receipt(matcher, tmp_path):
    names = [f"zebra-{n:08x}" for n in range(40)]
    for n, name in enumerate(names):
        matcher.enrol("g", name, [embedding(n), embedding(100 + n)], check="off")
        matcher.set_terms("g", name, Terms("consent", "door", f"form of {name}"))
        with calling("tests", actor="operator"):  # leaves entries of all kinds in the audit trail
            matcher.add_samples("g", name, [embedding(200 + n)], check="off")
            found = matcher.identify("g", embedding(n))
            matcher.verify("g", name, embedding(n))
            matcher.review("g", found.audit_id, Verdict.CONFIRMED)
            matcher.export_subject("g", name)
    for n, name in enumerate(names[::4]):
        db = matcher._store._db
        blobs = [row[0] for row in db.execute("SELECT vector FROM templates WHERE subject = ?", (4 * n + 1,))]
        (key,) = db.execute("SELECT data_key FROM subjects WHERE id = ?", (4 * n + 1,)).fetchone()
        receipt = matcher.erase_subject("g", name)
        since = time.time() - receipt.erased_at
        content = everything(tmp_path)
        vectors = [embedding(4 * n + more).vector.tobytes() for more in (0, 100, 200)]
        assert name.encode() not in content
        for piece in (*blobs, *vectors, *([key] if key else [])):
            pieces = [piece[at : at + 12] for at in range(0, len(piece) - 11, 12)]
            assert pieces
            assert not any(part in content for part in pieces)
        assert since < 1.0
        check(receipt)
        assert (receipt.gallery, receipt.subject, receipt.templates) == ("g", name, 3)
        assert receipt.revision == 121 + n
        assert receipt.scanned_bytes >= len(content) // 2
    assert matcher.describe("g").subjects == 30
    assert names[1].encode() in content
    assert matcher.verify_audit().number == 1 + 40 * 7 + 10


def test_an_id_that_remains_is_reported_and_gives_no_receipt(matcher, tmp_path):
    matcher.enrol("g", "zebra-ann", [embedding(1)])
    matcher.enrol("g", "zebra-ann-2", [embedding(2)], check="off")
    assert matcher.erase_subject("g", "zebra-ann").templates == 1  # within a name that is still there
    (tmp_path / "data" / "notes").write_text("zebra-ann-2 called today")
    with pytest.raises(StoreError, match="notes still holds"):
        matcher.erase_subject("g", "zebra-ann-2")


@pytest.mark.parametrize("name", ["galleries", "silhouette", "identify", "threshold", "reasons", "a"])
def test_an_id_that_is_a_word_of_the_database_is_no_trace(matcher, name):
    matcher.enrol("g", name, [embedding(1)])
    matcher.identify("g", embedding(1))
    assert matcher.erase_subject("g", name).templates == 1


def test_an_equal_vector_of_another_subject_is_no_trace(matcher):
    for name in ("ann", "bob"):
        matcher.enrol("g", name, [embedding(1)])
    assert matcher.erase_subject("g", "ann").templates == 1
    assert matcher.identify("g", embedding(1)).subject == "bob"


def test_a_trace_that_remains_is_reported_and_gives_no_receipt(matcher, tmp_path):
    matcher.enrol("g", "ann", [embedding(1)])
    (blob,) = matcher._store._db.execute("SELECT vector FROM templates").fetchone()
    (tmp_path / "data" / "copy").write_bytes(b"somebody's backup" + blob)
    with pytest.raises(StoreError, match="copy still holds"):
        matcher.erase_subject("g", "ann")
    assert matcher.list_subjects("g") == []
    (tmp_path / "data" / "copy").unlink()
    receipt = matcher.erase_subject("g", "ann")
    check(receipt)
    assert (receipt.templates, receipt.revision) == (1, 2)
    with pytest.raises(SubjectNotFound):
        matcher.erase_subject("g", "ann")


def test_a_damaged_signing_key_prevents_the_erasure(matcher, tmp_path):
    matcher.enrol("g", "ann", [embedding(1)])
    (tmp_path / "data" / FILE).write_bytes(b"short")
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match="not a signing key"):
            matcher.erase_subject("g", "ann")
    assert matcher.identify("g", embedding(1)).subject == "ann"
    (tmp_path / "data" / FILE).unlink()
    check(matcher.erase_subject("g", "ann"))


def test_a_repeated_erasure_covers_a_subject_enrolled_meanwhile(matcher, tmp_path):
    copy = tmp_path / "data" / "copy"
    matcher.enrol("g", "ann", [embedding(1), embedding(2)], check="off")
    (blob,) = matcher._store._db.execute("SELECT vector FROM templates WHERE id = 1").fetchone()
    copy.write_bytes(blob)
    with pytest.raises(StoreError, match="copy still holds"):
        matcher.erase_subject("g", "ann")
    matcher.enrol("g", "ann", [embedding(3)])
    with pytest.raises(StoreError, match="copy still holds"):  # of the first enrolment
        matcher.erase_subject("g", "ann")
    copy.unlink()
    receipt = matcher.erase_subject("g", "ann")
    assert (receipt.templates, receipt.revision) == (3, 4)


def test_an_erasure_that_could_not_empty_the_log_gets_its_receipt_later(matcher, tmp_path):
    matcher.enrol("g", "ann", [embedding(1)])
    reader = sqlite3.connect(tmp_path / "data" / "gaitid.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subjects").fetchone()
    for _ in range(2):
        with pytest.raises(StoreError, match="traces remain in the write-ahead log"):
            matcher.erase_subject("g", "ann")
    reader.close()
    assert matcher.erase_subject("g", "ann").revision == 2


def test_an_export_has_everything(matcher):
    seen = GaitSequence(
        {"silhouette": np.zeros((20, 64, 44), np.uint8)}, np.arange(20) / 25, origin=Origin("7", 3)
    )
    before = time.time()
    matcher.enrol("g", "ann", [seen, embedding(8)])
    matcher.enrol("g", "bob", [embedding(9)])
    matcher.add_samples("g", "ann", [embedding(10)])
    export = matcher.export_subject("g", "ann")
    assert (export.gallery, export.subject) == ("g", "ann")
    assert before <= export.enrolled_at <= time.time()
    assert [template.id for template in export.templates] == ["1", "2", "4"]
    assert [template.quality for template in export.templates] == [QUALITY, None, None]
    assert [template.origin for template in export.templates] == [Origin("7", 3), Origin(), Origin()]
    for template, seed in zip(export.templates, (7, 8, 10), strict=True):
        np.testing.assert_allclose(template.embedding.vector, embedding(seed).vector, atol=1e-7)
        assert template.embedding.contract == Flat.contract
        assert template.subject == "ann"


def test_a_stored_reason_comes_back(matcher):
    matcher.enrol("g", "ann", [embedding(1)])
    matcher._store._db.execute(
        'UPDATE templates SET quality = \'{"score": 5, "frames": 3, "reasons": ["standing"]}\''
    )
    (template,) = matcher.export_subject("g", "ann").templates
    assert template.quality == Quality(5, 3, reasons=(Reason.STANDING,))


def test_an_unknown_subject_is_not_found(matcher):
    for act in (matcher.erase_subject, matcher.export_subject):
        with pytest.raises(SubjectNotFound):
            act("g", "nobody")
    assert matcher.describe("g").revision == 0
