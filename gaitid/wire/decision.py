"""Qualities, operating points, decisions and verdicts <-> `decision.proto` and `match_service.proto`."""

from __future__ import annotations

from gaitid.records import Candidate, Decision, OperatingPoint, Outcome, Quality, Verdict, check_choice
from gaitid.v1 import decision_pb2, match_service_pb2
from gaitid.wire.fields import choice, reasons, values_of

_OUTCOMES = values_of(decision_pb2.Outcome, Outcome, "OUTCOME")
_VERDICTS = values_of(match_service_pb2.Verdict, Verdict, "VERDICT")


def pack_quality(quality: Quality) -> decision_pb2.Quality:
    """Pack a quality."""
    return decision_pb2.Quality(
        score=quality.score,
        frames=quality.frames,
        cycles=quality.cycles,
        cadence=quality.cadence,
        height_px=quality.height_px,
        frame_rate=quality.frame_rate,
        regularity=quality.regularity,
        symmetry=quality.symmetry,
        reasons=[reason.value for reason in quality.reasons],
    )


def unpack_quality(message: decision_pb2.Quality) -> Quality:
    """Unpack a quality.

    Raises:
        MessageError: A reason code is unknown.
    """
    return Quality(
        message.score,
        message.frames,
        message.cycles,
        message.cadence,
        message.height_px,
        message.frame_rate,
        message.regularity,
        message.symmetry,
        reasons(message.reasons),
    )


def pack_operating_point(point: OperatingPoint) -> decision_pb2.OperatingPoint:
    """Pack an operating point."""
    return decision_pb2.OperatingPoint(
        threshold=point.threshold,
        review_band=point.review_band,
        fmr=point.fmr,
        fpir=point.fpir,
        margin=point.margin,
        max_matches=point.max_matches,
    )


def unpack_operating_point(message: decision_pb2.OperatingPoint) -> OperatingPoint:
    """Unpack an operating point.

    Raises:
        InputError: A number is out of range.
    """
    return OperatingPoint(
        message.threshold,
        message.review_band,
        message.fmr if message.HasField("fmr") else None,
        message.fpir if message.HasField("fpir") else None,
        message.margin,
        message.max_matches,
    )


def pack_decision(decision: Decision) -> decision_pb2.Decision:
    """Pack a decision."""
    message = decision_pb2.Decision(
        outcome=f"OUTCOME_{decision.outcome.name}",
        candidates=[
            decision_pb2.Candidate(
                subject=candidate.subject,
                score=candidate.score,
                template=candidate.template,
                fpir_at_score=candidate.fpir_at_score,
            )
            for candidate in decision.candidates
        ],
        operating_point=pack_operating_point(decision.operating_point),
        revision=decision.revision,
        audit_id=decision.audit_id,
        profile_version=decision.profile_version,
    )
    if decision.quality is not None:
        message.quality.CopyFrom(pack_quality(decision.quality))
    return message


def unpack_decision(message: decision_pb2.Decision) -> Decision:
    """Unpack a decision.

    Raises:
        MessageError: The outcome or a reason code is unknown.
    """
    candidates = tuple(
        Candidate(
            candidate.subject,
            candidate.score,
            candidate.template,
            candidate.fpir_at_score if candidate.HasField("fpir_at_score") else None,
        )
        for candidate in message.candidates
    )
    return Decision(
        choice(_OUTCOMES, message.outcome, "outcome"),
        candidates,
        unpack_quality(message.quality) if message.HasField("quality") else None,
        unpack_operating_point(message.operating_point),
        message.revision,
        message.audit_id,
        message.profile_version,
    )


def pack_verdict(verdict: Verdict) -> str:
    """Name of a verdict's enum value.

    Raises:
        InputError: It is not a `Verdict`.
    """
    return f"VERDICT_{check_choice(Verdict, verdict).name}"


def unpack_verdict(value: int) -> Verdict:
    """Unpack a verdict.

    Raises:
        MessageError: The value is unknown.
    """
    return choice(_VERDICTS, value, "verdict")
