"""The demo on a video: each usable walk is enrolled from its first half and identified from its second.

Two halves of one track share clothes, view, light and segmentation errors. The demo shows that the parts
work together; it says nothing about accuracy.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gaitid.demo import TIMEOUT_S
from gaitid.demo.clip_report import FILES, ClipProbe, summary, write
from gaitid.errors import SourceError, SourceTruncated
from gaitid.perception.account import Account
from gaitid.perception.pipeline import PerceptionSettings, Walk, watch
from gaitid.perception.sources import Source
from gaitid.quality import QualityPolicy, assess
from gaitid.records import GaitSequence
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running

HALF_POLICY = QualityPolicy(min_frames=10, min_cycles=0.0, min_motion=0.0, min_rhythm=0.0, max_dropped=1.0)
"""Quality is judged on the whole walk; half of one is too short to show a rhythm."""

_GALLERY = "demo"
_PROGRESS_FRAMES = 25
"""Frames between two updates of the progress line."""


def run(
    video: str, out: Path, *, encoder: str, perception: PerceptionSettings, fps: float | None = None
) -> None:
    """Run the demo on a video, write its files into `out` and print a summary.

    Args:
        video: See `perception.extractor.open_input`.
        out: Directory of the files.
        encoder: Name of the encoder.
        perception: How walks are found in the video.
        fps: True frames a second, for an input that declares none.

    Raises:
        SourceError: The video cannot be read or has no usable walk.
    """
    account = Account(static_camera=perception.static_camera)

    def opened() -> Source:
        return perception.open(video, camera="demo", fps=fps)

    with opened() as source:
        walks, frames = _watch(source, perception, account)
    with tempfile.TemporaryDirectory(prefix="gaitid-demo-") as folder:
        settings = ServerSettings(
            address="127.0.0.1:0", data=Path(folder), encoder=encoder, quality=HALF_POLICY
        )
        with running(settings) as address:
            print(f"server on {address}, data in {folder}")
            probes = _enrol_and_identify(address, walks)
    if not probes:
        raise SourceError(*account.finding(f"Video {video}"))
    print("writing the report and the annotated video", file=sys.stderr, flush=True)
    with opened() as again:
        write(out, again, frames, walks, probes)
    _print_summary(out, probes)


def _watch(source: Source, perception: PerceptionSettings, account: Account) -> tuple[list[Walk], int]:
    """All walks of the clip and its number of frames; shows progress on standard error."""
    walks: list[Walk] = []
    frames = 0
    started = time.monotonic()
    try:
        for view in account.over(watch(source, settings=perception)):
            frames = view.frame.index + 1
            walks.extend(view.walks)
            if frames % _PROGRESS_FRAMES == 0 and sys.stderr.isatty():
                _progress(frames, source, started)
    except SourceTruncated as error:  # the frames so far are valid
        print(f"gaitid: {error}", file=sys.stderr)
    _progress(frames, source, started, end="\n")
    return walks, frames


def _progress(frames: int, source: Source, started: float, end: str = "\r") -> None:
    rate = frames / max(time.monotonic() - started, 1e-6)
    total = f" of {source.frame_count}" if source.frame_count else ""
    left = f", {max(source.frame_count - frames, 0) / rate:3.0f} s left" if source.frame_count else ""
    print(
        f"watching: frame {frames}{total}, {rate:.0f} frames/s{left}   ", end=end, file=sys.stderr, flush=True
    )


def _enrol_and_identify(address: str, walks: list[Walk]) -> list[ClipProbe]:
    """Enrol all first halves, then search for all second halves."""
    halves = list(_halves(walks))
    matcher = RemoteMatcher(address, timeout_s=TIMEOUT_S)
    matcher.create_gallery(_GALLERY)
    for subject, _, first, _ in halves:
        matcher.enrol(_GALLERY, subject, [first])
    probes = []
    for subject, walk, _, second in halves:
        decision = matcher.identify(_GALLERY, second, max_candidates=len(halves))
        assert decision.quality is not None  # noqa: S101 - a probe that is a sequence has its quality
        probes.append(ClipProbe(subject, walk, second, decision.quality, decision))
    matcher.close()
    return probes


def _halves(walks: list[Walk]) -> Iterator[tuple[str, Walk, GaitSequence, GaitSequence]]:
    """Subject, walk, first and second half of each usable walk."""
    seen: Counter[int] = Counter()
    for walk in walks:
        if walk.sequence is None or not assess(walk.sequence).usable:
            continue
        middle = len(walk.sequence) // 2
        seen[walk.track] += 1
        part = f".{seen[walk.track]}" if seen[walk.track] > 1 else ""
        first, second = walk.sequence.part(slice(0, middle)), walk.sequence.part(slice(middle, None))
        yield f"walk-{walk.track}{part}", walk, first, second


def _print_summary(out: Path, probes: list[ClipProbe]) -> None:
    figures = summary(probes)
    print(f"{figures['walks']} walks enrolled from their first half, identified from their second:")
    print(
        f"  rank-1 {figures['rank1']}/{figures['walks']}; matched right {figures['match_right']}, "
        f"matched wrong {figures['match_wrong']}, no match {figures['no_match']}"
    )
    print("  two halves of one track are a sanity check of the chain, not an accuracy claim")
    for name in FILES:
        print(f"  {out / name}")
