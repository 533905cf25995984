"""The one interface to galleries and decisions, whether they are in this process or on a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from gaitid.records import (
    AuditEntry,
    AuditHead,
    Backup,
    Calibration,
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
    Probe,
    Quality,
    ServerInfo,
    SubjectExport,
    SubjectInfo,
    Terms,
    Verdict,
)

FPIR = 0.01
"""Default false positive identification rate of a check."""
MAX_CANDIDATES = 5
"""Default number of candidates that an identification returns."""
MAX_AUDIT = 1000
"""Default and largest number of entries of the audit trail in one answer."""
MAX_PAGE = 1000
"""Largest number of subjects on one page of an answer."""


@runtime_checkable
class Matcher(Protocol):
    """Enrols, verifies, identifies and deletes subjects of galleries.

    `LocalMatcher` and `remote.RemoteMatcher` give equal answers and raise equal errors.
    All of them raise `GalleryNotFound` for an unknown gallery, `ContractMismatch` for an
    embedding of another encoder, `InputError` for malformed names and probes.
    """

    def create_gallery(
        self, gallery: str, *, operating_point: OperatingPoint | None = None, fusion: Fusion = Fusion.MAX
    ) -> GalleryInfo:
        """Make an empty gallery; without an operating point the encoder's threshold is used.

        When the encoder's card tells how strangers score, the gallery begins with that as its provisional
        calibration (`CalibrationSource.CARD`).

        Raises:
            GalleryExists: The name is taken.
            NotCalibrated: The operating point names a target rate, and the card does not tell.
        """
        ...

    def calibrate(self, gallery: str, impostors: Iterable[Probe] = ()) -> Calibration:
        """Measure how impostors score in a gallery, so that candidates carry `fpir_at_score`.

        Repeat it when the gallery has grown to several times its size, or when the cameras change.

        Args:
            gallery: Name of the gallery.
            impostors: Up to 10,000 walks of people who are not enrolled, recorded under the same conditions
                as probes; read once, so an iterator keeps memory bounded. Walks of low quality are left
                out. Without any, the gallery's own subjects are compared with one another.

        Raises:
            NotCalibrated: Fewer than 1,000 comparisons are possible.
            EnrolmentRejected: Walks were passed, and the quality of all of them is too low.
        """
        ...

    def set_operating_point(self, gallery: str, operating_point: OperatingPoint) -> GalleryInfo:
        """Decide by another rule from now on.

        Raises:
            NotCalibrated: It names a target rate, and the gallery is not calibrated.
        """
        ...

    def normalise(self, gallery: str, cohort: Iterable[Probe], *, fpir: float = FPIR) -> Normalisation:
        """Normalise scores by a cohort (AS-norm) if a check finds that this does no harm.

        The check searches for held-out templates of the gallery's own subjects; they must be found at least
        as often as before. The normalised scores are calibrated with the cohort, so target rates hold
        immediately. Set a threshold that was given as a score again. The cohort is stored like templates
        and erased with the gallery.

        Args:
            gallery: Name of the gallery.
            cohort: One walk each of 100 to 5,000 people who are not enrolled, recorded under the same
                conditions as probes; read once, so an iterator keeps memory bounded. Walks of low quality
                are left out.
            fpir: False positive identification rate of the check, 0.001 to 0.5.

        Raises:
            NotCalibrated: The cohort or the gallery is too small.
            NormalisationRefused: Fewer subjects would be found; the message says how many.
            EnrolmentRejected: The quality of all walks is too low.
            ConfigError: An engine stores the index of the gallery.
        """
        ...

    def stop_normalising(self, gallery: str) -> GalleryInfo:
        """Erase the cohort of a gallery: its scores, and what they mean, are as before `normalise`.

        Raises:
            NotCalibrated: The operating point names a target rate, and the gallery was not calibrated
                before `normalise`: set one by a threshold first.
        """
        ...

    def list_galleries(self) -> list[GalleryInfo]:
        """All galleries, by name."""
        ...

    def describe(self, gallery: str) -> GalleryInfo:
        """State of one gallery."""
        ...

    def delete_gallery(self, gallery: str) -> None:
        """Delete a gallery with all its subjects.

        Raises:
            SubjectHeld: A legal hold forbids it for one of them.
        """
        ...

    def enrol(
        self,
        gallery: str,
        subject: str,
        samples: Sequence[Probe],
        *,
        check: EnrolmentCheck = EnrolmentCheck.WARN,
    ) -> Enrolment:
        """Add a new subject with one template per good sample.

        Raises:
            SubjectExists: Use `add_samples` to add to it.
            EnrolmentRejected: No sample was good enough; carries the reasons.
            EnrolmentSuspect: `check` is REFUSE, and a sample looks like another subject's, or like no
                other of this subject.
        """
        ...

    def add_samples(
        self,
        gallery: str,
        subject: str,
        samples: Sequence[Probe],
        *,
        check: EnrolmentCheck = EnrolmentCheck.WARN,
    ) -> Enrolment:
        """Add templates to an enrolled subject.

        Raises:
            SubjectNotFound: It is not enrolled.
            EnrolmentRejected: No sample was good enough; carries the reasons.
            EnrolmentSuspect: `check` is REFUSE, and a sample looks like another subject's, or like no
                other of this subject.
        """
        ...

    def list_subjects(self, gallery: str) -> list[SubjectInfo]:
        """All subjects of a gallery, by id."""
        ...

    def identify(
        self,
        gallery: str,
        probe: Probe,
        *,
        max_candidates: int = MAX_CANDIDATES,
        operating_point: OperatingPoint | None = None,
    ) -> Decision:
        """Search the gallery for the probe (1:N, open set).

        Raises:
            NotCalibrated: The operating point names a target rate, and the gallery is not calibrated.
        """
        ...

    def verify(
        self, gallery: str, subject: str, probe: Probe, *, operating_point: OperatingPoint | None = None
    ) -> Decision:
        """Compare the probe with the claimed subject (1:1).

        Raises:
            SubjectNotFound: It is not enrolled.
            NotCalibrated: The operating point names a target rate, and the gallery is not calibrated.
        """
        ...

    def delete_subject(self, gallery: str, subject: str) -> int:
        """Delete a subject and its templates at once; gives the new revision.

        Raises:
            SubjectNotFound: It is not enrolled.
            SubjectHeld: A legal hold forbids it.
        """
        ...

    def set_terms(self, gallery: str, subject: str, terms: Terms) -> int:
        """Record on what terms a subject is held; gives the new revision.

        When `Terms.expires_at` has come the subject is in no answer any more, and is erased.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        ...

    def erase_subject(self, gallery: str, subject: str) -> ErasureReceipt:
        """Delete a subject, look for traces of it in all files of the galleries, and sign a receipt.

        Raises:
            SubjectNotFound: It is not enrolled.
            SubjectHeld: A legal hold forbids it.
            StoreError: The key that signs cannot be used, and nothing was deleted; or it is deleted, but a
                trace was found: remove the cause and call again, before the galleries are closed.
        """
        ...

    def export_subject(self, gallery: str, subject: str) -> SubjectExport:
        """All that a gallery holds of a subject, as those may ask whom it is about.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        ...

    def embed(self, sequence: GaitSequence) -> tuple[Embedding, Quality]:
        """Embed a sequence without storing or searching it.

        Raises:
            SequenceError: The encoder cannot embed it.
        """
        ...

    def back_up(self) -> Backup:
        """Write a backup of all galleries into the folder for backups; calls go on meanwhile.

        It is what they are when it is done. `gallery.backup.restore` makes a data directory of it.

        Raises:
            ConfigError: No folder for backups was named.
            StoreError: It cannot be written.
            StoreCorrupt: The galleries are damaged.
        """
        ...

    def rotate_keys(self) -> int:
        """Read the keys of the galleries again, and bring every subject under the one in use.

        Calls go on meanwhile. Once it is done, older keys may be destroyed.

        Returns:
            Number of subjects that were not.

        Raises:
            KeyMissing: The galleries are not sealed, or an older key is gone.
        """
        ...

    def renew_templates(self, gallery: str) -> int:
        """Bring all templates of a gallery under a new secret projection; no score changes.

        Calls go on meanwhile. Cut short, it is finished by the next call. The first one puts a gallery
        under a projection; templates from before and after cannot be linked without the keys.

        Returns:
            Number of templates that were not under the new projection.

        Raises:
            KeyMissing: The galleries are not sealed: there is nothing to keep its key by.
        """
        ...

    def review(self, gallery: str, audit_id: str, verdict: Verdict) -> int:
        """Record what a human says of a decision; each verdict stays on record, and there may be several.

        Args:
            gallery: Name of the gallery that was searched.
            audit_id: Of the decision.
            verdict: Whether it is the first candidate.

        Returns:
            Number of the new entry of the audit trail.

        Raises:
            DecisionNotFound: No such search of that gallery is on record.
        """
        ...

    def list_audit(
        self, after: int = 0, *, count: int = MAX_AUDIT, gallery: str = "", subject: str = ""
    ) -> list[AuditEntry]:
        """The entries of the audit trail that follow the entry of number `after`, by number.

        Args:
            after: Number of an entry; 0 = from the first on.
            count: Most entries wanted, 1 to 1000.
            gallery: Of this gallery only; empty = of all.
            subject: Of this subject of the gallery only; empty = of all.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        ...

    def verify_audit(self) -> AuditHead:
        """Check that nothing in the audit trail was changed, taken out or cut off; 6 s a million entries.

        Returns:
            How far it has come, signed: kept elsewhere, it will tell whether these entries are still there.

        Raises:
            AuditBroken: Something was.
        """
        ...

    def info(self) -> ServerInfo:
        """Version, encoder and wanted input."""
        ...

    def close(self) -> None:
        """Release files and connections; the matcher cannot be used afterwards."""
        ...
