"""The command line; each verb's own file is imported when the verb is used."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

import gaitid
from gaitid.caller import calling
from gaitid.errors import GaitIdError, InputError
from gaitid.registry import missing

# verb -> (module, one line of help); a verb's module has `arguments(parser)` and `run(options)`.
VERBS = {
    "demo": ("gaitid.cli.demo", "enrol and identify the people of a video, with a report"),
    "doctor": ("gaitid.cli.doctor", "check this installation and, with --data, a data directory"),
    "extract": ("gaitid.cli.extract", "video -> gait sequences on disk"),
    "analyse": ("gaitid.cli.analyse", "gait report of each track: cadence, cycles, symmetry, quality"),
    "enrol": ("gaitid.cli.match", "add a subject, or samples of one, to a gallery"),
    "identify": ("gaitid.cli.match", "search a gallery for the person of a sequence or video"),
    "verify": ("gaitid.cli.match", "compare a sequence or video with one subject"),
    "delete": ("gaitid.cli.match", "delete a subject, or a whole gallery"),
    "terms": ("gaitid.cli.subject", "record legal basis, purpose, expiry and hold of a subject"),
    "erase": ("gaitid.cli.subject", "delete a subject, with a signed receipt"),
    "export-subject": ("gaitid.cli.subject", "all that a gallery holds of a subject, as JSON and npz"),
    "receipt": ("gaitid.cli.subject", "check a receipt of 'gaitid erase'"),
    "review": ("gaitid.cli.match", "record what a human says of a decision"),
    "audit": ("gaitid.cli.audit", "list, verify or export the record of who did what, and what for"),
    "list": ("gaitid.cli.match", "list galleries, or the subjects of one"),
    "calibrate": ("gaitid.cli.match", "learn what the scores of a gallery mean"),
    "rule": ("gaitid.cli.match", "set a gallery's threshold, or the error rate that it is to keep"),
    "normalise": ("gaitid.cli.match", "correct scores by a cohort of strangers, if that does no harm"),
    "gallery": ("gaitid.cli.gallery", "move galleries into an engine such as Milvus, or back"),
    "keygen": ("gaitid.cli.keygen", "add a fresh key to a file of keys that seal galleries"),
    "rotate": ("gaitid.cli.match", "bring all galleries under the newest key"),
    "renew": ("gaitid.cli.match", "bring a gallery's templates under a new secret projection"),
    "backup": ("gaitid.cli.backup", "write a backup of all galleries, while they are in use"),
    "restore": ("gaitid.cli.backup", "make a data directory of a backup, or check that one is whole"),
    "import": ("gaitid.cli.bulk", "add many subjects from a file of embeddings, unchecked"),
    "train": ("gaitid.cli.train", "train a network as a recipe says; the same command resumes"),
    "finetune": ("gaitid.cli.train", "adapt an encoder to own people, checked on walks kept out"),
    "export": ("gaitid.cli.export", "network of an encoder -> ONNX file"),
    "import-checkpoint": ("gaitid.cli.checkpoint", "checkpoint of the academic framework -> weight file"),
    "serve": ("gaitid.cli.serve", "run the gRPC server"),
    "synth": ("gaitid.cli.synth", "write synthetic walkers as sequences or as a data set in miniature"),
    "prepare": ("gaitid.cli.prepare", "convert a data set once, so that it loads fast"),
    "evaluate": ("gaitid.cli.evaluate", "measure an encoder on a data set, or compare two results"),
    "edge": ("gaitid.cli.edge", "watch a camera and print one decision per walk"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status.

    0 = done; 1 = it failed; 2 = wrong usage or input; 130 = interrupted.
    """
    options = _parser(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        with calling(getattr(options, "audit_purpose", ""), actor=f"uid:{os.getuid()}"):
            return int(options.run(options) or 0)
    except GaitIdError as error:
        print(f"gaitid: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except ModuleNotFoundError as error:
        print(f"gaitid: {missing(error, options.verb)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away, as in `gaitid list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser(arguments: Sequence[str]) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--verbose", action="store_true", help="log what happens")
    parser = argparse.ArgumentParser(prog="gaitid", description="Identify people by their gait.")
    parser.add_argument("--version", action="version", version=f"gaitid {gaitid.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (module, summary) in VERBS.items():
        child = verbs.add_parser(verb, help=summary, description=summary, parents=[common])
        if verb in arguments[:1]:
            try:
                home = import_module(module)
            except ModuleNotFoundError as error:
                if error.name == module:
                    raise
                print(f"gaitid: {missing(error, verb)}", file=sys.stderr)
                raise SystemExit(1) from error
            home.arguments(child)
            child.set_defaults(run=home.run)
    parser.set_defaults(command=shlex.join(["gaitid", *arguments]))
    return parser.parse_args(arguments)
