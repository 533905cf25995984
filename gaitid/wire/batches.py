"""Probes of a streamed request, packed into batches of bounded size."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from gaitid.records import GaitSequence, Probe
from gaitid.v1 import sequence_pb2
from gaitid.wire.sequence import pack_probe

BATCH_BYTES = 2**18
"""A batch is sent when it has this many bytes: about 100 walks of 30 frames, or 46 embeddings of gei."""
BATCH_FRAMES = 2000
"""A batch is sent when it has this many frames, which bounds the work per message."""

BATCH_S = 5.0
"""A batch of probes that are made while they are sent goes out this long after the one before, seconds: the
server ends a stream that pauses."""


def batched(
    probes: Iterable[Probe], max_bytes: int = BATCH_BYTES, max_s: float = float("inf")
) -> Iterator[list[sequence_pb2.Probe]]:
    """Pack probes into batches; only the current batch is in memory.

    Args:
        probes: Probes to pack.
        max_bytes: Largest batch, bytes; a single probe may be larger.
        max_s: Time after the previous batch from which the next probe ends a batch, seconds.

    Raises:
        InputError: A probe is neither a sequence nor an embedding.
    """
    batch: list[sequence_pb2.Probe] = []
    size = frames = 0
    sent = time.monotonic()
    for probe in probes:
        message = pack_probe(probe)
        length = len(probe) if isinstance(probe, GaitSequence) else 0
        if batch and (size + message.ByteSize() > max_bytes or frames + length > BATCH_FRAMES):
            yield batch
            batch, size, frames, sent = [], 0, 0, time.monotonic()
        batch.append(message)
        size += message.ByteSize()
        frames += length
        if time.monotonic() - sent >= max_s:
            yield batch
            batch, size, frames, sent = [], 0, 0, time.monotonic()
    if batch:
        yield batch
