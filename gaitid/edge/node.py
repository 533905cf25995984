"""The edge loop: turns the views of one camera into one sighting per finished walk.

Frames and masks stay in this process; only sequences of sufficient quality are sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gaitid.errors import ServerError
from gaitid.matcher import Matcher
from gaitid.perception.pipeline import FrameView, PerceptionSettings, Walk
from gaitid.quality import QualityPolicy, assess
from gaitid.records import Decision, Quality

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Settings in ``edge.toml``; flags of ``gaitid edge`` override them.

    Attributes:
        source: Video file, image directory, USB index, or rtsp:// address.
        server: ``host:port`` of the server.
        camera: Name of the camera, sent with each sequence.
        gallery: Gallery to search.
        purpose: Purpose of the searches; the server records it in its audit trail.
        timeout_s: Deadline of one call, seconds.
        tls: Connect with TLS; implied by the files below.
        tls_ca: PEM file of the authority of the server's certificate; None for the system's.
        tls_certificate: PEM file of this node's certificate, for mutual TLS.
        tls_key: PEM file of the key of that certificate.
        token_file: File with a token for the server; None for the environment variable GAITID_TOKEN, if set.
        quality: Least quality of a walk that is sent.
        perception: How walks are found in the video.
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
    token_file: Path | None = None
    quality: QualityPolicy = field(default_factory=QualityPolicy)
    perception: PerceptionSettings = field(default_factory=PerceptionSettings)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A finished walk and the matcher's decision.

    Attributes:
        walk: The walk.
        quality: Its quality; None when it has no good frame.
        decision: The matcher's decision; None when it was not asked or did not answer.
        error: Why the matcher did not answer, or None.
    """

    walk: Walk
    quality: Quality | None = None
    decision: Decision | None = None
    error: ServerError | None = None


def sightings(
    views: Iterable[FrameView], matcher: Matcher, gallery: str, policy: QualityPolicy | None = None
) -> Iterator[Sighting]:
    """Yield one sighting per walk as soon as it ends.

    When the server cannot be reached the camera goes on, and the sighting carries the error.

    Raises:
        GaitIdError: The matcher refuses for another reason, such as an unknown gallery.
    """
    policy = policy or QualityPolicy()
    for view in views:
        for walk in view.walks:
            yield _sighting(walk, matcher, gallery, policy)


def _sighting(walk: Walk, matcher: Matcher, gallery: str, policy: QualityPolicy) -> Sighting:
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
