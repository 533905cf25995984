"""Published protocols as data: which sequences are gallery and probes, and which views are compared.

The reader of a data set has one `Protocol` per published evaluation, and `gaitid.evaluation` measures by it.
The same record describes a view matrix (CASIA-B, OU-MVLP, SUSTech1K, CCPG "gait"), a pooled gallery (GREW,
Gait3D, CCPG "ReID", CASIA-B "cross-view") and a submission with hidden labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import DatasetError, InputError

Labelling = NDArray[np.str_]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labels of N sequences, row by row like their embeddings.

    Attributes:
        subject: (N,) str; empty if hidden (probes of a submission).
        view: (N,) str, such as zero-padded degrees (``"090"``) or a camera; empty if unknown.
        condition: (N,) str codes such as ``"nm"``; several codes of one sequence are joined by ``+``.
        sequence: (N,) str name of the walk within its subject, such as ``"nm-05"``.
        covariates: Further facts by name, (N,) str each, such as ``{"sex": ...}``; empty if unknown.
    """

    subject: Labelling
    view: Labelling
    condition: Labelling
    sequence: Labelling
    covariates: Mapping[str, Labelling] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = {name: getattr(self, name) for name in ("subject", "view", "condition", "sequence")}
        for name, column in {**columns, **self.covariates}.items():
            if not isinstance(column, np.ndarray) or column.ndim != 1 or column.dtype.kind != "U":
                raise InputError(
                    f"Label column {name} is {_kind(column)}",
                    "an (N,) array of str",
                    "Build it with Labels.of",
                )
            if len(column) != len(self.subject):
                raise InputError(
                    f"Label column {name} has {len(column)} rows",
                    f"{len(self.subject)}, as column subject",
                    "Label every sequence once",
                )
        for name in columns:
            object.__setattr__(self, name, _frozen(columns[name]))
        extra = {name: _frozen(column) for name, column in self.covariates.items()}
        object.__setattr__(self, "covariates", MappingProxyType(extra))

    @classmethod
    def of(
        cls,
        subject: Iterable[str],
        view: Iterable[str],
        condition: Iterable[str],
        sequence: Iterable[str],
        covariates: Mapping[str, Iterable[str]] | None = None,
    ) -> Labels:
        """Build labels from any iterables of str."""
        extra = {name: _column(values) for name, values in (covariates or {}).items()}
        return cls(_column(subject), _column(view), _column(condition), _column(sequence), extra)

    def __len__(self) -> int:
        return len(self.subject)

    def part(self, rows: Mask | NDArray[np.intp]) -> Labels:
        """Labels of the chosen rows."""
        return Labels(
            self.subject[rows],
            self.view[rows],
            self.condition[rows],
            self.sequence[rows],
            {name: column[rows] for name, column in self.covariates.items()},
        )


@dataclass(frozen=True, slots=True)
class Pick:
    """A filter for sequences: every field that is given must match; ``Pick()`` picks all.

    Attributes:
        conditions: One of the sequence's condition codes equals one of these.
        sequences: The sequence's name equals one of these.
        listed: ``f"{subject}-{sequence}"`` is one of these (Gait3D's published probe list).
        unlisted: ``f"{subject}-{sequence}"`` is none of these.
        containing: The sequence's name contains one of these, as peers match; kept to reproduce them.
    """

    conditions: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    listed: frozenset[str] = frozenset()
    unlisted: frozenset[str] = frozenset()
    containing: tuple[str, ...] = ()

    def mask(self, labels: Labels) -> Mask:
        """(N,) bool, True for the picked sequences."""
        picked = np.ones(len(labels), bool)
        if self.conditions:
            wanted = set(self.conditions)
            picked &= _each(labels.condition, lambda codes: not wanted.isdisjoint(codes.split("+")))
        if self.sequences:
            picked &= np.isin(labels.sequence, self.sequences)
        if self.containing:
            picked &= _each(labels.sequence, lambda name: any(part in name for part in self.containing))
        if self.listed:
            picked &= np.fromiter((key in self.listed for key in _keys(labels)), bool, len(labels))
        if self.unlisted:
            picked &= np.fromiter((key not in self.unlisted for key in _keys(labels)), bool, len(labels))
        return picked

    def describe(self) -> dict[str, Any]:
        """The filter for a report: names in full, lists of keys by their length."""
        names = {key: list(getattr(self, key)) for key in ("conditions", "sequences", "containing")}
        counts = {key: len(getattr(self, key)) for key in ("listed", "unlisted")}
        return {key: value for key, value in {**names, **counts}.items() if value}


