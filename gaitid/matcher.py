"""The interface to galleries and decisions, in this process or on a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from gaitid.records import (
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
    Probe,
    Quality,
    ServerInfo,
    SubjectExport,
    SubjectInfo,
    Terms,
    Verdict,
)

FPIR = 0.01
"""Default false positive identification rate of the check of a normalisation."""
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
    All methods raise `GalleryNotFound` for an unknown gallery, `ContractMismatch` for an embedding of
    another encoder, and `InputError` for malformed names and probes.
    """

    def create_gallery(
        self,
        gallery: str,
        *,
        operating_point: OperatingPoint | None = None,
        fusion: Fusion = Fusion.MAX,
        profiles: bool = True,
    ) -> GalleryInfo:
        """Create an empty gallery; without an operating point the encoder's threshold is used.

        If the encoder's card has impostor scores, they are the provisional calibration of the gallery
        (`CalibrationSource.CARD`).

        Args:
            gallery: Its name.
            operating_point: How it decides.
            fusion: How the scores of a subject's templates become one.
            profiles: Whether it learns and uses camera profiles; see `set_profiles`.

        Raises:
            GalleryExists: The name is taken.
            NotCalibrated: The operating point has a target rate, and the card has no impostor scores.
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
        """Replace the operating point of a gallery.

        Raises:
            NotCalibrated: It has a target rate, and the gallery is not calibrated.
        """
        ...

    def normalise(self, gallery: str, cohort: Iterable[Probe], *, fpir: float = FPIR) -> Normalisation:
        """Normalise scores by a cohort (AS-norm) if a check finds that this does no harm.

        The check searches for left-out templates of the gallery's own subjects; they must be found at least
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
        """Erase the cohort of a gallery and restore the scores and the calibration from before `normalise`.

        Raises:
            NotCalibrated: The operating point has a target rate, and the gallery was not calibrated before
                `normalise`. Set an operating point with a threshold first.
        """
        ...

    def set_profiles(self, gallery: str, profiles: bool) -> GalleryInfo:
        """Switch camera profiles on or off.

        A gallery with profiles learns from every walk that it accepts, probe or sample, what the embeddings
        of each camera and direction of travel have in common, and removes it before it compares. Switched
        off, it compares plain embeddings and learns nothing; what it has learned stays until it is forgotten.
        """
        ...

    def learn_camera(
        self, gallery: str, camera: str, sequences: Iterable[Probe], *, direction: str = ""
    ) -> CameraProfile:
        """Learn the profile of a camera at once, from walks of anybody; nobody needs to know of whom.

        Walks with the same track number count as one person, except number 0 (unknown). Walks of low quality
        are left out.

        Args:
            gallery: Name of the gallery.
            camera: Name of the camera, whatever the walks say.
            sequences: Up to 10,000 walks, best one each of ten people or more; read once, so an iterator
                keeps memory bounded.
            direction: Direction of travel of all walks; empty = as their boxes say.

        Returns:
            The profile of that direction; with an empty direction, the profile that most of the walks are
            part of.

        Raises:
            EnrolmentRejected: The quality of all walks is too low.
            ConfigError: Profiles are switched off.
        """
        ...

    def cameras(self, gallery: str) -> list[CameraProfile]:
        """List the camera profiles of a gallery, ordered by camera and direction."""
        ...

    def forget_camera(self, gallery: str, camera: str) -> int:
        """Forget all profiles of a camera, for example after it was moved; return how many there were."""
        ...

    def list_galleries(self) -> list[GalleryInfo]:
        """Describe all galleries, ordered by name."""
        ...

    def describe(self, gallery: str) -> GalleryInfo:
        """Describe one gallery."""
        ...

    def delete_gallery(self, gallery: str) -> None:
        """Delete a gallery with all its subjects.

        Raises:
            SubjectHeld: One of them is under a legal hold.
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
        """Enrol a new subject with one template per good sample.

        Raises:
            SubjectExists: It is enrolled already; use `add_samples`.
            EnrolmentRejected: The quality of all samples is too low; the error has the reasons.
            EnrolmentSuspect: `check` is REFUSE, and a sample looks like another subject, or unlike the
                subject's other samples.
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
            EnrolmentRejected: The quality of all samples is too low; the error has the reasons.
            EnrolmentSuspect: `check` is REFUSE, and a sample looks like another subject, or unlike the
                subject's other samples.
        """
        ...

    def list_subjects(self, gallery: str) -> list[SubjectInfo]:
        """List all subjects of a gallery, ordered by id."""
        ...

    def identify(
        self,
        gallery: str,
        probe: Probe,
        *,
        max_candidates: int = MAX_CANDIDATES,
        operating_point: OperatingPoint | None = None,
    ) -> Decision:
        """Search a gallery for a probe (1:N, open set).

        Raises:
            NotCalibrated: The operating point has a target rate, and the gallery is not calibrated.
        """
        ...

    def verify(
        self, gallery: str, subject: str, probe: Probe, *, operating_point: OperatingPoint | None = None
    ) -> Decision:
        """Compare a probe with the claimed subject (1:1).

        Raises:
            SubjectNotFound: It is not enrolled.
            NotCalibrated: The operating point has a target rate, and the gallery is not calibrated.
        """
        ...

    def delete_subject(self, gallery: str, subject: str) -> int:
        """Delete a subject and its templates, and return the new revision.

        Raises:
            SubjectNotFound: It is not enrolled.
            SubjectHeld: It is under a legal hold.
        """
        ...

    def set_terms(self, gallery: str, subject: str, terms: Terms) -> int:
        """Replace the terms under which a subject's templates are stored, and return the new revision.

        At `Terms.expires_at` the subject disappears from all answers and is erased.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        ...

    def erase_subject(self, gallery: str, subject: str) -> ErasureReceipt:
        """Delete a subject, scan all files of the galleries for traces of it, and sign a receipt.

        Raises:
            SubjectNotFound: It is not enrolled.
            SubjectHeld: It is under a legal hold.
            StoreError: The signing key cannot be used and nothing was deleted; or the subject was deleted,
                but a trace was found. Then remove the cause and call again before the matcher is closed.
        """
        ...

    def export_subject(self, gallery: str, subject: str) -> SubjectExport:
        """Export everything a gallery stores about a subject (for subject access requests).

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
        """Write a backup of all galleries into the backup folder; other calls continue meanwhile.

        The backup has the state of the galleries at its end. `gallery.care.backup.restore` turns it into a
        data directory.

        Raises:
            ConfigError: No backup folder is configured.
            StoreError: The backup cannot be written.
            StoreCorrupt: The galleries are damaged.
        """
        ...

    def rotate_keys(self) -> int:
        """Reload the keys of the galleries and wrap every subject's data key with the active key.

        Other calls continue meanwhile. Afterwards older keys may be destroyed.

        Returns:
            Number of subjects whose data key was wrapped again.

        Raises:
            KeyMissing: The galleries are not encrypted, or an older key is missing.
        """
        ...

    def renew_templates(self, gallery: str) -> int:
        """Move all templates of a gallery to a new secret projection; no score changes.

        Other calls continue meanwhile. An interrupted renewal is finished by the next call. Templates from
        before and after cannot be linked without the keys.

        Returns:
            Number of templates that were moved to the new projection.

        Raises:
            KeyMissing: The galleries are not encrypted, so the key of the projection cannot be stored.
        """
        ...

    def review(self, gallery: str, audit_id: str, verdict: Verdict) -> int:
        """Record a human verdict on a decision; a decision may have several verdicts, and all are kept.

        Args:
            gallery: Name of the gallery that was searched.
            audit_id: `Decision.audit_id` of the decision.
            verdict: Whether the probe shows the first candidate.

        Returns:
            Number of the new entry in the audit trail.

        Raises:
            DecisionNotFound: No such search of that gallery is recorded.
        """
        ...

    def list_audit(
        self, after: int = 0, *, count: int = MAX_AUDIT, gallery: str = "", subject: str = ""
    ) -> list[AuditEntry]:
        """List the entries of the audit trail with numbers above `after`, ordered by number.

        Args:
            after: Number of an entry; 0 = start with the first.
            count: Largest number of entries to return, 1 to 1000.
            gallery: Return only entries of this gallery; empty = all galleries.
            subject: Return only entries of this subject of the gallery; empty = all subjects.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        ...

    def verify_audit(self) -> AuditHead:
        """Verify the hash chain of the audit trail; takes seconds per million entries.

        Returns:
            The signed end of the trail. Store it elsewhere to check later that no entry was removed.

        Raises:
            AuditBroken: An entry was changed, removed or cut off.
        """
        ...

    def info(self) -> ServerInfo:
        """Return version, encoder and required input."""
        ...

    def close(self) -> None:
        """Release files and connections; the matcher cannot be used afterwards."""
        ...
