"""The one door to galleries and decisions, whether they are in this process or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from gaitid.records import (
    Decision,
    Embedding,
    Enrolment,
    GaitSequence,
    GalleryInfo,
    OperatingPoint,
    Probe,
    Quality,
    ServerInfo,
    SubjectInfo,
)


@runtime_checkable
class Matcher(Protocol):
    """Enrols, verifies, identifies and deletes subjects of galleries.

    `LocalMatcher` and `client.RemoteMatcher` give equal answers and raise equal errors.
    All of them raise `GalleryNotFound` for an unknown gallery, `ContractMismatch` for an
    embedding of another encoder, `InputError` for malformed names and probes.
    """

    def create_gallery(self, gallery: str, *, operating_point: OperatingPoint | None = None) -> GalleryInfo:
        """Make an empty gallery; without an operating point the encoder's threshold is used.

        Raises:
            GalleryExists: The name is taken.
        """
        ...

    def list_galleries(self) -> list[GalleryInfo]:
        """All galleries, by name."""
        ...

    def describe(self, gallery: str) -> GalleryInfo:
        """State of one gallery."""
        ...

    def delete_gallery(self, gallery: str) -> None:
        """Delete a gallery with all its subjects."""
        ...

    def enrol(self, gallery: str, subject: str, samples: Sequence[Probe]) -> Enrolment:
        """Add a new subject with one template per good sample.

        Raises:
            SubjectExists: Use `add_samples` to add to it.
            EnrolmentRejected: No sample was good enough; carries the reasons.
        """
        ...

    def add_samples(self, gallery: str, subject: str, samples: Sequence[Probe]) -> Enrolment:
        """Add templates to an enrolled subject.

        Raises:
            SubjectNotFound: It is not enrolled.
            EnrolmentRejected: No sample was good enough; carries the reasons.
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
        max_candidates: int = 5,
        operating_point: OperatingPoint | None = None,
    ) -> Decision:
        """Search the gallery for the probe (1:N, open set)."""
        ...

    def verify(
        self, gallery: str, subject: str, probe: Probe, *, operating_point: OperatingPoint | None = None
    ) -> Decision:
        """Compare the probe with the claimed subject (1:1).

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        ...

    def delete_subject(self, gallery: str, subject: str) -> int:
        """Delete a subject and its templates at once; gives the new revision.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        ...

    def extract(self, sequence: GaitSequence) -> tuple[Embedding, Quality]:
        """Embed a sequence without storing or searching it.

        Raises:
            SequenceError: The encoder cannot embed it.
        """
        ...

    def info(self) -> ServerInfo:
        """Version, encoder and wanted input."""
        ...

    def close(self) -> None:
        """Release files and connections; the matcher cannot be used afterwards."""
        ...
