"""``python -m gaitid`` is the command ``gaitid``."""

from gaitid.cli import main

raise SystemExit(main())
