"""What a search with 60 silhouettes costs the server as shipped, on an idle and on a busy machine.

    python -m benchmarks.busy [--calls 60] [--rounds 5]

`gaitid serve` runs as a process of its own, with its defaults and without any variable that limits threads. A
search embeds a synthetic walk and looks it up in a gallery of 100 subjects. On the busy machine one process
per core computes without pause. CPU is user + system time of the server process for each search. Idle and
busy rounds alternate.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np

from benchmarks import harness
from benchmarks.serving import METHOD, Call, cpu_s_of
from gaitid import wire
from gaitid.encoders.base import load_encoder
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, GaitSequence, Outcome
from gaitid.synthetic import Population
from gaitid.v1.match_service_pb2 import IdentifyRequest, IdentifyResponse

FRAMES = 60
SUBJECTS = 100


def walk() -> GaitSequence:
    """A synthetic walk of 60 frames."""
    return Population(0).sequence(0, frames=FRAMES).sequence()


def fill(data: Path) -> None:
    """Create a gallery of random templates."""
    encoder = load_encoder("strider")
    matcher = LocalMatcher(encoder, data)
    matcher.create_gallery("main")
    vectors = np.random.default_rng(0).standard_normal((SUBJECTS, encoder.dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = [Embedding(vector.astype(np.float32), encoder.contract) for vector in vectors]
    matcher.enrol_many("main", {f"subject-{number}": [one] for number, one in enumerate(made)})
    matcher.close()


def bare_environment() -> dict[str, str]:
    """The environment without variables that limit the threads of numpy."""
    return {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}


@contextmanager
def served(data: Path, config: Path | None = None) -> Iterator[tuple[int, Call]]:
    """Run `gaitid serve`; yields its pid and a call that sends bytes."""
    command = [sys.executable, "-m", "gaitid", "serve", "--address", "127.0.0.1:0", "--data", str(data)]
    command += [] if config is None else ["--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=bare_environment()) as child:
        try:
            address = child.stdout.readline().split()[-1]
            with grpc.insecure_channel(address) as channel:
                yield child.pid, channel.unary_unary(METHOD)
        finally:
            child.terminate()


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep that many processes busy."""
    children = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def patient(call: Call, request: bytes) -> bytes:
    """Make a call, again while the server is full."""
    while True:
        try:
            return call(request, timeout=60)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            time.sleep(0.05)


def measure(pid: int, call: Call, request: bytes, calls: int, at_once: int) -> tuple[float, float]:
    """CPU and wall milliseconds of a search."""
    before, begun = cpu_s_of(pid), time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        for answer in pool.map(lambda _: patient(call, request), range(calls)):
            assert answer
    wall = time.perf_counter() - begun
    return (cpu_s_of(pid) - before) / calls * 1e3, wall / calls * 1e3


def compare(data: Path, calls: int, rounds: int) -> list[dict[str, object]]:
    """One row for each load and number of calls at once."""
    request = IdentifyRequest(gallery="main", probe=wire.pack_probe(walk())).SerializeToString()
    taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with served(data) as (pid, call):
        first = wire.unpack_decision(IdentifyResponse.FromString(call(request, timeout=60)).decision)
        assert first.outcome is not Outcome.INSUFFICIENT_QUALITY
        for _ in range(rounds):
            for name, processes in (("idle", 0), ("busy", os.cpu_count() or 1)):
                with load(processes):
                    for at_once in (1, 8):
                        found = measure(pid, call, request, calls, at_once)
                        taken.setdefault((name, at_once), []).append(found)
    return [
        {
            "machine": name,
            "at_once": at_once,
            "cpu_ms": harness.extremes((cpu for cpu, _ in found), 2),
            "wall_ms_per_search": harness.extremes((wall for _, wall in found), 2),
            "rounds": len(found),
        }
        for (name, at_once), found in taken.items()
    ]


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--calls", type=int, default=60, help="searches per round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with harness.scratch() as folder:
        fill(Path(folder) / "data")
        rows = compare(Path(folder) / "data", options.calls, options.rounds)
    harness.save(
        {**harness.facts(__file__), "encoder": "strider", "frames": FRAMES, "rows": rows}, options.out
    )


if __name__ == "__main__":
    main()
