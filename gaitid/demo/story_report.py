"""The report of the generated demo: annotated videos of both days, pictures, JSON and a page."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.demo.clip_report import labels_by_time
from gaitid.demo.scene import AZIMUTH, FilmedDay
from gaitid.demo.story import (
    FPIR,
    LEAST_RECOGNISED,
    MOST_FPIR,
    DemoProbe,
    DemoStory,
    rank,
    summary,
    verdict,
)
from gaitid.edge.pictures import (
    AMBER,
    GREEN,
    RED,
    SheetRow,
    VideoFile,
    annotate,
    contact_sheet,
    drawn,
    save_picture,
)
from gaitid.evaluation import markup as html
from gaitid.evaluation import walk_charts
from gaitid.perception.pipeline import Walk
from gaitid.perception.sources import open_source
from gaitid.records import Frame, Outcome

Bytes = NDArray[np.uint8]

FILES = ("report.html", "day-1.webm", "day-2.webm", "people.png", "silhouettes.png", "results.json")
_KINDS = {GREEN: "good", RED: "bad", AMBER: "open"}
_COLUMNS = (
    "walk", "subject", "clothes", "frames", "quality", "answer", "", "best candidate", "score",
    "own", "rank",
)  # fmt: skip
_TILE = (92, 128)
_CLOTHES = {"nm": "other clothes", "cl": "other clothes and a coat"}
_NOTE = (
    "SYNTHETIC. Bodies, gait, clothes, places and light are generated. On day one ground truth says whose "
    "walk each track is, as a guard who enrols people would; on day two it only checks the answers. A few "
    "walks of synthetic subjects show that the chain works, not how accurate it is on real people."
)
_PEOPLE = (
    "Left: day one, picture and mean silhouette; right: day two, with the answer. Impostors are not enrolled "
    "and come on day two only."
)
_DAY_ONE = "Green: walks that subjects were enrolled from; grey: refused frames, with the reason."
_DAY_TWO = (
    "Green: right, which for an impostor is 'unknown'; red: wrong; amber: an enrolled subject not "
    "recognised, or a walk of too low quality; grey: refused frames, and walks that were not searched for."
)


def write(out: Path, story: DemoStory) -> None:
    """Write all files of `FILES` into `out`."""
    facts = summary(story)
    save_picture(out / "people.png", _people(story))
    rows = [SheetRow(_silhouettes(p.walk), _caption(p), verdict(p)[1]) for p in story.probes]
    save_picture(out / "silhouettes.png", contact_sheet(rows, margin=250))
    answers = (
        {id(walk): (subject, GREEN) for subject, walks in story.enrolled.items() for walk in walks},
        {id(p.walk): (_answer(p), verdict(p)[1]) for p in story.probes},
    )
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_write_video, [out / name for name in FILES[1:3]], story.days, answers))
    data = {"summary": facts, "walks": [_row(probe) for probe in story.probes]}
    (out / "results.json").write_text(json.dumps(data, indent=1) + "\n")
    (out / "report.html").write_text(_page(out, facts, story))


def lines(story: DemoStory) -> list[str]:
    """The summary for a terminal."""
    facts = summary(story)
    return [
        f"SYNTHETIC scene, seed {facts['seed']}, encoder {facts['encoder']}: {facts['enrolled']} people "
        f"enrolled on day one, {facts['people_recognised']} of them recognised on day two among "
        f"{facts['strangers']} people who are not enrolled",
        f"  of {facts['mated_searches']} walks of enrolled people: rank-1 {facts['rank1']}, matched right "
        f"{facts['match_right']}, matched wrong {facts['match_wrong']}, not matched {facts['missed']}",
        f"  of {facts['nonmated_searches']} walks of people who are not enrolled: called unknown "
        f"{facts['nonmated_searches'] - facts['strangers_matched']}, matched {facts['strangers_matched']}",
        f"  at threshold {facts['threshold']:.3f}: FNIR {_rate(facts, 'fnir')}, FPIR {_rate(facts, 'fpir')}",
        f"  threshold learned from {facts['others']} other synthetic people for a target FPIR of {FPIR:.0%}",
        "  (95 % intervals): so few walks show that the chain works, not its accuracy",
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _rate(facts: dict[str, Any], name: str) -> str:
    low, high = facts[f"{name}_interval"]
    return f"{_share(facts[name])} ({low:.2f} to {high:.2f})"


def _write_video(path: Path, day: FilmedDay, answers: dict[int, tuple[str, tuple[int, int, int]]]) -> None:
    labels = labels_by_time(day.walks, answers)
    with open_source(str(day.video)) as source, VideoFile(path, source.size, source.fps / 2) as writer:
        by_index = {round(moment * source.fps): found for moment, found in labels.items()}
        for frame in source:
            if (
                isinstance(frame, Frame) and frame.index % 2 == 0
            ):  # encoding takes 26 ms a frame, 35 ms without the blur
                calm = np.asarray(cv2.GaussianBlur(frame.image, (3, 3), 0.8), np.uint8)
                writer.write(annotate(calm, by_index.get(frame.index, ())))


def _silhouettes(walk: Walk) -> Bytes:
    assert walk.sequence is not None  # noqa: S101 - only walks with sequences are used
    return drawn(walk.sequence)


def _answer(probe: DemoProbe) -> str:
    if probe.decision.outcome is Outcome.NO_MATCH:
        return "unknown"
    return probe.decision.subject or probe.decision.outcome.value.replace("_", " ")


def _caption(probe: DemoProbe) -> list[str]:
    best = probe.decision.candidates[0] if probe.decision.candidates else None
    who = "" if probe.enrolled else ", impostor"
    return [
        f"{probe.subject}{who}, {_silhouettes(probe.walk).shape[0]} frames",
        f"-> {_answer(probe)} ({verdict(probe)[0]})",
        f"best {best.subject} {best.score:.3f}" if best else "not searched",
    ]


def _people(story: DemoStory) -> Bytes:
    """Contact sheet of all people of day two, beside their picture and mean silhouette of day one."""
    tiles = []
    for subject in sorted(story.conditions, key=lambda name: (name not in story.enrolled, name)):
        probes = [probe for probe in story.probes if probe.subject == subject]
        first = story.enrolled.get(subject, [])
        tiles.append(_pair(story, subject, first[0] if first else None, probes))
    blank = np.full_like(tiles[0], 250)
    tiles += [blank] * (len(tiles) % 2)
    return np.vstack([np.hstack(tiles[k : k + 2]) for k in range(0, len(tiles), 2)])


def _weight(probe: DemoProbe) -> tuple[bool, int]:
    """Sort key of the walk to show: answered ones first, then by length."""
    answered = probe.decision.outcome is not Outcome.INSUFFICIENT_QUALITY
    return answered, len(_silhouettes(probe.walk))


def _pair(story: DemoStory, subject: str, before: Walk | None, probes: list[DemoProbe]) -> Bytes:
    width, height = _TILE
    best = max(probes, key=_weight, default=None)
    pictures = []
    for day, walk in zip(story.days, (before, best.walk if best else None), strict=True):
        seen = subject in day.portraits
        pictures.append(_fit(day.portraits[subject]) if seen else np.full((height, width, 3), 236, np.uint8))
        pictures.append(_mean(walk))
    canvas = np.full((height + 30, 4 * width + 110, 3), 250, np.uint8)
    for k, picture in enumerate(pictures):
        left = 8 + k * (width + 4) + (18 if k > 1 else 0)
        canvas[24 : 24 + height, left : left + width] = picture
    text, color = "not seen whole", AMBER
    if best is not None:
        text, color = f"-> {_answer(best)} ({verdict(best)[0]})", verdict(best)[1]
    kind = "" if before else " impostor" if subject in story.impostors else " not enrolled"
    ink = (40, 40, 40)
    cv2.putText(canvas, subject + kind, (8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
    cv2.putText(canvas, text, (226, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1, cv2.LINE_AA)
    return canvas


def _fit(picture: Bytes) -> Bytes:
    """Scale and pad a picture to a tile."""
    width, height = _TILE
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    canvas = np.full((height, width, 3), 236, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas


def _mean(walk: Walk | None) -> Bytes:
    """The mean silhouette of a walk, dark on light."""
    if walk is None:
        return np.full((_TILE[1], _TILE[0], 3), 236, np.uint8)
    shade = (236 - 200 * _silhouettes(walk).mean(0)).astype(np.uint8)
    return _fit(cv2.resize(cv2.merge([shade] * 3), (88, 128), interpolation=cv2.INTER_LINEAR))


def _row(probe: DemoProbe) -> dict[str, Any]:
    best = probe.decision.candidates[0] if probe.decision.candidates else None
    return {
        "track": probe.walk.track,
        "subject": probe.subject,
        "enrolled": probe.enrolled,
        "condition": probe.condition,
        "frames": len(_silhouettes(probe.walk)),
        "quality": probe.quality.score,
        "reasons": [reason.value for reason in probe.quality.reasons],
        "outcome": probe.decision.outcome.value,
        "verdict": verdict(probe)[0],
        "best": best.subject if best else None,
        "score": best.score if best else None,
        "own_score": _own(probe),
        "rank": rank(probe),
    }


def _own(probe: DemoProbe) -> float | None:
    scores = [c.score for c in probe.decision.candidates if c.subject == probe.subject]
    return scores[0] if scores else None


def _page(out: Path, facts: dict[str, Any], story: DemoStory) -> str:
    shown = shown_figures(facts)
    own = [score for p in story.probes if (score := _own(p)) is not None]
    other = [c.score for p in story.probes for c in p.decision.candidates if c.subject != p.subject]
    return html.page(
        "gaitid demo: SYNTHETIC subjects on two days",
        f"seed {story.seed}, encoder {story.encoder}, threshold {facts['threshold']:.3f}, "
        f"{facts['frames'][0]} and {facts['frames'][1]} frames",
        [
            html.paragraph(_NOTE, kind="note"),
            html.key_figures(shown),
            html.paragraph(_description(facts, story)),
            html.heading("Who was recognised"),
            html.picture((out / "people.png").read_bytes(), _PEOPLE),
            html.heading("Day two: recognised or unknown"),
            html.video("day-2.webm", _DAY_TWO),
            html.heading("Day one: enrolment"),
            html.video("day-1.webm", _DAY_ONE),
            html.heading("Walks of day two"),
            html.table(_COLUMNS, map(_cells, story.probes), [_KINDS[verdict(p)[1]] for p in story.probes]),
            html.heading("Outcomes"),
            html.table(("", "right", "wrong", "not recognised", "no answer"), _outcomes(story.probes)),
            html.heading("Scores"),
            html.figure(
                walk_charts.score_histogram(own, other, facts["threshold"], ("mated", "non-mated")),
                "Walks of day two against day one: mated is the same subject, non-mated all others.",
            ),
            html.heading("Silhouettes"),
            html.picture((out / "silhouettes.png").read_bytes(), "Day two as the encoder sees it."),
        ],
    )  # fmt: skip


def shown_figures(facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The large figures of the page: value, caption, and its colour, by what the demo should reach."""
    searched, mated = facts["nonmated_searches"], facts["mated_searches"]
    unknown = searched - facts["strangers_matched"]
    fnir, fpir = facts["fnir"], facts["fpir"]
    recognised = facts["people_recognised"] >= LEAST_RECOGNISED * facts["enrolled"]
    first = facts["rank1"] >= LEAST_RECOGNISED * mated
    few_named = fpir is None or fpir <= MOST_FPIR
    few_missed = fnir is None or fnir <= 1 - LEAST_RECOGNISED
    return [
        (f"{facts['people_recognised']} of {facts['enrolled']}", "subjects recognised", _kind(recognised)),
        (f"{facts['rank1']} of {mated}", "of their walks with rank-1", _kind(first)),
        (str(facts["match_wrong"]), "of their walks taken for another", _kind(not facts["match_wrong"])),
        (str(facts["missed"]), "of their walks called unknown", _kind(few_missed)),
        (f"{unknown} of {searched}", "walks of impostors called unknown", _kind(few_named)),
        (_share(fnir), "FNIR", _kind(few_missed)),
        (_share(fpir), "FPIR", _kind(few_named)),
    ]  # fmt: skip


