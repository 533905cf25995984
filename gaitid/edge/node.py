"""The edge loop: from the views of one camera to one sighting per finished track.

Frames and masks stay in this process; only aligned sequences that passed the quality gate are sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gaitid.errors import ServerError
from gaitid.perception.pipeline import PerceptionSettings, View, Walk
from gaitid.quality import QualityPolicy, assess
from gaitid.records import Decision, GaitSequence, Quality

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What ``edge.toml`` may hold; flags of ``gaitid edge`` override it.

    Attributes:
        source: Video file, image directory, USB index, or rtsp:// address.
        server: ``host:port`` of the server.
        camera: Name of the camera, sent with each sequence.
        gallery: Gallery to search.
        purpose: What it is searched for; the server keeps it in its audit trail.
        timeout_s: Deadline of one call, seconds.
        tls: Connect with TLS; implied by the files below.
        tls_ca: PEM file of the authority of the server's certificate; None = the system's.
        tls_certificate: PEM file of this node's certificate, for mutual TLS.
        tls_key: PEM file of the key of that certificate.
        quality: When a walk is good enough to be sent.
        perception: How walks are cut out of the video.
    """

    source: str = ""
    server: str = "127.0.0.1:7443"
    camera: str = "camera"
    gallery: str = "main"
    purpose: str = ""
    timeout_s: float = 5.0
    tls: bool = False
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    quality: QualityPolicy = field(default_factory=QualityPolicy)
    perception: PerceptionSettings = field(default_factory=PerceptionSettings)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A finished track and what is known of it.

    Attributes:
        walk: The track.
        quality: Its gait quality, or None when it has no good frame.
        decision: The matcher's answer, or None when it was not asked or did not answer.
        error: Why the matcher did not answer, or None.
    """

    walk: Walk
    quality: Quality | None = None
    decision: Decision | None = None
    error: ServerError | None = None


class Identifies(Protocol):
    """The part of a matcher that the edge needs."""

    def identify(self, gallery: str, probe: GaitSequence) -> Decision:
        """Search the gallery for the probe."""
        ...


def sightings(
    views: Iterable[View], matcher: Identifies, gallery: str, policy: QualityPolicy | None = None
) -> Iterator[Sighting]:
    """One sighting per track as soon as it is finished.

    A server that is away does not stop the camera: the sighting carries the error.

    Raises:
        GaitIdError: Any other refusal of the matcher, such as an unknown gallery.
    """
    policy = policy or QualityPolicy()
    for view in views:
        for walk in view.walks:
            yield _sighting(walk, matcher, gallery, policy)


def _sighting(walk: Walk, matcher: Identifies, gallery: str, policy: QualityPolicy) -> Sighting:
    if walk.sequence is None:
        return Sighting(walk)
    quality = assess(walk.sequence, policy)
    if not quality.usable:
        return Sighting(walk, quality)
    try:
        return Sighting(walk, quality, matcher.identify(gallery, walk.sequence))
    except ServerError as error:
        log.warning("track %d was not identified: %s", walk.track, error)
        return Sighting(walk, quality, error=error)
