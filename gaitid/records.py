"""Every value that crosses a door of gaitid: frozen, slotted, checked on construction.

Arrays held by a record are made read-only, so a record can be shared between threads.
Time is Unix seconds (float) for live sources and seconds from the first frame for files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError, SequenceError

SILHOUETTE = "silhouette"
SKELETON = "skeleton"
SKELETON_3D = "skeleton3d"
SILHOUETTE_SIZES = ((64, 44), (64, 64), (128, 88))
"""Accepted silhouette sizes (height, width); the first is the default."""
JOINTS = 17
"""Joints of a skeleton, in COCO order."""
MAX_FRAMES = 10_000
"""Longest sequence accepted anywhere."""
MAX_MATCHES = 1000
"""Largest `OperatingPoint.max_matches`."""
MAX_TERM = 256
"""Longest text of `Terms`, letters."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")


class Reason(str, Enum):
    """Stable codes that say why a frame or a sequence is not good enough."""

    TOO_SHORT = "too_short"
    """Fewer good frames than needed."""
    TOO_FEW_CYCLES = "too_few_cycles"
    """Fewer gait cycles than needed."""
    TOO_SMALL = "too_small"
    """The body is too few pixels tall."""
    CUT_OFF = "cut_off"
    """The image border or an obstacle cuts the body."""
    MERGED = "merged"
    """Two or more bodies in one silhouette."""
    FRAGMENTED = "fragmented"
    """The silhouette falls apart or has large holes."""
    NOT_PERSON = "not_person"
    """The shape is not that of an upright person."""
    STANDING = "standing"
    """The legs do not move as in walking."""
    LOW_FRAME_RATE = "low_frame_rate"
    """Too few frames a second to see a gait cycle."""
    IRREGULAR = "irregular"
    """Movement without a steady rhythm."""
    MISSING_JOINTS = "missing_joints"
    """Too many joints were not seen."""


class Outcome(str, Enum):
    """What a matcher answers."""

    MATCH = "match"
    NO_MATCH = "no_match"
    REVIEW = "review"
    INSUFFICIENT_QUALITY = "insufficient_quality"
    EMPTY_GALLERY = "empty_gallery"


class Fusion(str, Enum):
    """How the templates of a subject make one score."""

    MAX = "max"
    """The cosine of the best template."""
    MEAN = "mean"
    """The mean cosine of all templates."""
    CENTROID = "centroid"
    """The cosine of the normalised mean of all templates."""


class CalibrationSource(str, Enum):
    """Whose scores a calibration was learnt from."""

    GALLERY = "gallery"
    """Templates of the gallery's subjects against its other subjects."""
    COHORT = "cohort"
    """Probes of people who are not enrolled against the gallery's subjects."""
    CARD = "card"
    """Pairs of walks that the encoder's makers had: provisional, for they are not the site's."""


class EnrolmentCheck(str, Enum):
    """What to do when samples look like another subject's, or like those of two people."""

    OFF = "off"
    """Do not look."""
    WARN = "warn"
    """Enrol, and say so."""
    REFUSE = "refuse"
    """Do not enrol."""


class Suspicion(str, Enum):
    """What an enrolment check finds."""

    DUPLICATE = "duplicate"
    """The sample reaches the gallery's threshold with another subject: one person, two names."""
    INCONSISTENT = "inconsistent"
    """The sample is no more like the subject's others than strangers are: two people, one name."""


class AuditAction(str, Enum):
    """What the audit trail records."""

    CREATE_GALLERY = "create_gallery"
    DELETE_GALLERY = "delete_gallery"
    SET_OPERATING_POINT = "set_operating_point"
    CALIBRATE = "calibrate"
    NORMALISE = "normalise"
    STOP_NORMALISING = "stop_normalising"
    ENROL = "enrol"
    ADD_SAMPLES = "add_samples"
    SET_TERMS = "set_terms"
    EXPORT_SUBJECT = "export_subject"
    DELETE_SUBJECT = "delete_subject"
    ERASE_SUBJECT = "erase_subject"
    EXPIRE_SUBJECT = "expire_subject"
    """Its time was over; nobody asked."""
    IDENTIFY = "identify"
    VERIFY = "verify"
    REVIEW = "review"
    ROTATE_KEYS = "rotate_keys"
    RENEW_TEMPLATES = "renew_templates"
    BACK_UP = "back_up"


