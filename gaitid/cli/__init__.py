"""The command line. A verb's module is imported when the verb is used, not before.

``gaitid gallery calibrate`` is ``gaitid/cli/gallery/calibrate.py``. Each verb's module has two functions:
``arguments(parser)`` adds its flags and ``run(options)`` returns the exit status.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import gaitid
from gaitid.caller import calling
from gaitid.errors import GaitIdError, InputError
from gaitid.registry import missing

if TYPE_CHECKING:
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]

VERBS = {
    "demo": "enrol and identify the people in a video, and write a report",
    "doctor": "check this installation and, with --data, a data directory",
    "extract": "extract gait sequences from a video",
    "analyse": "report cadence, cycles, symmetry and quality of each walk",
    "enrol": "add a subject to a gallery, or samples to a subject",
    "identify": "search a gallery for the person in a sequence or video",
    "verify": "compare a sequence or video with one subject",
    "delete": "delete a subject, or a whole gallery",
    "list": "list galleries, and the subjects of one",
    "serve": "run the gRPC server",
    "edge": "watch a camera and print one decision per walk",
    "train": "train an encoder from a recipe; the same command resumes",
    "evaluate": "evaluate an encoder on a data set, or compare two results",
    "gallery calibrate": "learn what the scores of a gallery mean",
    "gallery operating-point": "set the threshold of a gallery, or a target error rate",
    "gallery normalise": "normalise scores by a cohort of impostors, if accuracy does not suffer",
    "gallery migrate": "move all galleries to another index or engine, such as Milvus",
    "gallery import": "enrol many subjects from a file of embeddings, without checks",
    "gallery renew": "re-project all templates of a gallery with a new secret",
    "gallery profiles": "switch camera profiles of a gallery on or off",
    "camera learn": "learn the profile of a camera at once, from unlabelled walks of anybody",
    "camera list": "list the camera profiles of a gallery",
    "camera show": "describe the profiles of one camera",
    "camera forget": "forget the profiles of a camera, for example after it was moved",
    "subject terms": "record legal basis, purpose, expiry and legal hold of a subject",
    "subject erase": "delete a subject and write a signed receipt",
    "subject export": "export everything a gallery stores about a subject, as JSON and npz",
    "subject receipt": "verify a receipt of 'gaitid subject erase'",
    "keys create": "append a new key to a key file",
    "keys rotate": "re-encrypt the data keys of all galleries with the newest key",
    "token create": "create a token with a role in galleries, for a caller without a certificate",
    "token list": "list the tokens in a file",
    "token revoke": "refuse a token from now on",
    "pki init": "create a certificate authority for nodes and servers",
    "pki issue": "issue a certificate for a server or a node",
    "pki revoke": "add a certificate to the list of revoked ones",
    "backup create": "back up all galleries while they are in use",
    "backup restore": "restore a backup into a new data directory, or verify a backup",
    "audit list": "print entries of the audit trail, oldest first",
    "audit verify": "verify that no entry was changed, removed or cut off",
    "audit export": "write all entries and the signed head as JSON lines",
    "audit review": "record a human's verdict on a decision",
    "model adapt": "adapt an encoder to your own people, in seconds, validated on people left out",
    "model list": "list the weights that are installed, with licence, origin and digest",
    "model verify": "check that no weight file was changed",
    "model export": "export the network of an encoder to ONNX",
    "model import": "convert a checkpoint of OpenGait to a weight file",
    "dataset synth": "generate synthetic walkers as sequences or in the layout of a data set",
    "dataset prepare": "convert a data set once, so that it loads fast",
}
"""Verb, with its group if it has one -> one line of help."""

GROUPS = {
    "gallery": "calibrate, tune, fill and move galleries",
    "camera": "learn, list and forget camera profiles",
    "subject": "terms, export and erasure of a subject",
    "keys": "create and rotate encryption keys",
    "token": "create, list and revoke bearer tokens",
    "pki": "a small certificate authority",
    "backup": "create and restore backups",
    "audit": "list, verify and export the audit trail; review decisions",
    "model": "adapt, export and import encoders",
    "dataset": "generate and prepare data sets",
}

MOVED = {
    "terms": "subject terms",
    "erase": "subject erase",
    "export-subject": "subject export",
    "receipt": "subject receipt",
    "review": "audit review",
    "calibrate": "gallery calibrate",
    "rule": "gallery operating-point",
    "normalise": "gallery normalise",
    "renew": "gallery renew",
    "import": "gallery import",
    "keygen": "keys create",
    "rotate": "keys rotate",
    "restore": "backup restore",
    "finetune": "model adapt",
    "model finetune": "model adapt",
    "export": "model export",
    "import-checkpoint": "model import",
    "synth": "dataset synth",
    "prepare": "dataset prepare",
}
"""Verbs of earlier development versions -> their names now, for the error message only."""


_PYTHON = ("import", "list")
"""Verbs whose modules end in an underscore, since Python needs the name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        Exit status: 0 = done, 1 = failed, 2 = wrong usage or input, 3 = no match or no usable walk,
            130 = interrupted.
    """
    verb = "gaitid"
    try:
        options = _parse(sys.argv[1:] if arguments is None else arguments)
        verb = options.verb
        logging.basicConfig(
            level=logging.DEBUG if options.verbose else logging.WARNING,
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        )
        with calling(getattr(options, "purpose", None) or "", actor=f"uid:{os.getuid()}"):
            return int(options.run(options) or 0)
    except GaitIdError as error:
        print(f"gaitid: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except ModuleNotFoundError as error:
        print(f"gaitid: {missing(error, verb)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output closed it, as in `gaitid list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    _refuse_old_name(arguments)
    parser = argparse.ArgumentParser(prog="gaitid", description="Identify people by their gait.")
    parser.add_argument("--version", action="version", version=f"gaitid {gaitid.__version__}")
    top = parser.add_subparsers(required=True, metavar="VERB")
    parents = {"": top}
    for verb in VERBS:
        group, _, name = verb.rpartition(" ")
        if group not in parents:
            child = top.add_parser(group, help=GROUPS[group], description=GROUPS[group])
            parents[group] = child.add_subparsers(required=True, metavar="VERB")
        _add_verb(parents[group], verb, name, used=list(arguments[: len(verb.split())]) == verb.split())
    parser.set_defaults(command=shlex.join(["gaitid", *arguments]))
    return parser.parse_args(arguments)


def _refuse_old_name(arguments: Sequence[str]) -> None:
    for old, new in MOVED.items():
        if list(arguments[: len(old.split())]) == old.split():
            raise InputError(
                f"Verb {old!r} does not exist", "a verb of 'gaitid --help'", f"Run 'gaitid {new}'"
            )


def _add_verb(parent: Parsers, verb: str, name: str, *, used: bool) -> None:
    """Add a verb to its parent; only the verb in use has its module imported and its flags added."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--verbose", action="store_true", help="log at debug level")
    child = parent.add_parser(name, help=VERBS[verb], description=VERBS[verb], parents=[common])
    if used:
        module = _module(verb)
        module.arguments(child)
        child.set_defaults(run=module.run, verb=verb)


def _module(verb: str) -> ModuleType:
    *path, last = verb.replace("-", "_").split()
    name = ".".join(["gaitid.cli", *path, f"{last}_" if last in _PYTHON else last])
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise
        raise missing(error, verb) from error
