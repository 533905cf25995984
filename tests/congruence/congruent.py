"""Probes for two matchers, and comparable forms of their answers."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import numpy as np

from gaitid import errors
from gaitid.encoders.gei import GEI
from gaitid.records import AuditEntry, Embedding, GaitSequence, Origin, Quality, Reason


def assess(sequence):
    """Three answers of different kinds: good, poor for one reason, poor for two."""
    reasons = {0: (), 1: (Reason.MERGED,), 2: (Reason.STANDING, Reason.CUT_OFF)}[sequence.origin.track % 3]
    return Quality(77.125, len(sequence), 2.5, 110.0, 200.0, 25.0, 0.5, 0.25, reasons)


def walk(seed, *, frames=20, track=0, size=(64, 44), camera="gate", speed=None):
    """A walk of a seed; with a speed in pixels a frame, to the right, its boxes are known."""
    body = np.random.default_rng(seed % 100).random((1, *size)) < 0.5
    flips = np.random.default_rng(seed).random((frames, *size)) < 0.05
    streams = {
        "silhouette": (body ^ flips).astype(np.uint8),
        "skeleton": np.random.default_rng(seed).random((frames, 17, 3), np.float32),
    }
    boxes = None
    if speed is not None:
        left = 500 + speed * np.arange(frames)
        boxes = np.stack([left, np.full(frames, 100), left + 60, np.full(frames, 300)], 1).astype(np.float32)
    return GaitSequence(streams, 1e9 + np.arange(frames) / 25.0, boxes, origin=Origin(camera, track))


def vector(seed, *, dimension=GEI.dimension, contract=GEI.contract):
    numbers = np.random.default_rng(seed).standard_normal(dimension)
    return Embedding((numbers / np.linalg.norm(numbers)).astype(np.float32), contract)


def outcome(matcher, name, *arguments, **options):
    """Answer or error of a call, in comparable form."""
    try:
        return _plain(getattr(matcher, name)(*arguments, **options))
    except errors.GaitIdError as error:
        return type(error), str(error), error.got, error.remedy, getattr(error, "reasons", None)


def _plain(value):
    """Comparable form: arrays as bytes, without times, because the matchers have different clocks."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        moments = {"created_at", "enrolled_at", "made_at", "erased_at", "updated"}
        moments |= {"scanned_bytes", "public_key", "signature"}  # of another directory
        moments |= {"at", "signed_at", "hash", "audit_id", "reference", "actor"}
        if isinstance(value, AuditEntry) and value.subject:
            value = replace(value, subject="a pseudonym")  # random
        return type(value), [
            (f.name, _plain(getattr(value, f.name))) for f in fields(value) if f.name not in moments
        ]
    return value


def check(pair, name, *arguments, **options):
    local, remote = (outcome(matcher, name, *arguments, **options) for matcher in pair)
    assert local == remote, (name, arguments)
    return local
