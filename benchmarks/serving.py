"""What serving costs above a bare gRPC echo of the same size.

    python -m benchmarks.serving [--calls 800] [--rounds 5]

Two servers on loopback, each a process of its own: `gaitid` with a matcher that answers a constant
decision (model and search excluded), and a grpc.aio server that answers constant bytes. Both get
the same request bytes and give answers of the same length. Rounds of the two alternate; reported
are medians over the rounds, and their range. CPU is user + system time of the server process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np

from benchmarks import harness
from gaitid import wire
from gaitid.records import (
    Candidate,
    Decision,
    Embedding,
    GaitSequence,
    OperatingPoint,
    Outcome,
    Quality,
)
from gaitid.server.app import ServerSettings, start
from gaitid.v1.match_service_pb2 import IdentifyRequest, IdentifyResponse

Call = Callable[..., bytes]
METHOD = "/gaitid.v1.MatchService/Identify"
QUALITY = Quality(80.0, 60, 3.0, 110.0, 200.0, 25.0, 0.9, 0.9)
DECISION = Decision(
    Outcome.MATCH,
    tuple(Candidate(f"subject-{number}", 0.9 - number / 100, str(number)) for number in range(10)),
    QUALITY,
    OperatingPoint(0.8),
    1,
)


class Constant:
    """A matcher that answers a constant decision."""

    def identify(self, *_: object, **__: object) -> Decision:
        """Return the constant decision."""
        return DECISION

    answers = None

    def accepts_changes(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Do nothing."""


def requests() -> dict[str, bytes]:
    """Serialised requests by name: a ready embedding, and 60 walker-like silhouettes."""
    rng = np.random.default_rng(0)
    vector = rng.standard_normal(1408)
    embedding = Embedding((vector / np.linalg.norm(vector)).astype(np.float32), "c")
    silhouettes = np.zeros((60, 64, 44), np.uint8)
    for frame in range(60):
        spread = int(6 + 5 * np.sin(frame / 4))
        silhouettes[frame, 4:36, 17:27] = 1
        silhouettes[frame, 36:62, 22 - spread : 24 - spread // 2] = 1
        silhouettes[frame, 36:62, 22 + spread // 2 : 24 + spread] = 1
    sequence = GaitSequence({"silhouette": silhouettes}, np.arange(60) / 25.0)
    probes = {"embedding of 1408": embedding, "60 silhouettes": sequence}
    return {
        name: IdentifyRequest(gallery="home", probe=wire.pack_probe(probe)).SerializeToString()
        for name, probe in probes.items()
    }


async def serve_gaitid() -> None:
    """Serve the constant matcher until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with start(ServerSettings("127.0.0.1:0"), Constant()) as address:  # type: ignore[arg-type]
        print(address, flush=True)
        await stop.wait()


async def serve_echo() -> None:
    """Serve constant bytes with the length of gaitid's answer until SIGTERM."""
    answer = IdentifyResponse(decision=wire.pack_decision(DECISION)).SerializeToString()

    async def echo(request: bytes, context: object) -> bytes:
        return answer

    service, _, method = METHOD[1:].partition("/")
    server = grpc.aio.server()
    handlers = {method: grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(f"127.0.0.1:{port}", flush=True)
    await stop.wait()
    await server.stop(1.0)


@contextmanager
def process(kind: str) -> Iterator[tuple[int, Call]]:
    """Start a server process; yields its pid and a call that sends bytes."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serving", "--serve", kind], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            with grpc.insecure_channel(child.stdout.readline().strip()) as channel:
                yield child.pid, channel.unary_unary(METHOD)
        finally:
            child.terminate()


def cpu_s_of(pid: int) -> float:
    """User and system time of a process, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(pid: int, call: Call, request: bytes, calls: int, at_once: int) -> tuple[float, float]:
    """CPU microseconds per request, and requests per second."""
    before, begun = cpu_s_of(pid), time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        for answer in pool.map(lambda _: call(request, timeout=10), range(calls)):
            assert answer
    return (cpu_s_of(pid) - before) / calls * 1e6, calls / (time.perf_counter() - begun)


def compare(calls: int, rounds: int) -> list[dict[str, object]]:
    """One row for each request and number of calls at once."""
    rows = []
    with process("gaitid") as ours, process("echo") as bare:
        for name, request in requests().items():
            for at_once in (1, 8):
                for pid, call in (ours, bare):
                    measure(pid, call, request, 100, at_once)
                taken = {"gaitid": [], "echo": []}
                for _ in range(rounds):
                    taken["gaitid"].append(measure(*ours, request, calls, at_once))
                    taken["echo"].append(measure(*bare, request, calls, at_once))
                rows.append(
                    {"request": name, "request_bytes": len(request), "at_once": at_once, **_row(taken)}
                )
                print(json.dumps(rows[-1]))
    return rows


def _row(taken: dict[str, list[tuple[float, float]]]) -> dict[str, object]:
    cpu = {kind: [round(us) for us, _ in values] for kind, values in taken.items()}
    rate = {kind: [round(rps) for _, rps in values] for kind, values in taken.items()}
    own = [one - two for one, two in zip(cpu["gaitid"], cpu["echo"], strict=True)]
    ratio = [one / two for one, two in zip(rate["gaitid"], rate["echo"], strict=True)]
    return {
        "own_cpu_us": statistics.median(own),
        "own_cpu_us_range": [min(own), max(own)],
        "throughput_ratio": round(statistics.median(ratio), 3),
        "throughput_ratio_range": [round(min(ratio), 3), round(max(ratio), 3)],
        "cpu_us": {kind: statistics.median(values) for kind, values in cpu.items()},
        "requests_per_s": {kind: statistics.median(values) for kind, values in rate.items()},
    }


def main() -> None:
    """Measure, print and save; or be one of the servers."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--serve", choices=["gaitid", "echo"], help="be that server")
    parser.add_argument("--calls", type=int, default=800, help="calls per round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve_gaitid() if options.serve == "gaitid" else serve_echo())
        return
    rows = compare(options.calls, options.rounds)
    report = {**harness.facts(__file__), "grpcio": grpc.__version__, "rows": rows}
    harness.save(report, options.out, show=False)


if __name__ == "__main__":
    main()