@dataclass(frozen=True, slots=True)
class Group:
    """One column of a published table: probes of one condition against one gallery.

    Attributes:
        name: As printed in the table, such as ``"NM"``.
        probes: Which sequences are probes.
        gallery: Which sequences are the gallery.
        labelled: False if the subjects of the probes are hidden: candidates can be written, not scored.
        peer_probes: Filter of the published evaluator, where it differs from the protocol's text.
    """

    name: str
    probes: Pick
    gallery: Pick
    labelled: bool = True
    peer_probes: Pick | None = None

    def masks(self, labels: Labels, *, peers: bool = False) -> tuple[Mask, Mask]:
        """(probes, gallery), each (N,) bool.

        Args:
            labels: Labels of all sequences.
            peers: Use the filter of the published evaluator.

        Raises:
            DatasetError: No probe or no gallery sequence is picked.
        """
        probe_pick = self.peer_probes if peers and self.peer_probes is not None else self.probes
        probes, gallery = probe_pick.mask(labels), self.gallery.mask(labels)
        for what, mask, pick in (("probe", probes, probe_pick), ("gallery", gallery, self.gallery)):
            if not mask.any():
                raise DatasetError(
                    f"Group {self.name} has no {what} among {len(labels)} sequences",
                    f"some that match {pick.describe()}",
                    "Check the root and the partition of the data set, or use another protocol",
                )
        return probes, gallery


Layout = Literal["cells", "pooled"]
Exclude = Literal["nothing", "view", "mate-view"]
Average = Literal["cells", "views", "probes"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """A published evaluation.

    Attributes:
        name: Stable, ``dataset/protocol``, such as ``"casia-b/view-matrix"``.
        source: Where it is published (paper, section; or project and file).
        groups: Columns of the table.
        layout: ``cells``: each pair of probe view and gallery view is searched separately;
            ``pooled``: each probe is searched in the whole gallery.
        exclude: ``nothing``; ``view``: gallery sequences of the probe's view are left out (in ``cells`` the
            diagonal); ``mate-view``: only those of the probe's subject and view. A sequence is never compared
            with itself, whatever the value.
        average: A group's figure is the mean over ``cells``, over probe ``views``, or over ``probes``.
        ranks: Values k for which the table prints rank-k.
        precision: Whether the table prints mAP and mINP.
        train: Subjects of the training part; empty if the protocol has none.
        test: Subjects of the test part; empty for all subjects.
    """

    name: str
    source: str
    groups: tuple[Group, ...]
    layout: Layout
    exclude: Exclude
    average: Average
    ranks: tuple[int, ...] = (1,)
    precision: bool = False
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [group.name for group in self.groups]
        if not names or len(set(names)) != len(names):
            raise InputError(
                f"Protocol {self.name} has the groups {names}", "one or more with distinct names"
            )
        if not self.ranks or min(self.ranks) < 1:
            raise InputError(f"Protocol {self.name} has the ranks {self.ranks}", "ranks of 1 or more")
        if (self.layout == "cells") != (self.average == "cells") or (
            self.layout == "cells" and self.exclude == "mate-view"
        ):
            raise InputError(
                f"Protocol {self.name} has layout {self.layout}, average {self.average}, "
                f"exclude {self.exclude}",
                "average cells for layout cells, views or probes for pooled, and mate-view only for pooled",
            )
        both = set(self.train) & set(self.test)
        if both:
            raise InputError(
                f"Protocol {self.name} trains and tests on {len(both)} subjects, first {min(both)}",
                "disjoint parts",
                "Check the partition file",
            )

    def check(self, labels: Labels) -> None:
        """Refuse labels with a subject of the training part.

        Raises:
            DatasetError: There is such a subject.
        """
        trained = np.isin(labels.subject, self.train) if self.train else np.zeros(len(labels), bool)
        if trained.any():
            raise DatasetError(
                f"Among {len(labels)} sequences {int(trained.sum())} are of training subjects, first "
                f"{labels.subject[trained][0]}",
                f"the test part for protocol {self.name}",
                'Load entries("test")',
            )

    def describe(self) -> dict[str, Any]:
        """The protocol for a report, as plain JSON values."""
        return {
            "name": self.name,
            "source": self.source,
            "layout": self.layout,
            "exclude": self.exclude,
            "average": self.average,
            "ranks": list(self.ranks),
            "precision": self.precision,
            "train_subjects": len(self.train),
            "test_subjects": len(self.test),
            "groups": [
                {
                    "name": group.name,
                    "probes": group.probes.describe(),
                    "gallery": group.gallery.describe(),
                    "labelled": group.labelled,
                }
                for group in self.groups
            ],
        }


def _frozen(column: Labelling) -> Labelling:
    view = column.view()
    view.flags.writeable = False
    return view


def _column(values: Iterable[str]) -> Labelling:
    listed = list(values)
    wrong = next((value for value in listed if not isinstance(value, str)), None)
    if wrong is not None:
        raise InputError(
            f"Label {wrong!r} is a {type(wrong).__name__}", "a str", "Write views as text, such as '090'"
        )
    return np.array(listed, dtype=np.str_)


def _keys(labels: Labels) -> Sequence[str]:
    return [f"{subject}-{name}" for subject, name in zip(labels.subject, labels.sequence, strict=True)]


def _each(column: Labelling, claim: Any) -> Mask:
    """Evaluate `claim` once per distinct value: a data set has 10^5 rows but few distinct names."""
    values, rows = np.unique(column, return_inverse=True)
    return np.fromiter((claim(str(value)) for value in values), bool, len(values))[rows]


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype.name}"
    return type(value).__name__
