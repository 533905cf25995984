"""The matcher over a data directory of this process."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gaitid import __version__, registry
from gaitid.encoders.base import Encoder, check_input, impostors_of, parts_of
from gaitid.errors import (
    ConfigError,
    GalleryNotFound,
    InputError,
    StoreError,
)
from gaitid.gallery.care.backup import back_up
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.engine import EngineSettings
from gaitid.gallery.placement import is_engine, open_indexes, record
from gaitid.gallery.scoring.calibration import ScoreCalibration, of_card
from gaitid.gallery.scoring.cohort import Walks
from gaitid.gallery.scoring.policy import Policy, decide, described
from gaitid.gallery.store.answers import Answers
from gaitid.gallery.store.audit import Note
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.refusals import gallery_not_found
from gaitid.gallery.store.rows import GalleryRow
from gaitid.intake import Intake, site_of, walk_of
from gaitid.matcher import FPIR, MAX_AUDIT, MAX_CANDIDATES
from gaitid.quality import assess as assess_quality
from gaitid.records import (
    AuditAction,
    AuditEntry,
    AuditHead,
    Backup,
    Calibration,
    CameraProfile,
    Decision,
    Embedding,
    Enrolment,
    EnrolmentCheck,
    ErasureReceipt,
    Fusion,
    GaitSequence,
    GalleryInfo,
    Normalisation,
    OperatingPoint,
    Outcome,
    Probe,
    Quality,
    QualityPolicy,
    ServerInfo,
    SubjectExport,
    SubjectInfo,
    Terms,
    Verdict,
    check_audit_id,
    check_choice,
    check_name,
)
from gaitid.selection import (
    check_camera,
    check_fpir,
    check_learning,
    check_probe,
    check_probes,
    check_profiles,
    placed,
    select,
)

if TYPE_CHECKING:
    from gaitid.gallery.care.identity import Signer
    from gaitid.gallery.store.keys import KeyRing

_LOG = logging.getLogger(__name__)


class LocalMatcher:
    """A matcher over a data directory of this process; see `Matcher` for its methods.

    Any number of threads may use it at the same time. Arguments are checked in this order: names, gallery,
    subject, probe. A malformed probe for an unknown gallery is therefore a `GalleryNotFound`.

    Expired subjects are excluded from all answers immediately. `expire` erases them. It runs when the data
    directory is opened (a failure is logged), before each change of a gallery, before a backup and before a
    rotation of keys. A long-running process should also call it regularly; the server calls it once a minute.

    Args:
        encoder: Embeds sequences; called from many threads.
        data: Data directory; created if it does not exist.
        index: Name in `registry.INDEXES` or `registry.ENGINES`.
        engine: Address and search settings of an engine.
        keys: Keys that encrypt templates on disk; None = no encryption. See `find_keys`.
        mark: File that detects a data directory that was rolled back, best on another disk; None = no mark.
        backups: Folder for backups, outside `data`; None = `back_up` is refused.
        audit_within_s: Longest delay of a search's entry in the audit trail, seconds. Entries that are still
            waiting are lost if the process is killed. 0 = written before the answer. Changes are always
            written before the answer.
        policy: Smallest quality of a sequence that is searched or enrolled; None = the default.
        assess: Measures the quality of a sequence and says whether it is usable, in place of
            `quality.assess` with the policy.

    Raises:
        StoreError: The directory is in use, read-only, damaged, or encrypted with another key; see
            `gallery.store.database.Store`.
        UnknownName: The index is unknown.
        ConfigError: The engine's settings are invalid, or another engine stores the galleries.
    """

    def __init__(
        self,
        encoder: Encoder,
        data: Path | str,
        *,
        index: str = "faiss",
        engine: EngineSettings | None = None,
        keys: KeyRing | None = None,
        mark: Path | None = None,
        backups: Path | None = None,
        audit_within_s: float = 1.0,
        policy: QualityPolicy | None = None,
        assess: Callable[[GaitSequence], Quality] | None = None,
    ) -> None:
        self._encoder = encoder
        self._policy = (policy or QualityPolicy()) if assess is None else None
        self._intake = Intake(encoder, assess or partial(assess_quality, policy=self._policy))
        self._backups = backups
        if not is_engine(index):
            registry.resolve("indexes", index)  # fail on a misspelt name before anything is opened
        self._store = Store(data, keys, mark=mark, audit_within_s=audit_within_s)
        try:
            settings, sealed = engine or EngineSettings(), keys is not None
            self._indexes = open_indexes(index, settings, self._store, sealed=sealed)
            try:
                rows = self._store.galleries.all()
                self._indexes.drop_others(rows)
                compare = self._indexes.compare
                self._galleries = {
                    row.name: Gallery(self._store, row, self._indexes.of(row), thorough=compare)
                    for row in rows
                }
                if compare:
                    record(self._store.directory, index, settings)
                try:
                    self.expire()
                except StoreError as error:  # no reason to refuse all calls: the expired are in no answer
                    _LOG.error("expired subjects could not be erased at opening: %s", error.code)
            except BaseException:
                self._indexes.close()
                raise
        except BaseException:
            self._store.close()
            raise

    def create_gallery(
        self,
        gallery: str,
        *,
        operating_point: OperatingPoint | None = None,
        fusion: Fusion = Fusion.MAX,
        profiles: bool = True,
    ) -> GalleryInfo:
        """See `Matcher.create_gallery`."""
        check_name(gallery, "gallery")
        encoder = self._encoder
        calibration = _card_calibration(encoder)
        operating_point = Policy(OperatingPoint(encoder.threshold), calibration).resolve(operating_point, 0)
        row = self._store.galleries.create(
            gallery,
            encoder.name,
            encoder.contract,
            encoder.dimension,
            operating_point,
            fusion=check_choice(Fusion, fusion),
            calibration=calibration,
            parts=parts_of(encoder),
            profiles=check_profiles(profiles),
        )
        try:
            held = Gallery(self._store, row, self._indexes.of(row))
        except BaseException:  # for example an engine that does not answer
            self._store.galleries.delete(row, lambda _: None)
            raise
        self._galleries[gallery] = held
        return held.describe()

    def calibrate(self, gallery: str, impostors: Iterable[Probe] = ()) -> Calibration:
        """See `Matcher.calibrate`."""
        chosen = select(self, gallery, check_probes(impostors))
        return self._find_to_change(gallery).calibrate(_walks(chosen) if chosen else None)

    def set_operating_point(self, gallery: str, operating_point: OperatingPoint) -> GalleryInfo:
        """See `Matcher.set_operating_point`."""
        held = self._find_to_change(gallery)
        if not isinstance(operating_point, OperatingPoint):
            kind = type(operating_point).__name__
            raise InputError(
                f"Argument operating_point is of type {kind}",
                "an OperatingPoint",
                "Pass OperatingPoint(threshold=0.5)",
            )
        held.set_operating_point(operating_point)
        return held.describe()

    def normalise(self, gallery: str, cohort: Iterable[Probe], *, fpir: float = FPIR) -> Normalisation:
        """See `Matcher.normalise`."""
        check_probes(cohort)
        self._find(gallery)
        check_fpir(fpir)
        chosen = select(self, gallery, cohort)
        if not chosen:
            raise InputError(
                "The cohort is empty", "100 walks or more", "Pass walks of people who are not enrolled"
            )
        return self._find_to_change(gallery).normalise(_walks(chosen), fpir)

    def stop_normalising(self, gallery: str) -> GalleryInfo:
        """See `Matcher.stop_normalising`."""
        held = self._find_to_change(gallery)
        held.stop_normalising()
        return held.describe()

    def set_profiles(self, gallery: str, profiles: bool) -> GalleryInfo:
        """See `Matcher.set_profiles`."""
        held = self._find_to_change(gallery)
        held.set_profiles(check_profiles(profiles))
        return held.describe()

    def learn_camera(
        self, gallery: str, camera: str, sequences: Iterable[Probe], *, direction: str = ""
    ) -> CameraProfile:
        """See `Matcher.learn_camera`; keeps embeddings only, so memory does not grow with the walks."""
        check_learning(self._find(gallery).describe(), camera, direction)
        self._store.trail.introduce()
        chosen = select(self, gallery, check_probes(sequences))
        held = self._find_to_change(gallery)
        profile = self._intake.learn(held, camera, chosen, direction)
        held.save_profiles()
        self._store.trail.append(Note(AuditAction.LEARN_CAMERA, gallery, count=len(chosen)))
        return profile

    def cameras(self, gallery: str) -> list[CameraProfile]:
        """See `Matcher.cameras`."""
        return self._find(gallery).cameras()

    def forget_camera(self, gallery: str, camera: str) -> int:
        """See `Matcher.forget_camera`."""
        check_camera(camera)
        return self._find_to_change(gallery).forget_camera(camera)

    def list_galleries(self) -> list[GalleryInfo]:
        """See `Matcher.list_galleries`."""
        self._store.check_open()
        return [held.describe() for _, held in sorted(self._galleries.copy().items())]

    def expire(self) -> None:
        """Erase the expired subjects of all galleries; each erasure is recorded in the audit trail.

        Raises:
            StoreError: One could not be erased; it stays out of all answers.
        """
        for held in list(self._galleries.copy().values()):
            with suppress(GalleryNotFound):  # deleted by another thread
                held.expire()
                held.renew_profiles()
                held.save_profiles()

    @property
    def answers(self) -> Answers:
        """Answers of recent changes, for a server that makes retries safe."""
        return self._store.answers

    def accepts_changes(self) -> bool:
        """Whether changes can be made; a directory on a full disk is open to be searched only."""
        return self._store.accepts_changes()

    def describe(self, gallery: str) -> GalleryInfo:
        """See `Matcher.describe`."""
        return self._find(gallery).describe()

    def delete_gallery(self, gallery: str) -> None:
        """See `Matcher.delete_gallery`."""
        row = self._find_to_change(gallery).row
        self._store.galleries.delete(row, lambda _: self._forget(row))
        self._indexes.drop(row)

    def enrol(
        self,
        gallery: str,
        subject: str,
        samples: Sequence[Probe],
        *,
        check: EnrolmentCheck = EnrolmentCheck.WARN,
    ) -> Enrolment:
        """See `Matcher.enrol`; all accepted samples are stored, or none."""
        check_name(subject, "subject")
        held = self._find_to_change(gallery)
        held.require_new(subject)
        return self._intake.enrol(held, subject, samples, check, held.add_subject)

    def add_samples(
        self,
        gallery: str,
        subject: str,
        samples: Sequence[Probe],
        *,
        check: EnrolmentCheck = EnrolmentCheck.WARN,
    ) -> Enrolment:
        """See `Matcher.add_samples`; all accepted samples are stored, or none."""
        check_name(subject, "subject")
        held = self._find_to_change(gallery)
        held.require(subject)
        return self._intake.enrol(held, subject, samples, check, held.add_templates)

    def enrol_many(self, gallery: str, subjects: Mapping[str, Sequence[Embedding]]) -> int:
        """Enrol many new subjects in one change, all or none, without an enrolment check.

        For imports from other systems: duplicates are not detected, and the quality is unknown.

        Args:
            gallery: Name of the gallery.
            subjects: At least one embedding of each new subject.

        Returns:
            The new revision.

        Raises:
            SubjectExists: One of them is enrolled already.
        """
        held = self._find_to_change(gallery)
        for subject, embeddings in subjects.items():
            check_name(subject, "subject")
            if not embeddings:
                raise InputError(
                    f"Subject {subject!r} has no embedding", "one or more embeddings", "Leave the subject out"
                )
            for embedding in embeddings:
                check_probe(embedding, (Embedding,))
                self._intake.prepare(held, embedding)
        if not subjects:
            return held.describe().revision
        return self._intake.enrol_many(held, subjects).revision

    def list_subjects(self, gallery: str) -> list[SubjectInfo]:
        """See `Matcher.list_subjects`."""
        return self._find(gallery).subjects()

    def identify(
        self,
        gallery: str,
        probe: Probe,
        *,
        max_candidates: int = MAX_CANDIDATES,
        operating_point: OperatingPoint | None = None,
    ) -> Decision:
        """See `Matcher.identify`; an empty gallery is reported before a low quality."""
        held = self._find(gallery)
        if type(max_candidates) is not int or max_candidates < 1:
            raise InputError(
                f"Argument max_candidates is {max_candidates!r}", "an int of at least 1", "Pass 1 or more"
            )
        embedding, quality = self._intake.prepare(held, probe)
        if embedding is None:
            found = held.without_search(operating_point)
        else:
            site = site_of(embedding)
            found = held.search(embedding.vector, max_candidates, operating_point, site)
            held.learn([walk_of(embedding, found, probe)])
        decision = decide(
            found.candidates,
            quality,
            found.operating_point,
            found.revision,
            empty=found.is_empty,
            shown=max_candidates,
            profile_version=found.profile_version,
        )
        is_named = decision.outcome in (Outcome.MATCH, Outcome.REVIEW)
        return self._recorded(AuditAction.IDENTIFY, gallery, found.best if is_named else b"", decision)

    def verify(
        self, gallery: str, subject: str, probe: Probe, *, operating_point: OperatingPoint | None = None
    ) -> Decision:
        """See `Matcher.verify`."""
        check_name(subject, "subject")
        held = self._find(gallery)
        pseudonym = held.require(subject)
        embedding, quality = self._intake.prepare(held, probe)
        if embedding is None:
            found = held.without_search(operating_point)
        else:
            found = held.compare(subject, embedding.vector, operating_point, site_of(embedding))
            held.learn([walk_of(embedding, found._replace(best=pseudonym), probe)])
        decision = decide(
            found.candidates,
            quality,
            found.operating_point,
            found.revision,
            profile_version=found.profile_version,
        )
        return self._recorded(AuditAction.VERIFY, gallery, pseudonym, decision)

    def delete_subject(self, gallery: str, subject: str) -> int:
        """See `Matcher.delete_subject`; its bytes are overwritten; `erase_subject` also scans for copies."""
        check_name(subject, "subject")
        return self._find_to_change(gallery).delete_subject(subject).revision

    def set_terms(self, gallery: str, subject: str, terms: Terms) -> int:
        """See `Matcher.set_terms`."""
        check_name(subject, "subject")
        held = self._find_to_change(gallery)
        if not isinstance(terms, Terms):
            raise InputError(
                f"Argument terms is of type {type(terms).__name__}", "Terms", "Pass a Terms record"
            )
        return held.set_terms(subject, terms).revision

    def erase_subject(self, gallery: str, subject: str) -> ErasureReceipt:
        """See `Matcher.erase_subject`."""
        check_name(subject, "subject")
        held = self._find_to_change(gallery)
        held.require_erasable(subject)
        sign = _signer(self._store.directory)  # before anything is deleted
        with held.erasing(subject) as change:
            held.check_erased(change.ids)
            scanned = self._store.scan(change.traces)
            receipt = ErasureReceipt(gallery, subject, len(change.ids), change.revision, change.at, scanned)
            return sign(receipt, self._store.directory)

    def export_subject(self, gallery: str, subject: str) -> SubjectExport:
        """See `Matcher.export_subject`."""
        check_name(subject, "subject")
        return self._find(gallery).export(subject)

    def embed(self, sequence: GaitSequence) -> tuple[Embedding, Quality]:
        """See `Matcher.embed`; a sequence of low quality is embedded, too."""
        check_probe(sequence, (GaitSequence,))
        check_input(self._encoder, sequence)
        return placed(self._encoder(sequence), sequence), self._intake.assess(sequence)

    def back_up(self) -> Backup:
        """See `Matcher.back_up`."""
        if self._backups is None:
            raise ConfigError(
                "No backup folder is configured", "a folder", "Set backup_dir in server.toml, or pass backups"
            )
        self.expire()
        self._store.trail.introduce()
        made = back_up(self._store, self._backups)
        self._store.trail.append(Note(AuditAction.BACK_UP, count=made.subjects))
        return made

    def rotate_keys(self) -> int:
        """See `Matcher.rotate_keys`."""
        self.expire()
        return self._store.rotate_keys()

    def review(self, gallery: str, audit_id: str, verdict: Verdict) -> int:
        """See `Matcher.review`."""
        check_audit_id(audit_id)
        row = self._find(gallery).row
        return self._store.trail.review(row, audit_id, check_choice(Verdict, verdict))

    def list_audit(
        self, after: int = 0, *, count: int = MAX_AUDIT, gallery: str = "", subject: str = ""
    ) -> list[AuditEntry]:
        """See `Matcher.list_audit`."""
        for name, value, least in (("after", after, 0), ("count", count, 1)):
            if type(value) is not int or not least <= value < 2**63:
                raise InputError(
                    f"Argument {name} is {value!r:.60}", f"an int from {least} to 2^63 - 1", f"Pass {least}"
                )
        if gallery:  # not looked up: the entries of a deleted gallery are kept
            check_name(gallery, "gallery")
        pseudonym = b""
        if subject:
            pseudonym = self._find(gallery).require(check_name(subject, "subject"))
        return self._store.trail.entries(after, min(count, MAX_AUDIT), gallery, pseudonym)

    def verify_audit(self) -> AuditHead:
        """See `Matcher.verify_audit`."""
        sign = _signer(self._store.directory)
        number, digest = self._store.trail.verify()
        return sign(AuditHead(number, digest, time.time()), self._store.directory)

    def record_refusal(self, detail: str, count: int) -> None:
        """Record a call of the current caller that a server refused.

        Args:
            detail: Which rpc, from where, and the code of the error.
            count: Number of earlier refusals that were not recorded.
        """
        self._store.trail.record(Note(AuditAction.REFUSE, outcome="refused", count=count, detail=detail))

    def renew_templates(self, gallery: str) -> int:
        """See `Matcher.renew_templates`."""
        return self._find_to_change(gallery).renew_templates()

    def info(self) -> ServerInfo:
        """See `Matcher.info`."""
        encoder = self._encoder
        return ServerInfo(
            __version__,
            encoder.name,
            encoder.contract,
            encoder.dimension,
            encoder.modalities,
            encoder.min_frames,
            self._policy,
        )

    def close(self) -> None:
        """See `Matcher.close`; waits for a commit in progress."""
        try:
            for held in list(self._galleries.copy().values()):
                held.save_profiles()
        except StoreError as error:  # closed before, or the disk is full
            _LOG.info("the last walks are not part of the camera profiles: %s", error.code)
        finally:
            self._store.close()
            self._indexes.close()

    def _find(self, gallery: str) -> Gallery:
        self._store.check_open()
        check_name(gallery, "gallery")
        held = self._galleries.get(gallery)
        if held is None:
            raise gallery_not_found(gallery)
        return held

    def _find_to_change(self, gallery: str) -> Gallery:
        """Find a gallery and erase its expired subjects."""
        held = self._find(gallery)
        held.expire()
        return held

    def _recorded(self, action: AuditAction, gallery: str, subject: bytes, decision: Decision) -> Decision:
        """Record a decision in the audit trail and return it with its reference."""
        reference = secrets.token_hex(8)
        self._store.trail.record(
            Note(
                action,
                gallery,
                subject,
                decision.outcome.value,
                decision.revision,
                len(decision.candidates),
                described(decision.operating_point),
                reference,
            )
        )
        return replace(decision, audit_id=reference)

    def _forget(self, row: GalleryRow) -> None:
        del self._galleries[row.name]


def find_keys(file: Path | None = None) -> KeyRing | None:
    """Load the keys that encrypt templates from a file, or from the variable GAITID_KEYS, or return None.

    Raises:
        ConfigError: The keys cannot be read.
        MissingDependency: The package cryptography is not installed.
    """
    if file is None and "GAITID_KEYS" not in os.environ:
        return None
    try:
        from gaitid.gallery.store.keys import ring_from_environment, ring_from_file
    except ModuleNotFoundError as error:
        raise registry.missing(error, "encryption of templates") from error
    return ring_from_environment() if file is None else ring_from_file(file)


def _walks(embeddings: Sequence[Embedding]) -> Walks:
    return Walks(np.stack([one.vector for one in embeddings]), [site_of(one) for one in embeddings])


def _card_calibration(encoder: Encoder) -> ScoreCalibration | None:
    return of_card(impostors_of(encoder), impostors_of(encoder, corrected=True))


def _signer(directory: Path) -> Signer:
    """Function that signs; loads the signing key of the directory, or creates it."""
    try:
        from gaitid.gallery.care.identity import FILE, load, sign
    except ModuleNotFoundError as error:
        raise registry.missing(error, "signing of receipts") from error
    load(directory / FILE)
    return sign
