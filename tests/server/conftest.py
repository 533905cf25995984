"""A matcher over a temporary directory and its server."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.encoders.gei import GEI
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, GaitSequence, Quality, Reason
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running


def assess(sequence):
    """A quality that depends on the number of frames only."""
    poor = (Reason.TOO_SHORT,) if len(sequence) < 15 else ()
    return Quality(80.0 - 10 * len(poor), len(sequence), reasons=poor)


@pytest.fixture
def local(tmp_path):
    matcher = LocalMatcher(GEI(), tmp_path / "data", index="exact", assess=assess)
    yield matcher
    matcher.close()


@pytest.fixture
def address(local):
    with running(ServerSettings("127.0.0.1:0", shutdown_grace_s=1.0), local) as address:
        yield address


@pytest.fixture
def remote(address):
    matcher = RemoteMatcher(address)
    yield matcher
    matcher.close()


@pytest.fixture
def walk():
    """Makes the sequence of a seed: similar blobs for one seed, with a few pixels of noise."""

    def make(seed=0, frames=20, noise=0):
        body = np.random.default_rng(seed).random((1, 64, 44)) < 0.5
        flips = np.random.default_rng(noise).random((frames, 64, 44)) < 0.05
        return GaitSequence({"silhouette": (body ^ flips).astype(np.uint8)}, np.arange(frames) / 25.0)

    return make


@pytest.fixture
def vector():
    """Makes the embedding of a seed, with the contract of gei."""

    def make(seed=0, dimension=GEI.dimension, contract=GEI.contract):
        numbers = np.random.default_rng(seed).standard_normal(dimension)
        return Embedding((numbers / np.linalg.norm(numbers)).astype(np.float32), contract)

    return make
