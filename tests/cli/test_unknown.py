"""What is unknown is printed as a dash with its reason, and is null in JSON."""

from __future__ import annotations

import json

import pytest

from gaitid.cli.analyse import line
from gaitid.cli.extract import row
from gaitid.cli.measures import why_unknown
from gaitid.quality import assess
from gaitid.records import Quality
from tests.drawn import walk

KNOWN = Quality(80, 90, 3.5, 108.0, 120.0, 25.0, 0.9, 0.95)


def test_a_known_quality_is_printed_whole():
    assert line("a", KNOWN).split() == ["a", "90", "120", "25.0", "108", "3.5", "0.90", "0.95", "80", "-"]
    assert why_unknown(KNOWN) == []
    assert KNOWN.measures()["symmetry"] == 0.95


@pytest.mark.parametrize(
    ("quality", "clauses"),
    [
        (
            Quality(10, 30, height_px=90, frame_rate=25),
            ["cycles, cadence, regularity and symmetry unknown: no rhythm"],
        ),
        (Quality(50, 30, 1.5, 90, 90, 25, 0.8), ["symmetry unknown: fewer than two gait cycles"]),
        (
            Quality(50, 90, 4, 90, 90, 25, 0.8),
            ["symmetry unknown: the view shows one leg more than the other"],
        ),
        (Quality(50, 90, 4, 90, 0, 25, 0.8, 0.9), ["height unknown: no boxes"]),
    ],
)
def test_each_unknown_measure_has_its_reason(quality, clauses):
    assert why_unknown(quality) == clauses
    assert line("a", quality).endswith("; ".join(["-", *clauses]))
    assert "0.00" not in line("a", quality)


def test_one_frame_has_no_cadence_in_text_csv_and_json():
    sequence = walk().part(slice(0, 1))
    quality = assess(sequence)
    assert line("a", quality).split()[:9] == ["a", "1", *"-------"[:6], "0"]
    assert row(sequence, quality)[5:7] == ["-", "-"]
    facts = json.loads(json.dumps(quality.measures()))
    assert [facts[name] for name in ("cadence", "cycles", "symmetry", "height_px", "frame_rate")] == [
        None
    ] * 5
    assert facts["reasons"][0] == "too_short"