class Verdict(str, Enum):
    """What a human says of a decision."""

    CONFIRMED = "confirmed"
    """It is the first candidate."""
    REJECTED = "rejected"
    """It is not."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        time: Seconds.
        camera: Name of the camera, may be empty.
        index: Number of the frame in its source, from 0.
    """

    image: NDArray[np.uint8]
    time: float
    camera: str = ""
    index: int = 0

    def __post_init__(self) -> None:
        _check(self.image, np.uint8, (None, None, 3), "frame image")
        if not np.isfinite(self.time):
            raise InputError(f"frame time is {self.time}", "finite seconds", "check the source's clock")


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One person-like thing in one frame, as an extractor sees it.

    Attributes:
        box: (4,) float32, xyxy pixels in the frame.
        mask: (h, w) uint8 0/1 of the pixels inside the box rounded outwards, or None.
        keypoints: (17, 3) float32 x, y pixels and confidence 0..1, or None.
        confidence: 0..1.
        track: Track id when the extractor tracks on its own, else None.
    """

    box: NDArray[np.float32]
    mask: NDArray[np.uint8] | None = None
    keypoints: NDArray[np.float32] | None = None
    confidence: float = 1.0
    track: int | None = None

    def __post_init__(self) -> None:
        _check(self.box, np.float32, (4,), "box")
        if not (self.box[2] > self.box[0] and self.box[3] > self.box[1]):
            raise InputError(f"box is {self.box.tolist()}", "x1 < x2 and y1 < y2", "drop empty boxes")
        if self.mask is not None:
            _check(self.mask, np.uint8, (None, None), "mask")
        if self.keypoints is not None:
            _check(self.keypoints, np.float32, (JOINTS, 3), "keypoints")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sequence was seen: camera name and track number."""

    camera: str = ""
    track: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.camera, str) or _SURROGATE.search(self.camera):
            raise InputError(f"camera is {self.camera!r:.60}", "a text of Unicode", "name it otherwise")
        if not isinstance(self.track, int) or not -(2**63) <= self.track < 2**63:
            raise InputError(
                f"track is {self.track!r:.60}", "an int of 64 bits", "number tracks from 1, as Python ints"
            )


