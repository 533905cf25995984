"""What the demo leaves behind: annotated video, contact sheet, JSON and a page."""

from __future__ import annotations

import dataclasses
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
    save_picture,
)
from gaitid.errors import SourceTruncated
from gaitid.evaluation import figures
from gaitid.evaluation import page as html
from gaitid.perception.pipeline import Walk
from gaitid.perception.sources import open_source
from gaitid.quality import analyse
from gaitid.records import Decision, Frame, GaitSequence, Outcome, Quality

_CAVEAT = (
    "Two halves of one track share clothes, view, light and segmentation errors. "
    "This is a sanity check that the parts work together, not an accuracy claim. A person whose track "
    "broke counts as two subjects, so some of the wrong answers may be right."
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


@dataclass(frozen=True, slots=True)
class Result:
    """One walk of the demo: enrolled as `subject` from its first half, identified from its second."""

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
        """BGR colour of the answer: right, wrong, or no answer."""
        if self.decision.outcome is Outcome.MATCH:
            return GREEN if self.rank1 else RED
        return AMBER


def write(out: Path, video: str, frames: int, walks: list[Walk], results: list[Result]) -> None:
    """Write all four files of the demo into `out`."""
    rows = [SheetRow(_silhouettes(result), _caption(result), result.color) for result in results]
    save_picture(out / "silhouettes.png", contact_sheet(rows))
    answers = {id(result.walk): (_answer(result), result.color) for result in results}
    _write_video(out / "annotated.webm", video, labels_by_time(walks, answers))
    facts = {
        "video": Path(video).name,
        "frames": frames,
        "tracks": len(walks),
        "threshold": results[0].decision.operating_point.threshold,
        **summary(results),
    }
    rows_json = [_row(result) for result in results]
    (out / "results.json").write_text(json.dumps({"summary": facts, "walks": rows_json}, indent=1) + "\n")
    (out / "report.html").write_text(_page(facts, results, (out / "silhouettes.png").read_bytes()))


def summary(results: list[Result]) -> dict[str, int]:
    """Counts over all walks."""
    outcomes = Counter(result.decision.outcome for result in results)
    return {
        "walks": len(results),
        "rank1": sum(result.rank1 for result in results),
        "match_right": sum(r.rank1 for r in results if r.decision.outcome is Outcome.MATCH),
        "match_wrong": sum(not r.rank1 for r in results if r.decision.outcome is Outcome.MATCH),
        "no_match": outcomes[Outcome.NO_MATCH],
        "review": outcomes[Outcome.REVIEW],
        "insufficient_quality": outcomes[Outcome.INSUFFICIENT_QUALITY],
    }


def _write_video(path: Path, video: str, labels: dict[float, list[Label]]) -> None:
    with (
        open_source(video, camera="demo") as source,
        VideoFile(path, source.size, source.fps) as writer,
        suppress(SourceTruncated),  # said when the clip was watched
    ):
        for frame in source:
            if isinstance(frame, Frame):
                writer.write(annotate(frame.image, labels.get(frame.time, ())))


def labels_by_time(
    walks: Iterable[Walk], answers: Mapping[int, tuple[str, tuple[int, int, int]]]
) -> dict[float, list[Label]]:
    """Boxes of all tracks by frame time; the walks in `answers`, by `id`, carry text and colour."""
    labels: dict[float, list[Label]] = {}
    for walk in walks:
        answer = answers.get(id(walk))
        for moment, box, reasons in zip(walk.times, walk.boxes, walk.reasons, strict=True):
            text, color = f"{walk.track} {reasons[0].value}" if reasons else f"{walk.track}", GREY
            if answer is not None and not reasons:
                text, color = f"{walk.track}: {answer[0]}", answer[1]
            labels.setdefault(float(moment), []).append(Label(tuple(box.tolist()), text, color))
    return labels


def _answer(result: Result) -> str:
    return result.decision.subject or result.decision.outcome.value.replace("_", " ")


def _caption(result: Result) -> list[str]:
    best = result.decision.candidates[0]
    return [
        f"{result.subject}, {len(result.sequence)} frames",
        f"-> {_answer(result)}",
        f"best {best.subject} {best.score:.3f}",
    ]


def _silhouettes(result: Result) -> Any:
    assert result.sequence.silhouettes is not None  # noqa: S101 - the motion extractor always has them
    return result.sequence.silhouettes


def _row(result: Result) -> dict[str, Any]:
    quality = dataclasses.asdict(result.quality)
    best = result.decision.candidates[0]
    return {
        "subject": result.subject,
        "start_s": float(result.sequence.times[0]),
        "end_s": float(result.sequence.times[-1]),
        **quality,
        "outcome": result.decision.outcome.value,
        "best": best.subject,
        "score": best.score,
        "rank1": result.rank1,
    }


def _page(facts: dict[str, Any], results: list[Result], sheet: bytes) -> str:
    own, other = _scores(results)
    longest = max(results, key=lambda result: len(result.sequence))
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
                "Green: right subject; red: wrong subject; amber: no match; grey: not asked.",
            ),
            html.heading("Scores"),
            html.figure(
                figures.score_histogram(own, other, facts["threshold"]),
                "Second half against its own first half, and against the first halves of all other walks.",
            ),
            html.heading("Silhouettes"),
            html.picture(sheet, "Second halves as the encoder sees them, with the answers."),
            html.heading("Gait of the longest walk"),
            html.figure(
                figures.gait_figure(longest.sequence, analyse(longest.sequence), longest.subject),
                "Leg spread over time; dotted lines part the gait cycles.",
            ),
            html.heading("Walks"),
            html.table(_COLUMNS, map(_cells, results), [_KINDS[result.color] for result in results]),
        ],
    )


def _cells(result: Result) -> list[object]:
    quality, best = result.quality, result.decision.candidates[0]
    return [
        result.subject,
        f"{result.sequence.times[0]:.1f} to {result.sequence.times[-1]:.1f} s",
        len(result.sequence),
        round(quality.height_px),
        round(quality.cadence),
        round(quality.score),
        _answer(result),
        best.subject,
        f"{best.score:.3f}",
    ]


def _scores(results: list[Result]) -> tuple[list[float], list[float]]:
    """Scores of each second half with its own first half, and with all others."""
    own: list[float] = []
    other: list[float] = []
    for result in results:
        for candidate in result.decision.candidates:
            (own if candidate.subject == result.subject else other).append(candidate.score)
    return own, other
