"""Errors for galleries and subjects that are missing, held or already there."""

from __future__ import annotations

from gaitid.errors import GalleryNotFound, SubjectExists, SubjectHeld, SubjectNotFound


def gallery_not_found(name: str) -> GalleryNotFound:
    """Error for a gallery that does not exist."""
    return GalleryNotFound(
        f"No gallery {name!r} exists", "the name of an existing gallery", "Create it, or list the galleries"
    )


def subject_not_found(gallery: str, name: str) -> SubjectNotFound:
    """Error for a subject that is not enrolled, or has expired."""
    return SubjectNotFound(
        f"Gallery {gallery!r} has no subject {name!r}",
        "an enrolled subject",
        "Enrol it first, or list the subjects",
    )


def subject_held(name: str) -> SubjectHeld:
    """Error for the deletion of a subject under a legal hold."""
    return SubjectHeld(
        f"Subject {name!r} is under a legal hold",
        "a subject without a hold",
        "Lift the hold with set_terms first",
    )


def subject_exists(gallery: str, name: str) -> SubjectExists:
    """Error for a subject that is enrolled already."""
    return SubjectExists(
        f"Gallery {gallery!r} already has subject {name!r}",
        "a new subject",
        "Call add_samples, or delete the subject first",
    )
