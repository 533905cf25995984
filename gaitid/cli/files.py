"""Files that verbs write, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

from gaitid.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write a text file.

    Raises:
        InputError: It cannot be written.
    """
    try:
        path.write_text(text)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> InputError:
    """The error for a path that cannot be written."""
    return InputError(
        f"File {path} cannot be written ({error})", "a new path in a writable folder", "Pass another --out"
    )


def make_folder(path: Path) -> None:
    """Create a folder with its parents, unless it exists.

    Raises:
        InputError: It cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def require_new(path: Path) -> None:
    """Check that a path can be created, before something is done that cannot be repeated.

    Raises:
        InputError: It exists, or its folder does not.
    """
    if path.exists():
        raise InputError(f"File {path} exists", "a new path", "Pass another --out")
    if not path.absolute().parent.is_dir():
        raise InputError(f"Folder {path.parent} does not exist", "an existing folder", "Create it first")
