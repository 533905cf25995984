"""``gaitid demo``: the whole chain, server included, with a report to look at.

Without a video, people who do not exist are generated; see `demo_scene`. Of a video, each good walk is
enrolled from its first half and identified from its second half. Two halves of one track share clothes,
view, light and errors of segmentation: this shows that the parts work together, and says nothing about
accuracy.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gaitid.demo import scene as demo_scene
from gaitid.demo.report import Result, summary, write
from gaitid.errors import SourceError, SourceTruncated
from gaitid.perception.pipeline import Walk, watch
from gaitid.perception.sources import Source, open_source
from gaitid.quality import QualityPolicy, assess
from gaitid.records import GaitSequence
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running

HALF_POLICY = QualityPolicy(min_frames=10, min_cycles=0.0, min_motion=0.0, min_rhythm=0.0, max_dropped=1.0)
"""A walk is judged as a whole; a half of it is too short to be judged by its rhythm."""

_GALLERY = "demo"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid demo``."""
    parser.add_argument(
        "--video", help="clip of a static camera with people walking; default: a generated scene"
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="directory (default: out/demo)")
    parser.add_argument("--encoder", default="strider", help="encoder (default: strider)")
    demo_scene.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run the demo and say where its results are."""
    if options.video is None:
        return demo_scene.run(options)
    video = options.video
    options.out.mkdir(parents=True, exist_ok=True)
    walks, frames = _watch(video)
    with tempfile.TemporaryDirectory(prefix="gaitid-demo-") as folder:
        settings = ServerSettings(
            address="127.0.0.1:0", data=Path(folder), encoder=options.encoder, quality=HALF_POLICY
        )
        with running(settings) as address:
            print(f"server on {address}, data in {folder}")
            results = _enrol_and_identify(address, walks)
    if not results:
        raise SourceError(
            f"{video} has no usable walk",
            f"walks of at least {QualityPolicy().min_frames} good frames",
            f"look at 'gaitid analyse {video}'",
        )
    print("writing the report and the annotated video", file=sys.stderr, flush=True)
    write(options.out, video, frames, walks, results)
    _print_summary(options.out, results)
    return 0


def _watch(video: str) -> tuple[list[Walk], int]:
    """All walks of the clip, with progress on standard error."""
    walks: list[Walk] = []
    frames = 0
    started = time.monotonic()
    with open_source(video, camera="demo") as source:
        try:
            for view in watch(source):
                frames = view.frame.index + 1
                walks.extend(view.walks)
                if frames % 25 == 0 and sys.stderr.isatty():
                    _progress(frames, source, started)
        except SourceTruncated as error:  # what was delivered is valid
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


def _enrol_and_identify(address: str, walks: list[Walk]) -> list[Result]:
    """Enrol all first halves, then identify all second halves against all of them."""
    halves = list(_halves(walks))
    matcher = RemoteMatcher(address)
    matcher.create_gallery(_GALLERY)
    for subject, _, first, _ in halves:
        matcher.enrol(_GALLERY, subject, [first])
    results = []
    for subject, walk, _, second in halves:
        decision = matcher.identify(_GALLERY, second, max_candidates=len(halves))
        assert decision.quality is not None  # noqa: S101 - a sequence probe always has its quality
        results.append(Result(subject, walk, second, decision.quality, decision))
    matcher.close()
    return results


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


def _print_summary(out: Path, results: list[Result]) -> None:
    figures = summary(results)
    print(f"{figures['walks']} walks enrolled from their first half, identified from their second:")
    print(
        f"  rank-1 {figures['rank1']}/{figures['walks']}; matched right {figures['match_right']}, "
        f"matched wrong {figures['match_wrong']}, no match {figures['no_match']}"
    )
    print("  two halves of one track are a sanity check of the chain, not an accuracy claim")
    for name in ("report.html", "annotated.webm", "silhouettes.png", "results.json"):
        print(f"  {out / name}")
