"""``gaitid gallery renew``: a new secret projection of all templates of a gallery."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import inputs


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid gallery renew``."""
    inputs.add_matcher_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Renew the templates."""
    with closing(inputs.open_matcher(options)) as matcher:
        count = matcher.renew_templates(options.gallery)
    print(f"{options.gallery}: {count} template(s) under a new projection")
    return 0
