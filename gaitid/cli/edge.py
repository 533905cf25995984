"""``gaitid edge``: process a camera's video and print one decision for each finished walk."""

from __future__ import annotations

import argparse
import dataclasses
import json
from datetime import datetime, timezone

from gaitid import blas, settings
from gaitid.caller import calling
from gaitid.cli import footage, inputs
from gaitid.edge.node import EdgeSettings, Sighting, sightings
from gaitid.errors import ConfigError
from gaitid.perception.account import Account
from gaitid.perception.pipeline import watch
from gaitid.perception.sources import Source
from gaitid.records import Outcome, check_name

_FLAGS = (
    "source",
    "server",
    "camera",
    "gallery",
    "tls",
    "tls_ca",
    "tls_certificate",
    "tls_key",
    "token_file",
    "purpose",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid edge``."""
    parser.add_argument("--config", metavar="TOML", help="edge.toml; flags override it")
    parser.add_argument("--source", help="video file, image directory, USB index or rtsp:// address")
    parser.add_argument("--server", metavar="HOST:PORT", help="address of the server")
    parser.add_argument("--camera", help="name of this camera")
    parser.add_argument("--gallery", help="gallery to search")
    parser.add_argument("--purpose", help="what the searches are for; recorded in the audit trail")
    inputs.add_extractor_flags(parser)
    inputs.add_tls_flags(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Process the source to its end.

    Returns:
        1 if the server did not answer for some walk, 3 if a recording shows no usable walk, else 0.
    """
    chosen = _settings(options)
    matcher = inputs.remote(chosen.server, chosen, chosen.timeout_s)
    unanswered = usable = 0
    account = Account(static_camera=chosen.perception.static_camera)
    try:
        matcher.describe(chosen.gallery)  # fail now, not after the first walk
        with blas.one_thread(), calling(chosen.purpose), _open(chosen, options.fps) as source:
            views = account.over(watch(source, settings=chosen.perception))
            for sighting in sightings(views, matcher, chosen.gallery, chosen.quality):
                unanswered += sighting.error is not None
                usable += sighting.quality is not None and sighting.quality.usable
                print(_json(sighting) if options.json else _line(sighting, source.live), flush=True)
    finally:
        matcher.close()
    if not (usable or source.live):
        return footage.nothing_usable(account.finding(f"Source {chosen.source}"))
    return 1 if unanswered else 0


def _settings(options: argparse.Namespace) -> EdgeSettings:
    base = settings.load(options.config, EdgeSettings) if options.config else EdgeSettings()
    flags = {key: getattr(options, key) for key in _FLAGS if getattr(options, key) is not None}
    perception = inputs.with_flags(base.perception, options)
    chosen = dataclasses.replace(base, **flags, perception=perception)
    if not chosen.source:
        raise ConfigError(
            "Setting source is missing",
            "a video, camera number or address",
            "Pass --source, or set source in edge.toml",
        )
    check_name(chosen.camera, "camera")
    return chosen


def _open(chosen: EdgeSettings, fps: float | None) -> Source:
    return chosen.perception.open(chosen.source, camera=chosen.camera, fps=fps)


def _line(sighting: Sighting, live: bool) -> str:
    walk = sighting.walk
    span = f"{_clock(walk.times[0], live)} to {_clock(walk.times[-1], live)}"
    return f"{span}  track {walk.track:4d}  {verdict(sighting)}"


def verdict(sighting: Sighting) -> str:
    """Describe a sighting in a few words."""
    if sighting.error is not None:
        return f"not identified: {sighting.error}"
    if sighting.decision is None:
        reasons = sighting.quality.reasons if sighting.quality else _seen(sighting)
        return f"insufficient quality: {', '.join(reasons) or 'no good frame'}"
    return str(sighting.decision)


def _seen(sighting: Sighting) -> tuple[str, ...]:
    return tuple(sorted({reason.value for reasons in sighting.walk.reasons for reason in reasons}))


def _json(sighting: Sighting) -> str:
    walk, decision, quality = sighting.walk, sighting.decision, sighting.quality
    outcome = decision.outcome if decision else Outcome.INSUFFICIENT_QUALITY
    best = decision.candidates[0] if decision and decision.candidates else None
    return json.dumps(
        {
            "track": walk.track,
            "start_s": float(walk.times[0]),
            "end_s": float(walk.times[-1]),
            "outcome": "error" if sighting.error else outcome.value,
            "subject": decision.subject if decision else None,
            "score": round(best.score, 4) if best else None,
            "quality": round(quality.score, 1) if quality else 0,
            "reasons": list(quality.reasons) if quality else list(_seen(sighting)),
            "error": sighting.error.code if sighting.error else None,
            "audit_id": decision.audit_id if decision else None,
            "profile_version": decision.profile_version if decision else None,
        }
    )


def _clock(time: float, live: bool) -> str:
    if live:
        return datetime.fromtimestamp(time, timezone.utc).strftime("%H:%M:%SZ")
    return f"{time:7.2f} s"
