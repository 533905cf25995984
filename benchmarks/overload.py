"""How long accepted and refused searches take when more are made than the server can answer.

    python -m benchmarks.overload [--seconds 6]

`gaitid serve` runs as a process of its own, as in `benchmarks.busy`. Callers in this process search a walk of
60 silhouettes without pause, wait 0.1 s after a refusal, and do not honour RetryInfo. Rival: the same server
with a queue instead of refusals (`max_wait_s` = 1000), in the same run. Both sides share the cores.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import grpc

from benchmarks import harness
from benchmarks.busy import fill, served, walk
from benchmarks.serving import Call
from gaitid import wire
from gaitid.v1.match_service_pb2 import IdentifyRequest

AT_ONCE = (1, 8, 80)
WAITS_S = (0.05, 1000.0)
Outcomes = list[tuple[str, float]]
"""Status and seconds of each call."""


def load(call: Call, request: bytes, callers: int, seconds: float) -> Outcomes:
    """Search by several callers at once."""
    found: Outcomes = []
    end = time.monotonic() + seconds

    def search() -> None:
        while time.monotonic() < end:
            begun = time.perf_counter()
            try:
                call(request, timeout=10)
                found.append(("OK", time.perf_counter() - begun))
            except grpc.RpcError as error:
                found.append((error.code().name, time.perf_counter() - begun))
                time.sleep(0.1)

    threads = [threading.Thread(target=search) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def summary(found: Outcomes, seconds: float) -> dict[str, object]:
    """Rates, and percentiles in milliseconds by status."""
    row: dict[str, object] = {}
    for status in sorted({status for status, _ in found}):
        times = sorted(took * 1e3 for one, took in found if one == status)
        row[status] = {
            "per_s": round(len(times) / seconds, 1),
            "p50_ms": round(times[len(times) // 2], 1),
            "p99_ms": round(times[int(0.99 * (len(times) - 1))], 1),
        }
    return row


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each row")
    options = parser.parse_args()
    request = IdentifyRequest(gallery="main", probe=wire.pack_probe(walk())).SerializeToString()
    rows = []
    with harness.scratch() as folder:
        fill(Path(folder) / "data")
        for wait_s in WAITS_S:
            config = Path(folder) / "server.toml"
            config.write_text(f"max_wait_s = {wait_s}\nmax_per_connection = 64\n")
            with served(Path(folder) / "data", config) as (_, call):
                load(call, request, 1, 2.0)
                for callers in AT_ONCE:
                    found = summary(load(call, request, callers, options.seconds), options.seconds)
                    rows.append({"max_wait_s": wait_s, "callers": callers, **found})
    harness.save({**harness.facts(__file__), "rows": rows}, options.out)


if __name__ == "__main__":
    main()
