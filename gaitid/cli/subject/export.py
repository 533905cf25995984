"""``gaitid subject export``: everything a gallery stores about a subject."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gaitid.cli import inputs
from gaitid.cli.files import require_new, unwritable, write_text
from gaitid.records import SubjectExport


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid subject export``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("subject", help="subject id")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder to create, for subject.json and templates.npz",
    )


def run(options: argparse.Namespace) -> int:
    """Write ``subject.json`` and ``templates.npz``."""
    require_new(options.out)
    with closing(inputs.open_matcher(options)) as matcher:
        export = matcher.export_subject(options.gallery, options.subject)
    try:
        options.out.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise unwritable(options.out, error) from error
    write_text(options.out / "subject.json", json.dumps(_described(export), indent=1) + "\n")
    vectors = np.stack([template.embedding.vector for template in export.templates])
    np.savez(options.out / "templates.npz", vectors=vectors)
    print(f"{export.subject}: {len(export.templates)} template(s) in {options.out}")
    return 0


def _described(export: SubjectExport) -> dict[str, Any]:
    """The export without vectors; row n of templates.npz is template n."""
    return {
        "gallery": export.gallery,
        "subject": export.subject,
        "enrolled_at": export.enrolled_at,
        "terms": asdict(export.terms),
        "contract": export.templates[0].embedding.contract,
        "templates": [
            {
                "id": template.id,
                "enrolled_at": template.enrolled_at,
                "camera": template.origin.camera,
                "track": template.origin.track,
                "quality": None if template.quality is None else template.quality.measures(),
            }
            for template in export.templates
        ],
    }
