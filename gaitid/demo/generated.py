"""The demo without a video: synthetic subjects, enrolled on one day and seen again on another.

Both days are generated as colour video of one camera. On day one every subject walks past once and is
enrolled from the track that perception found; ground truth says who it is, as a guard at a desk would. On
day two they return in other clothes, the camera stands elsewhere, and people who are not enrolled walk among
them. Before that, other people walk past this camera: it learns its profile and the threshold from them,
and nobody says who they are. All frames go through perception, and all sequences through a server on this
machine.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from gaitid.demo import TIMEOUT_S, story_report
from gaitid.demo.scene import FilmedDay, film_all, owner, plan, plan_others
from gaitid.demo.story import FPIR, DemoProbe, DemoStory
from gaitid.errors import InputError
from gaitid.perception.pipeline import PerceptionSettings, Walk
from gaitid.quality import assess
from gaitid.records import GaitSequence, OperatingPoint, Origin
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running

GALLERY = "demo"
MOST_PEOPLE = 60
"""Most people in the scene; they walk one after the other."""
OTHERS = 40
"""Other people whom the camera of day two learns from."""
_MIN_FRAMES = 10
"""Fewest good frames of a walk that is searched for."""


def run(
    out: Path, subjects: int, impostors: int, seed: int, *, encoder: str, perception: PerceptionSettings
) -> None:
    """Run the generated demo, write its files into `out` and print a summary.

    Args:
        out: Existing directory.
        subjects: Number of subjects to enrol.
        impostors: Number of people on day two who are not enrolled.
        seed: Seed of people, clothes and lanes.
        encoder: Encoder of the server.
        perception: How walks are found in the video.

    Raises:
        InputError: There are too many or too few people.
    """
    with tempfile.TemporaryDirectory(prefix="gaitid-demo-") as folder:
        story = play(subjects, impostors, seed, encoder, perception, Path(folder))
        _progress("writing the report and the annotated videos")
        story_report.write(out, story)
    print("\n".join(story_report.lines(story)))
    for name in story_report.FILES:
        print(f"  {out / name}")


def play(
    subjects: int, impostors: int, seed: int, encoder: str, perception: PerceptionSettings, folder: Path
) -> DemoStory:
    """Film both days, enrol from the first, identify on the second.

    Args:
        subjects: Number of subjects to enrol.
        impostors: Number of people on day two who are not enrolled.
        seed: Seed of people, clothes and lanes.
        encoder: Encoder of the server.
        perception: How walks are found in the video.
        folder: Folder of the server's data and the videos; the report reads the videos.

    Raises:
        InputError: There are too many or too few people.
    """
    if subjects < 1 or impostors < 0 or subjects + impostors > MOST_PEOPLE:
        raise InputError(
            f"The scene has {subjects} subjects and {impostors} impostors",
            f"at least one subject and at most {MOST_PEOPLE} people",
            "Change --subjects or --impostors",
        )
    scenes = plan(subjects, impostors, seed)
    conditions = {scenes[1].subject(k): walker.condition for k, walker in enumerate(scenes[1].walkers, 1)}
    begun = time.monotonic()
    others, *days = film_all((plan_others(OTHERS, seed), *scenes), folder, perception)
    filmed = time.monotonic()
    settings = ServerSettings(address="127.0.0.1:0", data=folder / "data", encoder=encoder)
    with running(settings) as address:
        _progress(f"server on {address}, data in {folder}")
        matcher = RemoteMatcher(address, timeout_s=TIMEOUT_S)
        matcher.create_gallery(GALLERY)
        enrolled, failed, unowned = _enrol(matcher, days[0])
        _progress("learning a threshold from other people")
        walks = seen_by(days[1].name, others)
        bar = calibrate(matcher, walks) if enrolled and walks else 1.0
        matcher.set_operating_point(GALLERY, OperatingPoint(bar))
        probes, more = _identify(matcher, days[1], conditions, set(enrolled))
        matcher.close()
    seconds = {"filming and perception": filmed - begun, "server": time.monotonic() - filmed}
    known = {scenes[0].subject(k) for k in range(1, subjects + 1)}
    return DemoStory(
        (days[0], days[1]), enrolled, failed, probes, unowned + more, conditions,
        sorted(set(conditions) - known), bar, encoder, seed, seconds, OTHERS,
    )  # fmt: skip


def calibrate(matcher: RemoteMatcher, walks: list[GaitSequence]) -> float:
    """Learn the threshold at which `FPIR` of the searches by `walks` of other people match.

    The camera of day two sees them first, so that it has a profile.

    Returns:
        Threshold, -1..1.
    """
    matcher.learn_camera(GALLERY, walks[0].origin.camera, walks)
    found = [matcher.identify(GALLERY, walk, max_candidates=1) for walk in walks]
    best = [decision.candidates[0].score for decision in found if decision.candidates]
    return float(np.quantile(best, 1 - FPIR)) if best else 1.0


def seen_by(camera: str, day: FilmedDay) -> list[GaitSequence]:
    """The usable walks of a day, as walks that a camera saw."""
    found = (walk.sequence for walk in day.walks)
    usable = (sequence for sequence in found if sequence is not None and assess(sequence).usable)
    return [replace(walk, origin=Origin(camera, track)) for track, walk in enumerate(usable, 1)]


def _enrol(matcher: RemoteMatcher, day: FilmedDay) -> tuple[dict[str, list[Walk]], list[str], int]:
    """Enrol all subjects of day one.

    Returns:
        Subject -> its walks, subjects without a usable walk, and the number of walks without an owner.
    """
    walks: dict[str, list[Walk]] = {}
    unowned = 0
    for walk in day.walks:
        if walk.sequence is None or not assess(walk.sequence).usable:
            continue
        subject = owner(walk, day)
        if subject is None:
            unowned += 1
        else:
            walks.setdefault(subject, []).append(walk)
    for subject, samples in walks.items():
        matcher.enrol(GALLERY, subject, [walk.sequence for walk in samples if walk.sequence])
    everybody = {subject for there in day.truths.values() for subject, _ in there}
    _progress(f"{len(walks)} of {len(everybody)} people enrolled from day one")
    return walks, sorted(everybody - set(walks)), unowned


def _identify(
    matcher: RemoteMatcher, day: FilmedDay, conditions: dict[str, str], enrolled: set[str]
) -> tuple[list[DemoProbe], int]:
    """Search for every walk of day two that is long enough; also counts walks without an owner."""
    probes = []
    unowned = 0
    for walk in day.walks:
        if walk.sequence is None or len(walk.sequence) < _MIN_FRAMES:
            continue
        subject = owner(walk, day)
        if subject is None:
            unowned += 1
            continue
        decision = matcher.identify(GALLERY, walk.sequence, max_candidates=len(enrolled) or 1)
        probes.append(DemoProbe(subject, conditions[subject], walk, decision, subject in enrolled))
    return probes, unowned


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