def _kind(is_reached: bool) -> str:
    return "good" if is_reached else "bad"


def _description(facts: dict[str, Any], story: DemoStory) -> str:
    """What was done, and what did not work."""
    turned = abs(AZIMUTH[1] - AZIMUTH[0])
    missing = f"; without a usable walk and not enrolled: {', '.join(story.failed)}" if story.failed else ""
    nobody = f"{facts['walks_of_nobody']} walks showed several people or nobody and were left out. "
    return (
        f"Day one: {facts['enrolled']} subjects enrolled from the walks that perception found{missing}. "
        f"Day two: the camera is turned by {turned:.0f} degrees, in another place, and everybody wears other "
        "clothes, half of them a coat. "
        f"The threshold was learned from {facts['others']} other synthetic people before the second camera, "
        f"for a target FPIR of {FPIR:.0%}. "
        f"{facts['walks_of_day_two']} walks were sent to the server; the quality of "
        f"{facts['insufficient_quality']} was too low to search. {nobody if facts['walks_of_nobody'] else ''}"
        "FNIR is the share of mated searches that did not return the right subject, FPIR the share of "
        "non-mated searches that returned a match. "
        f"So few walks leave wide 95 % intervals: FNIR {_rate(facts, 'fnir')}, FPIR {_rate(facts, 'fpir')}."
    )


def _cells(probe: DemoProbe) -> list[object]:
    row = _row(probe)
    who = row["subject"] if probe.enrolled else f"{row['subject']} (impostor)"
    reasons = f": {', '.join(row['reasons'])}" if row["reasons"] else ""
    return [
        row["track"], who, _CLOTHES[probe.condition], row["frames"], round(row["quality"]),
        _answer(probe) + reasons, row["verdict"], row["best"] or "-",
        *("-" if row[key] is None else f"{row[key]:.3f}" for key in ("score", "own_score")),
        "-" if row["rank"] is None else row["rank"],
    ]  # fmt: skip


def _outcomes(probes: list[DemoProbe]) -> list[list[object]]:
    """Counts of verdicts by group and clothes."""
    rows: list[list[object]] = []
    for name, chosen in (
        ("enrolled, other clothes", [p for p in probes if p.enrolled and p.condition == "nm"]),
        ("enrolled, with a coat", [p for p in probes if p.enrolled and p.condition == "cl"]),
        ("not enrolled", [p for p in probes if not p.enrolled]),
    ):
        count = Counter(verdict(probe)[0] for probe in chosen)
        rows.append([name, *(count[kind] for kind in ("right", "wrong", "missed", "no answer"))])
    return rows
