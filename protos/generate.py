"""Generate gaitid/v1 from protos/gaitid/v1, or check that it is fresh.

    python protos/generate.py           write gaitid/v1
    python protos/generate.py --check   compare only; exit 1 and name what differs

Needs grpcio-tools==1.76.0: its output loads under protobuf 6.31.1 and newer and grpcio 1.76 and newer.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

TOOLS = "1.76.0"
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path("gaitid/v1")


def generate(target: Path) -> dict[str, bytes]:
    """Generate all messages and services below `target`; gives the files by name."""
    sources = sorted(str(path) for path in (ROOT / "protos" / PACKAGE).glob("*.proto"))
    services = [path for path in sources if path.endswith("_service.proto")]
    include = [f"-I{ROOT / 'protos'}", f"-I{files('grpc_tools') / '_proto'}"]
    _protoc(*include, f"--python_out={target}", f"--pyi_out={target}", *sources)
    _protoc(*include, f"--grpc_python_out={target}", *services)
    return {path.name: path.read_bytes() for path in (target / PACKAGE).iterdir()}


def _protoc(*arguments: str) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        sys.exit("protoc failed")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    if version("grpcio-tools") != TOOLS:
        sys.exit(f"grpcio-tools is {version('grpcio-tools')}, expected {TOOLS}: install that version")
    with tempfile.TemporaryDirectory() as directory:
        fresh = generate(Path(directory))
        here = ROOT / PACKAGE
        old = {path.name: path.read_bytes() for path in here.glob("*_pb2*")}
        stale = sorted(name for name in fresh.keys() | old.keys() if fresh.get(name) != old.get(name))
        if check:
            sys.exit(f"stale in {PACKAGE}: {', '.join(stale)}: run protos/generate.py" if stale else 0)
        for name in stale:
            (here / name).unlink(missing_ok=True)
            if name in fresh:
                shutil.copyfile(Path(directory) / PACKAGE / name, here / name)


if __name__ == "__main__":
    main()
