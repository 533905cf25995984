"""The report of the demo on a video: annotated video, contact sheet, JSON and a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitid.edge.pictures import (
    AMBER,
    GREEN,
    GREY,
    RED,
    Label,
    SheetRow,
    VideoFile,
    annotate,
    contact_sheet,
    drawn,
    save_picture,
)
from gaitid.errors import SourceTruncated
from gaitid.evaluation import markup as html
from gaitid.evaluation import walk_charts
from gaitid.perception.pipeline import Walk
from gaitid.perception.sources import Source
from gaitid.quality import analyse
from gaitid.records import Decision, Frame, GaitSequence, Outcome, Quality

_CAVEAT = (
    "Two halves of one track share clothes, view, light and segmentation errors. "
    "This is a sanity check that the parts work together, not an accuracy claim. A person whose track "
    "broke counts as two subjects, so some answers counted as wrong may be right."
)
_COLUMNS = (
    "walk",
    "second half",
    "frames",
    "height px",
    "steps/min",
    "quality",
    "answer",
    "best candidate",
    "score",
)
_KINDS = {GREEN: "good", RED: "bad", AMBER: "open"}


FILES = ("report.html", "annotated.webm", "silhouettes.png", "results.json")


@dataclass(frozen=True, slots=True)
class ClipProbe:
    """A walk that was enrolled as `subject` from its first half and identified from its second.

    Attributes:
        subject: Name it was enrolled under.
        walk: The whole walk.
        sequence: Its second half, which was searched for.
        quality: Quality of the second half as the server found it.
        decision: The server's decision.
    """

    subject: str
    walk: Walk
    sequence: GaitSequence
    quality: Quality
    decision: Decision

    @property
    def rank1(self) -> bool:
        """True when the best candidate is the same walk's first half."""
        return bool(self.decision.candidates) and self.decision.candidates[0].subject == self.subject

    @property
    def color(self) -> tuple[int, int, int]:
        """BGR colour of the decision: right, wrong or no match."""
        if self.decision.outcome is Outcome.MATCH:
            return GREEN if self.rank1 else RED
        return AMBER


def write(out: Path, source: Source, frames: int, walks: list[Walk], probes: list[ClipProbe]) -> None:
    """Write all files of `FILES` into `out`; the source is opened for this and read to its end."""
    rows = [SheetRow(drawn(probe.sequence), _caption(probe), probe.color) for probe in probes]
    save_picture(out / "silhouettes.png", contact_sheet(rows))
    answers = {id(probe.walk): (_answer(probe), probe.color) for probe in probes}
    _write_video(out / "annotated.webm", source, labels_by_time(walks, answers))
    facts = {
        "video": Path(source.spec).name,
        "frames": frames,
        "tracks": len(walks),
        "threshold": probes[0].decision.operating_point.threshold,
        **summary(probes),
    }
    rows_json = [_row(probe) for probe in probes]
    (out / "results.json").write_text(json.dumps({"summary": facts, "walks": rows_json}, indent=1) + "\n")
    (out / "report.html").write_text(_page(facts, probes, (out / "silhouettes.png").read_bytes()))


def summary(probes: list[ClipProbe]) -> dict[str, int]:
    """Counts over all walks."""
    outcomes = Counter(probe.decision.outcome for probe in probes)
    return {
        "walks": len(probes),
        "rank1": sum(probe.rank1 for probe in probes),
        "match_right": sum(p.rank1 for p in probes if p.decision.outcome is Outcome.MATCH),
        "match_wrong": sum(not p.rank1 for p in probes if p.decision.outcome is Outcome.MATCH),
        "no_match": outcomes[Outcome.NO_MATCH],
        "review": outcomes[Outcome.REVIEW],
        "insufficient_quality": outcomes[Outcome.INSUFFICIENT_QUALITY],
    }


def _write_video(path: Path, source: Source, labels: dict[float, list[Label]]) -> None:
    with (
        VideoFile(path, source.size, source.fps) as writer,
        suppress(SourceTruncated),  # reported when the clip was first read
    ):
        for frame in source:
            if isinstance(frame, Frame):
                writer.write(annotate(frame.image, labels.get(frame.time, ())))