@dataclass(frozen=True, slots=True, eq=False)
class GaitSequence:
    """The good frames of one walk of one person.

    Attributes:
        streams: ``{"silhouette": (T, 64, 44) uint8 0/1, "skeleton": (T, 17, 3) float32,
            "skeleton3d": (T, 17, 4) float32}``, one or more; oldest frame first; skeletons hold x, y
            (pixels or metres) and confidence 0..1, those in space x, y, z (metres, z up, right-handed)
            and confidence.
        times: (T,) float64 seconds, strictly increasing; gaps are frames that were refused.
        boxes: (T, 4) float32 xyxy pixels in the source frame, or None when unknown.
        dropped: Refused frames of the same track, counted by `Reason` value.
        origin: Camera and track.
    """

    streams: Mapping[str, NDArray[Any]]
    times: NDArray[np.float64]
    boxes: NDArray[np.float32] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    origin: Origin = Origin()

    def __post_init__(self) -> None:
        if not self.streams or set(self.streams) - {SILHOUETTE, SKELETON, SKELETON_3D}:
            raise SequenceError(
                f"streams are {sorted(self.streams)}",
                "one or more of silhouette, skeleton, skeleton3d",
                "rename or add a stream",
            )
        if SILHOUETTE in self.streams:
            _check_silhouettes(self.streams[SILHOUETTE])
        if SKELETON in self.streams:
            _check_skeletons(self.streams[SKELETON], SKELETON)
        if SKELETON_3D in self.streams:
            _check_skeletons(self.streams[SKELETON_3D], SKELETON_3D)
        _check_times(self.times)
        for name, stream in self.streams.items():
            if len(stream) != len(self.times):
                raise SequenceError(
                    f"{name} has {len(stream)} frames, times {len(self.times)}",
                    "equal lengths",
                    "cut the longer",
                )
        if self.boxes is not None:
            _check(self.boxes, np.float32, (len(self.times), 4), "boxes", SequenceError)
            if not np.isfinite(self.boxes).all():
                raise SequenceError(
                    "boxes have NaN or infinity", "finite pixels", "leave boxes out if unknown"
                )
        _check_dropped(self.dropped)
        object.__setattr__(
            self, "streams", MappingProxyType({k: _frozen(v) for k, v in self.streams.items()})
        )
        object.__setattr__(self, "dropped", MappingProxyType(dict(self.dropped)))
        object.__setattr__(self, "times", _frozen(self.times))
        if self.boxes is not None:
            object.__setattr__(self, "boxes", _frozen(self.boxes))

    def __len__(self) -> int:
        return len(self.times)

    @property
    def silhouettes(self) -> NDArray[np.uint8] | None:
        """(T, H, W) uint8 0/1, or None."""
        return self.streams.get(SILHOUETTE)

    @property
    def skeletons(self) -> NDArray[np.float32] | None:
        """(T, 17, 3) float32, or None."""
        return self.streams.get(SKELETON)

    @property
    def skeletons_3d(self) -> NDArray[np.float32] | None:
        """(T, 17, 4) float32, or None."""
        return self.streams.get(SKELETON_3D)

    def part(self, frames: slice | NDArray[np.intp]) -> GaitSequence:
        """The chosen frames as a sequence of its own; the count of dropped frames is kept."""
        return GaitSequence(
            {name: stream[frames] for name, stream in self.streams.items()},
            self.times[frames],
            None if self.boxes is None else self.boxes[frames],
            self.dropped,
            self.origin,
        )


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a sequence can be recognised.

    Attributes:
        score: 0..100, higher is better (scale of ISO/IEC 29794-1; not certified).
        frames: Good frames.
        cycles: Whole gait cycles (two steps each) seen.
        cadence: Steps a minute; 0 when no rhythm was found.
        height_px: Median body height in source pixels; 0 when unknown.
        frame_rate: Median frames a second; 0 for a single frame.
        regularity: 0..1, likeness of one stride to the next.
        symmetry: 0..1, likeness of left steps to right steps.
        reasons: Why it is not good enough; empty when it is.
    """

    score: float
    frames: int
    cycles: float = 0.0
    cadence: float = 0.0
    height_px: float = 0.0
    frame_rate: float = 0.0
    regularity: float = 0.0
    symmetry: float = 0.0
    reasons: tuple[Reason, ...] = ()

    @property
    def usable(self) -> bool:
        """True when no reason speaks against embedding the sequence."""
        return not self.reasons


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A gait embedding and the contract of the encoder that made it.

    Attributes:
        vector: (D,) float32, unit L2 norm (within 1e-3).
        contract: Hex id of (architecture, weights, preprocessing, D); see `encoders.base`.
    """

    vector: NDArray[np.float32]
    contract: str

    def __post_init__(self) -> None:
        _check(self.vector, np.float32, (None,), "embedding")
        with np.errstate(invalid="ignore"):  # a signalling NaN is refused below as any other
            norm = float(np.linalg.norm(self.vector.astype(np.float64)))  # float32 would overflow
        if not abs(norm - 1.0) < 1e-3:  # also catches NaN
            raise InputError(
                f"embedding has L2 norm {norm:.4g}", "1 (within 0.001)", "normalise it, and look for NaN"
            )
        if not self.contract:
            raise InputError(
                "embedding has no contract", "the encoder's contract id", "pass encoder.contract"
            )
        object.__setattr__(self, "vector", _frozen(self.vector))


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """An enrolled embedding of a subject.

    Attributes:
        id: Assigned by the gallery, unique in it.
        subject: Subject id.
        embedding: The embedding.
        quality: Quality of the sequence it came from, or None for a ready embedding.
        enrolled_at: Unix seconds.
        origin: Where the sample was seen.
    """

    id: str
    subject: str
    embedding: Embedding
    quality: Quality | None
    enrolled_at: float
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject that a probe may be.

    Attributes:
        subject: Subject id.
        score: Cosine, -1..1, fused over the subject's templates, in a gallery with a `Normalisation`
            corrected by it; not a probability.
        template: Id of the best template; of the subject's first when `Fusion` is not MAX.
        fpir_at_score: Expected FPIR of a threshold at this score in this gallery, for a verification
            (one comparison) its FMR; None without calibration.
    """

    subject: str
    score: float
    template: str
    fpir_at_score: float | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The rule that turns scores into a decision.

    It says the threshold, or a target rate from which a calibrated gallery derives the threshold anew
    for each probe; then `threshold` is what came out, and what a caller gives there is not used.

    Attributes:
        threshold: Lowest score of a match, -1..1.
        review_band: Scores this far below the threshold are for a human (`Outcome.REVIEW`); 0 = none.
        fmr: Target false match rate of one comparison, above 0 and below 1; None = not by FMR.
        fpir: Target false positive identification rate of a stranger's search in the whole gallery,
            above 0 and below 1; None = not by FPIR.
        margin: A match that leads the second candidate by less is for a human, 0..2; 0 = no such rule.
        max_matches: More candidates than this at the threshold are for a human; 0 = no such rule.
    """

    threshold: float = 1.0
    review_band: float = 0.0
    fmr: float | None = None
    fpir: float | None = None
    margin: float = 0.0
    max_matches: int = 0

    def __post_init__(self) -> None:
        if not -1.0 <= self.threshold <= 1.0:
            raise InputError(
                f"threshold is {self.threshold}", "a cosine from -1 to 1", "choose one in that range"
            )
        for name in ("review_band", "margin"):
            if not 0.0 <= getattr(self, name) <= 2.0:
                raise InputError(f"{name} is {getattr(self, name)}", "0 to 2", "choose one in that range")
        for name in ("fmr", "fpir"):
            rate = getattr(self, name)
            if rate is not None and not 0.0 < rate < 1.0:
                raise InputError(f"target {name} is {rate}", "above 0 and below 1", "0.01 is 1 %")
        if self.fmr is not None and self.fpir is not None:
            raise InputError("two targets, fmr and fpir", "one", "leave one out")
        if type(self.max_matches) is not int or not 0 <= self.max_matches <= MAX_MATCHES:
            raise InputError(
                f"max_matches is {self.max_matches!r}",
                f"an int from 0 to {MAX_MATCHES}",
                "1 is the strictest",
            )

    @property
    def has_target(self) -> bool:
        """True when the threshold follows from a target rate."""
        return self.fmr is not None or self.fpir is not None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a gallery knows about the scores of strangers.

    Attributes:
        source: Whose scores it was learnt from.
        subjects: Subjects compared with; at most 10,000 are drawn. 0 for a card's.
        probes: Probes compared; at most 1,000 are drawn. 0 for a card's.
        comparisons: Scores it rests on; FMRs below ``1 / comparisons`` are extrapolated.
        clustering: 0..1, share of independence between the scores of one probe: false matches that
            come together make fewer false positives (1 = each comes alone).
        misfit: 0..1, largest gap between the law of the highest 5 % of scores and those scores, as a
            share of them; above 0.1 distrust extrapolated rates.
        made_at: Unix seconds.
        normalised: It is of normalised scores; see `Normalisation`.
    """

    source: CalibrationSource
    subjects: int
    probes: int
    comparisons: int
    clustering: float
    misfit: float
    made_at: float
    normalised: bool = False


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How a gallery corrects scores by a cohort of the site: adaptive score normalisation (AS-norm).

    Both rates are shares of held-out templates of the gallery's own subjects that find their subject, at
    the threshold that `fpir` of them reach with somebody else.

    Attributes:
        cohort: Walks of the cohort.
        fpir: False positive identification rate of the check.
        before: Detection and identification rate without, 0..1.
        after: The same with it, 0..1, never lower.
        probes: Held-out templates of the check.
        made_at: Unix seconds.
    """

    cohort: int
    fpir: float
    before: float
    after: float
    probes: int
    made_at: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a probe.

    Attributes:
        outcome: See `Outcome`.
        candidates: Best first; for a verification the claimed subject only.
        quality: Quality of the probe, or None for a ready embedding.
        operating_point: The rule used.
        revision: State of the gallery that was searched.
        audit_id: Its reference in the audit trail, as `Matcher.review` takes it; equal answers have
            different ones.
    """

    outcome: Outcome
    candidates: tuple[Candidate, ...]
    quality: Quality | None
    operating_point: OperatingPoint
    revision: int
    audit_id: str = field(default="", compare=False)

    @property
    def subject(self) -> str | None:
        """The recognised subject, or None unless the outcome is MATCH."""
        return self.candidates[0].subject if self.outcome is Outcome.MATCH else None

    def __str__(self) -> str:
        words = self.outcome.value.replace("_", " ")
        if self.quality is not None and not self.quality.usable:
            return f"{words}: {', '.join(reason.value for reason in self.quality.reasons)}"
        if not self.candidates:
            return words
        best = self.candidates[0]
        bar = f"threshold {self.operating_point.threshold:.3f}"
        if self.outcome is Outcome.MATCH:
            return f"{words}: {best.subject} (score {best.score:.3f}, {bar})"
        return f"{words} (best score {best.score:.3f}, {bar})"


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery is.

    Attributes:
        name: Unique name.
        encoder: Name of the encoder whose embeddings it holds.
        contract: Contract those embeddings carry.
        dimension: Length of an embedding.
        subjects: Number of subjects.
        templates: Number of templates.
        revision: Grows by one with each change.
        operating_point: The gallery's decision rule; its threshold is that for the present size.
        created_at: Unix seconds.
        fusion: How the templates of a subject make one score.
        calibration: What it knows about the scores of strangers; None = nothing yet.
        normalisation: How scores are corrected by a cohort; None = they are not.
        renewals: How often its templates were renewed; 0 = they are not under a projection.
    """

    name: str
    encoder: str
    contract: str
    dimension: int
    subjects: int
    templates: int
    revision: int
    operating_point: OperatingPoint
    created_at: float
    fusion: Fusion = Fusion.MAX
    calibration: Calibration | None = None
    normalisation: Normalisation | None = None
    renewals: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a subject's templates are held.

    Attributes:
        legal_basis: For example ``consent``, ``contract``, ``legal obligation``; empty = not recorded.
        purpose: What they may be used for; empty = not recorded.
        reference: Where the consent or order is filed; empty = nowhere.
        expires_at: When they are deleted of themselves, Unix seconds; None = never.
        legal_hold: They must be kept: neither deleted by anybody nor expired.
    """

    legal_basis: str = ""
    purpose: str = ""
    reference: str = ""
    expires_at: float | None = None
    legal_hold: bool = False

    def __post_init__(self) -> None:
        for name in ("legal_basis", "purpose", "reference"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > MAX_TERM or not text.isprintable():
                raise InputError(
                    f"{name} is {text!r:.60}", f"printable, {MAX_TERM} letters at most", "shorten it"
                )
        if self.expires_at is not None and not 0.0 <= self.expires_at < 253402300800.0:  # year 10000
            raise InputError(f"expires_at is {self.expires_at}", "Unix seconds", "leave it out for never")


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    """A subject: its id, template ids, when it was first enrolled (Unix seconds), and on what terms."""

    id: str
    templates: tuple[str, ...]
    enrolled_at: float
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class EnrolmentWarning:
    """What an enrolment check found about one sample.

    Attributes:
        sample: Its index among the samples given.
        suspicion: What it may be.
        subject: The subject it is too like (DUPLICATE) or too unlike (INCONSISTENT).
        score: Cosine, -1..1: with that subject, or with the most alike of its other samples.
    """

    sample: int
    suspicion: Suspicion
    subject: str
    score: float


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The answer to an enrolment.

    Attributes:
        subject: Subject id.
        templates: Ids of the new templates, one per accepted sample, in their order.
        refused: Index of each refused sample with its reason codes.
        revision: Revision of the gallery that holds the new templates.
        warnings: What the enrolment check found, by sample.
    """

    subject: str
    templates: tuple[str, ...]
    refused: tuple[tuple[int, tuple[Reason, ...]], ...]
    revision: int
    warnings: tuple[EnrolmentWarning, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SubjectExport:
    """All that a gallery holds of a subject.

    Attributes:
        gallery: Name of the gallery.
        subject: Subject id.
        enrolled_at: When it was first enrolled, Unix seconds.
        templates: By id.
        terms: On what terms they are held.
    """

    gallery: str
    subject: str
    enrolled_at: float
    templates: tuple[Template, ...]
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """Says that a subject was erased; `gallery.identity.check` tells whether it is genuine.

    Attributes:
        gallery: Name of the gallery.
        subject: Subject id.
        templates: Number of templates erased.
        revision: First revision of the gallery that lacks the subject.
        erased_at: Unix seconds.
        scanned_bytes: Bytes of the data directory in which no trace of its templates, its data key and
            its id was found afterwards.
        public_key: 32 bytes, Ed25519, of the data directory.
        signature: 64 bytes over `statement`.
    """

    gallery: str
    subject: str
    templates: int
    revision: int
    erased_at: float
    scanned_bytes: int
    public_key: bytes = b""
    signature: bytes = b""

    def statement(self) -> bytes:
        """What is signed."""
        return (
            "gaitid erasure receipt 1\n"
            f"gallery {self.gallery}\nsubject {self.subject}\ntemplates {self.templates}\n"
            f"revision {self.revision}\nerased at {self.erased_at:.6f}\n"
            f"scanned bytes {self.scanned_bytes}\npublic key {self.public_key.hex()}\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup of all galleries; `gallery.backup.verify` tells whether it is whole.

    Attributes:
        name: Of its folder.
        created_at: Unix seconds.
        changes: How many changes the galleries had seen, as the mark counts them.
        subjects: Number of subjects.
        templates: Number of templates.
        size_bytes: Size of its files together.
        sha256: Of the database in it, 64 hexadecimal digits.
    """

    name: str
    created_at: float
    changes: int
    subjects: int
    templates: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry of the audit trail; `hash` binds it to all entries before it.

    Attributes:
        number: Its place, from 1.
        at: Unix seconds.
        actor: Who did it; see `caller.Caller`.
        purpose: What for, in the actor's words; empty = not said.
        action: One of `AuditAction`, or of a newer gaitid's.
        gallery: Name of the gallery; empty = all.
        subject: Pseudonym of the subject, 32 hexadecimal digits: of the one that was claimed or changed,
            or found by a search that ended in MATCH or REVIEW; else empty.
        outcome: Of a search its `Outcome`, of a review its `Verdict`, else ``done``.
        revision: The gallery's, searched or made.
        count: Candidates of a search, templates or subjects of a change, comparisons of a calibration,
            walks of a cohort.
        detail: The rule of a search or gallery, expiry and hold of terms, the source of a calibration, what
            the check of a cohort found.
        reference: `Decision.audit_id` of a search, and of the reviews of it; else empty.
        hash: 32 bytes, SHA-256 of the hash before it (32 zeros before the first) and `statement`.
    """

    number: int
    at: float
    actor: str
    purpose: str
    action: str
    gallery: str = ""
    subject: str = ""
    outcome: str = "done"
    revision: int = 0
    count: int = 0
    detail: str = ""
    reference: str = ""
    hash: bytes = b""

    def statement(self) -> bytes:
        """What is hashed."""
        return (
            f"gaitid audit entry 1\nnumber {self.number}\nat {self.at:.6f}\n"
            f"actor {self.actor}\npurpose {self.purpose}\naction {self.action}\n"
            f"gallery {self.gallery}\nsubject {self.subject}\noutcome {self.outcome}\n"
            f"revision {self.revision}\ncount {self.count}\ndetail {self.detail}\n"
            f"reference {self.reference}\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class AuditHead:
    """How far an audit trail has come; `gallery.identity.check` tells whether it is genuine.

    Attributes:
        number: Of the last entry; 0 = there is none.
        hash: Of the last entry, 32 bytes; zeros when there is none.
        signed_at: Unix seconds.
        public_key: 32 bytes, Ed25519, of the data directory.
        signature: 64 bytes over `statement`.
    """

    number: int
    hash: bytes
    signed_at: float
    public_key: bytes = b""
    signature: bytes = b""

    def statement(self) -> bytes:
        """What is signed."""
        return (
            f"gaitid audit head 1\nnumber {self.number}\nhash {self.hash.hex()}\n"
            f"signed at {self.signed_at:.6f}\npublic key {self.public_key.hex()}\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A matcher's version, encoder, contract and wanted input.

    Attributes:
        version: Version of gaitid.
        encoder: Name of the encoder.
        contract: Its contract.
        dimension: Length of its embeddings.
        modalities: Streams it needs.
        min_frames: Fewest frames it accepts.
    """

    version: str
    encoder: str
    contract: str
    dimension: int
    modalities: tuple[str, ...]
    min_frames: int


Probe = GaitSequence | Embedding
Choice = TypeVar("Choice", bound=Enum)


def check_choice(kind: type[Choice], value: object) -> Choice:
    """Return the member of `kind` that `value` is, or names.

    Raises:
        InputError: It is none.
    """
    try:
        return kind(value)
    except ValueError as error:
        raise InputError(
            f"{kind.__name__} is {value!r:.60}",
            f"one of {', '.join(member.value for member in kind)}",
            "choose one",
        ) from error


def check_name(value: str, what: str) -> str:
    """Return `value` if it may name a gallery, subject or camera.

    Raises:
        InputError: It is empty, longer than 128, or has letters outside ``A-Z a-z 0-9 . _ @ -``.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InputError(
            f"{what} {value!r:.140}",
            "1 to 128 of A-Z a-z 0-9 . _ @ -, beginning with a letter or digit",
            "rename it, or keep the readable name in your own records",
        )
    return value


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _check(
    array: Any,
    dtype: Any,
    shape: tuple[int | None, ...],
    what: str,
    error: type[InputError] = InputError,
) -> None:
    if (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and len(array.shape) == len(shape)
        and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    ):
        return
    got = (
        f"{array.shape} {array.dtype.name}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
    )
    wanted = ", ".join("any" if n is None else str(n) for n in shape)
    raise error(f"{what} is {got}", f"expected a numpy array ({wanted}) {np.dtype(dtype).name}", "convert it")


def _check_silhouettes(array: Any) -> None:
    _check(array, np.uint8, (None, None, None), SILHOUETTE, SequenceError)
    if array.shape[1:] not in SILHOUETTE_SIZES:
        sizes = " or ".join(f"{h}x{w}" for h, w in SILHOUETTE_SIZES)
        raise SequenceError(
            f"silhouettes are {array.shape[1]}x{array.shape[2]}", sizes, "use perception.align"
        )
    if array.size and int(array.max()) > 1:
        raise SequenceError(
            f"silhouettes have the value {int(array.max())}",
            "only 0 and 1",
            "use (image > 127).astype(np.uint8)",
        )


def _check_skeletons(array: Any, stream: str) -> None:
    numbers = 4 if stream == SKELETON_3D else 3
    _check(array, np.float32, (None, JOINTS, numbers), stream, SequenceError)
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0][0])
        raise SequenceError(
            f"skeleton has NaN or infinity, first in frame {frame}",
            "finite numbers",
            "mark a missing joint by confidence 0 and coordinates 0",
        )
    confidence = array[..., -1]
    if array.size and not (confidence.min() >= 0.0 and confidence.max() <= 1.0):
        raise SequenceError(
            f"skeleton confidence spans {confidence.min():.3g}..{confidence.max():.3g}",
            "0..1",
            "rescale it",
        )


def _check_times(times: Any) -> None:
    _check(times, np.float64, (None,), "times", SequenceError)
    if not 0 < len(times) <= MAX_FRAMES:
        raise SequenceError(f"sequence has {len(times)} frames", f"1 to {MAX_FRAMES}", "cut or record again")
    if not np.isfinite(times).all():
        raise SequenceError("times have NaN or infinity", "finite seconds", "check the source's clock")
    if (np.diff(times) <= 0).any():
        at = int(np.argmax(np.diff(times) <= 0))
        raise SequenceError(
            f"times do not grow after frame {at}", "strictly increasing", "sort or drop frames"
        )


def _check_dropped(dropped: Mapping[str, int]) -> None:
    if not isinstance(dropped, Mapping):
        raise SequenceError(f"dropped is a {type(dropped).__name__}", "a mapping", "use {reason: count}")
    known = {reason.value for reason in Reason} if dropped else ()
    for key, count in dropped.items():
        if key not in known or type(count) is not int or count < 0:
            raise SequenceError(
                f"dropped has {key!r}: {count!r}", "reason codes with counts >= 0", "see Reason"
            )
