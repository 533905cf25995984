"""How verbs print the measures of a walk: a dash for what is unknown, and why it is."""

from __future__ import annotations

from gaitid.records import Quality


def shown(quality: Quality, measure: str, form: str) -> str:
    """Format an attribute of a quality; a dash if it is unknown.

    Args:
        quality: The quality.
        measure: Name of its attribute.
        form: Format of a known value, such as ".0f".
    """
    return "-" if measure in quality.unknown else format(getattr(quality, measure), form)


def why_unknown(quality: Quality) -> list[str]:
    """Return a clause for each cause, such as "cadence and symmetry unknown: no rhythm"."""
    causes: dict[str, list[str]] = {}
    for measure, cause in quality.unknown.items():
        causes.setdefault(cause, []).append(measure.removesuffix("_px").replace("_", " "))
    return [f"{_listed(measures)} unknown: {cause}" for cause, measures in causes.items()]


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
