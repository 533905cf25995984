"""What an extractor is, and how one is chosen by name.

An extractor finds people in the frames of one source. Its entry in the registry (`registry.EXTRACTORS`, or
the entry-point group ``gaitid.extractors``) is an `ExtractorType`, usually a class:

- its attribute ``settings`` is a frozen dataclass whose fields all have defaults;
- it is called with an instance of that dataclass and returns an `Extractor`;
- its attribute ``static_camera`` is True if it needs one, so that explanations may blame a moving camera;
- its objects may have a method ``learn(frames)``: of a recording, it gets the frames up to the first break
  before they are observed;
- where it reads something else than video, its function ``open_input`` opens that, as `open_input` does.

``[perception] extractor = "NAME"`` chooses it, and the table ``[perception.NAME]`` fills its settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from gaitid.errors import ConfigError, GaitIdError, SourceError
from gaitid.perception.sources import Discontinuity, Source, open_source
from gaitid.records import Frame, Observation
from gaitid.registry import resolve
from gaitid.settings import settings_class

DEFAULT_EXTRACTOR = "motion"

_RECORDINGS = frozenset({".json", ".npz"})
"""Suffixes of files of masks and keypoints."""


class Extractor(Protocol):
    """Finds people in the frames of one source.

    An observation needs a mask, keypoints or both: a mask becomes a frame of the ``silhouette`` stream,
    keypoints become a frame of the ``skeleton`` stream. Boxes alone are tracked but make no walk. An
    extractor that tracks on its own sets `Observation.track` on all of its observations; the ids of a
    frame are unique, and an id stays with its person until `reset`.
    """

    def __call__(self, frame: Frame) -> list[Observation]:
        """Return what one frame shows. Frames come in order of time."""
        ...

    def reset(self) -> None:
        """Forget all earlier frames: the next one shows another time or place."""
        ...


class ExtractorType(Protocol):
    """The registry entry of an extractor.

    Attributes:
        settings: Frozen dataclass whose fields all have defaults.
    """

    settings: type[Any]

    def __call__(self, settings: Any, /) -> Extractor:
        """Make an extractor for one source."""
        ...


def extractor_type(name: str) -> ExtractorType:
    """Return the registry entry of an extractor; its module is imported now.

    Raises:
        UnknownName: The registry has no such extractor.
        MissingDependency: The extractor needs a package that is not installed.
    """
    entry: ExtractorType = resolve("extractors", name)
    return entry


def load_extractor(name: str = DEFAULT_EXTRACTOR, settings: object = None) -> Extractor:
    """Make an extractor by name.

    Args:
        name: Entry of the registry.
        settings: Instance of the entry's settings class; None for its defaults.

    Raises:
        UnknownName: The registry has no such extractor.
        MissingDependency: The extractor needs a package that is not installed.
        ConfigError: The settings belong to another extractor, or the extractor refuses them.
    """
    chosen = settings_class("extractors", name)() if settings is None else settings
    check_settings(name, chosen)
    kind = extractor_type(name)
    try:
        return kind(chosen)
    except GaitIdError:
        raise
    except Exception as error:  # code of another package may raise anything
        raise ConfigError(
            f"Extractor {name} cannot be made with {chosen} ({type(error).__name__}: {error})",
            "settings that it accepts",
            f"Check the table [perception.{name}], or report this to the authors of {name}",
        ) from error


def open_input(
    name: str, spec: str, settings: object = None, *, camera: str = "", fps: float | None = None
) -> Source:
    """Open what an extractor reads: video, or what its type's own function ``open_input`` opens.

    Args:
        name: Entry of the registry.
        spec: See `sources.open_source`; of an extractor with a function of its own, as that one says.
        settings: Instance of the entry's settings class; None for its defaults.
        camera: Name given to each frame.
        fps: True frames a second, for an input that declares none.

    Raises:
        SourceError: It cannot be read.
        UnknownName: The registry has no such extractor.
        MissingDependency: The extractor needs a package that is not installed.
    """
    own = getattr(extractor_type(name), "open_input", None)
    if own is None:
        _refuse_recording(name, spec)
        return open_source(spec, camera=camera, fps=fps)
    chosen = settings_class("extractors", name)() if settings is None else settings
    source: Source = own(spec, chosen, camera=camera, fps=fps)
    return source


def _refuse_recording(name: str, spec: str) -> None:
    """Raise `SourceError` for a file that is certainly no video."""
    if Path(spec).suffix.lower() in _RECORDINGS and Path(spec).is_file():
        raise SourceError(
            f"File {spec} is no video, which extractor {name} needs",
            "a video, or an extractor that reads masks and keypoints",
            "Pass --extractor precomputed",
        )


@contextmanager
def asking(extractor: Extractor) -> Iterator[None]:
    """Turn whatever an extractor raises inside the block into a `SourceError`, except errors of gaitid."""
    try:
        yield
    except GaitIdError:
        raise
    except Exception as error:  # code of another package may raise anything
        name = type(extractor).__name__
        raise SourceError(
            f"Extractor {name} failed ({type(error).__name__}: {error})",
            "the observations of a frame",
            f"Report this to the authors of {name}, or choose another extractor",
        ) from error


def look_ahead(extractor: Extractor, source: Source) -> None:
    """Let an extractor with a method ``learn`` see a recording up to its first break or error beforehand."""
    learn = getattr(extractor, "learn", None)
    recording = None if learn is None else source.again()
    if learn is None or recording is None:
        return
    with recording, asking(extractor):
        learn(_until_break(recording))


def _until_break(source: Source) -> Iterator[Frame]:
    try:
        for item in source:
            if isinstance(item, Discontinuity):
                return
            yield item
    except SourceError:  # raised again where the frames are observed
        return


def check_settings(name: str, settings: object) -> None:
    """Raise `ConfigError` unless `settings` is an instance of the extractor's settings class."""
    wanted = settings_class("extractors", name)
    if not isinstance(settings, wanted):
        raise ConfigError(
            f"Settings of extractor {name} are of type {type(settings).__name__}",
            wanted.__name__,
            f"Pass {wanted.__name__}(), or leave them out for the defaults",
        )