def labels_by_time(
    walks: Iterable[Walk], answers: Mapping[int, tuple[str, tuple[int, int, int]]]
) -> dict[float, list[Label]]:
    """Boxes of all tracks by frame time.

    Args:
        walks: Walks to label.
        answers: `id` of a walk -> text and BGR colour of its boxes.
    """
    labels: dict[float, list[Label]] = {}
    for walk in walks:
        answer = answers.get(id(walk))
        for moment, box, reasons in zip(walk.times, walk.boxes, walk.reasons, strict=True):
            text, color = f"{walk.track} {reasons[0].value}" if reasons else f"{walk.track}", GREY
            if answer is not None and not reasons:
                text, color = f"{walk.track}: {answer[0]}", answer[1]
            labels.setdefault(float(moment), []).append(Label(tuple(box.tolist()), text, color))
    return labels


def _answer(probe: ClipProbe) -> str:
    return probe.decision.subject or probe.decision.outcome.value.replace("_", " ")


def _caption(probe: ClipProbe) -> list[str]:
    best = probe.decision.candidates[0]
    return [
        f"{probe.subject}, {len(probe.sequence)} frames",
        f"-> {_answer(probe)}",
        f"best {best.subject} {best.score:.3f}",
    ]


def _row(probe: ClipProbe) -> dict[str, Any]:
    quality = probe.quality.measures()
    best = probe.decision.candidates[0]
    return {
        "subject": probe.subject,
        "start_s": float(probe.sequence.times[0]),
        "end_s": float(probe.sequence.times[-1]),
        **quality,
        "outcome": probe.decision.outcome.value,
        "best": best.subject,
        "score": best.score,
        "rank1": probe.rank1,
    }


def _page(facts: dict[str, Any], probes: list[ClipProbe], sheet: bytes) -> str:
    own, other = _scores(probes)
    longest = max(probes, key=lambda probe: len(probe.sequence))
    share = f"{facts['rank1']} of {facts['walks']}"
    return html.page(
        f"gaitid demo: {facts['video']}",
        f"{facts['frames']} frames, {facts['tracks']} tracks, {facts['walks']} long enough to be halved",
        [
            html.paragraph(_CAVEAT, kind="note"),
            html.key_figures(
                [
                    (share, "rank-1"),
                    (str(facts["match_right"]), "matched right"),
                    (str(facts["match_wrong"]), "matched wrong"),
                    (str(facts["no_match"]), "no match"),
                ]
            ),
            html.video(
                "annotated.webm",
                "Green: right subject; red: wrong subject; amber: no match; grey: not searched for.",
            ),
            html.heading("Scores"),
            html.figure(
                walk_charts.score_histogram(own, other, facts["threshold"]),
                "Second half against its own first half, and against the first halves of all other walks.",
            ),
            html.heading("Silhouettes"),
            html.picture(sheet, "Second halves as the encoder sees them, with the answers."),
            html.heading("Gait of the longest walk"),
            html.figure(
                walk_charts.gait_figure(longest.sequence, analyse(longest.sequence), longest.subject),
                "Leg spread over time; dotted lines separate the gait cycles.",
            ),
            html.heading("Walks"),
            html.table(_COLUMNS, map(_cells, probes), [_KINDS[probe.color] for probe in probes]),
        ],
    )


def _cells(probe: ClipProbe) -> list[object]:
    quality, best = probe.quality, probe.decision.candidates[0]
    return [
        probe.subject,
        f"{probe.sequence.times[0]:.1f} to {probe.sequence.times[-1]:.1f} s",
        len(probe.sequence),
        "-" if "height_px" in quality.unknown else round(quality.height_px),
        "-" if "cadence" in quality.unknown else round(quality.cadence),
        round(quality.score),
        _answer(probe),
        best.subject,
        f"{best.score:.3f}",
    ]


def _scores(probes: list[ClipProbe]) -> tuple[list[float], list[float]]:
    """Mated scores, of each second half with its own first half, and all non-mated ones."""
    own: list[float] = []
    other: list[float] = []
    for probe in probes:
        for candidate in probe.decision.candidates:
            (own if candidate.subject == probe.subject else other).append(candidate.score)
    return own, other
