"""What a published protocol says, as data: who is in the gallery, who is a probe, which views meet.

A data-set file holds one `Protocol` per published evaluation; `gaitid.evaluation` measures by it.
The same record describes a view matrix (CASIA-B, OU-MVLP, SUSTech1K, CCPG "gait"), a pooled
gallery (GREW, Gait3D, CCPG "ReID", CASIA-B "cross-view") and a submission with hidden labels.
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
    """What is known of N sequences, row by row as their embeddings.

    Attributes:
        subject: (N,) str; empty when hidden (a submission's probes).
        view: (N,) str, such as zero-padded degrees (``"090"``) or a camera; empty when unknown.
        condition: (N,) str codes such as ``"nm"``; several codes of one sequence are joined by ``+``.
        sequence: (N,) str name of the walk within its subject, such as ``"nm-05"``.
        covariates: Further facts by name, (N,) str each, such as ``{"sex": ...}``; empty = unknown.
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
                    f"label column {name} is {_kind(column)}", "a (N,) array of str", "see Labels.of"
                )
            if len(column) != len(self.subject):
                raise InputError(
                    f"label column {name} has {len(column)} rows, subject {len(self.subject)}",
                    "equal lengths",
                    "label every sequence once",
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
        """Labels from any iterables of str."""
        extra = {name: _column(values) for name, values in (covariates or {}).items()}
        return cls(_column(subject), _column(view), _column(condition), _column(sequence), extra)

    def __len__(self) -> int:
        return len(self.subject)

    def part(self, rows: Mask | NDArray[np.intp]) -> Labels:
        """The labels of the chosen rows."""
        return Labels(
            self.subject[rows],
            self.view[rows],
            self.condition[rows],
            self.sequence[rows],
            {name: column[rows] for name, column in self.covariates.items()},
        )


@dataclass(frozen=True, slots=True)
class Pick:
    """A rule that picks sequences: every field that is given must hold; ``Pick()`` picks all.

    Attributes:
        conditions: One of the sequence's condition codes equals one of these.
        sequences: The sequence's name equals one of these.
        listed: ``f"{subject}-{sequence}"`` is one of these (Gait3D's published probe list).
        unlisted: ``f"{subject}-{sequence}"`` is none of these.
        containing: The sequence's name contains one of these. Peers match so; kept to reproduce them.
    """

    conditions: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    listed: frozenset[str] = frozenset()
    unlisted: frozenset[str] = frozenset()
    containing: tuple[str, ...] = ()

    def mask(self, labels: Labels) -> Mask:
        """(N,) bool, True for the sequences picked."""
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
        """The rule for a report: names in full, lists of keys as their length."""
        names = {key: list(getattr(self, key)) for key in ("conditions", "sequences", "containing")}
        counts = {key: len(getattr(self, key)) for key in ("listed", "unlisted")}
        return {key: value for key, value in {**names, **counts}.items() if value}


@dataclass(frozen=True, slots=True)
class Group:
    """One column of a published table: probes of one condition against one gallery.

    Attributes:
        name: As the table prints it, such as ``"NM"``.
        probes: Which sequences are probes.
        gallery: Which sequences are the gallery.
        labelled: False when the probes' subjects are hidden: candidates can be written, not scored.
        peer_probes: The published evaluator's rule where it differs from the protocol's words.
    """

    name: str
    probes: Pick
    gallery: Pick
    labelled: bool = True
    peer_probes: Pick | None = None

    def masks(self, labels: Labels, *, peers: bool = False) -> tuple[Mask, Mask]:
        """(probes, gallery), each (N,) bool.

        Args:
            labels: Of all sequences.
            peers: Use the published evaluator's rule.

        Raises:
            DatasetError: No probe or no gallery sequence is picked.
        """
        rule = self.peer_probes if peers and self.peer_probes is not None else self.probes
        probes, gallery = rule.mask(labels), self.gallery.mask(labels)
        for what, mask, pick in (("probe", probes, rule), ("gallery", gallery, self.gallery)):
            if not mask.any():
                raise DatasetError(
                    f"group {self.name} has no {what} among {len(labels)} sequences",
                    f"some that fit {pick.describe()}",
                    "check the data set's root and partition, or choose another protocol",
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
        layout: ``cells``: each (probe view, gallery view) is searched on its own;
            ``pooled``: each probe searches the whole gallery.
        exclude: ``nothing``; ``view``: gallery sequences of the probe's own view are left out (in
            ``cells`` the diagonal); ``mate-view``: only those of the probe's own subject and view.
            A sequence is never compared with itself, whatever stands here.
        average: A group's figure is the mean over ``cells``, over probe ``views``, or over ``probes``.
        ranks: Which rank-k the table prints.
        precision: Whether the table prints mAP and mINP.
        train: Subjects of the training part; empty when the protocol has none.
        test: Subjects of the test part; empty = every subject given.
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
            raise InputError(f"protocol {self.name} has the groups {names}", "one or more, named apart")
        if not self.ranks or min(self.ranks) < 1:
            raise InputError(f"protocol {self.name} has the ranks {self.ranks}", "1 or more")
        if (self.layout == "cells") != (self.average == "cells") or (
            self.layout == "cells" and self.exclude == "mate-view"
        ):
            raise InputError(
                f"protocol {self.name} has layout {self.layout}, average {self.average}, "
                f"exclude {self.exclude}",
                "cells averaged over cells, pooled over views or probes; mate-view only when pooled",
            )
        both = set(self.train) & set(self.test)
        if both:
            raise InputError(
                f"protocol {self.name} trains and tests on {len(both)} subjects, first {min(both)}",
                "disjoint parts",
                "check the partition file",
            )

    def check(self, labels: Labels) -> None:
        """Refuse labels that hold a subject of the training part.

        Raises:
            DatasetError: Such a subject is among them.
        """
        trained = np.isin(labels.subject, self.train) if self.train else np.zeros(len(labels), bool)
        if trained.any():
            raise DatasetError(
                f"{int(trained.sum())} of {len(labels)} sequences are of training subjects, first "
                f"{labels.subject[trained][0]}",
                f"protocol {self.name} measures on the test part",
                'load sequences("test")',
            )

    def describe(self) -> dict[str, Any]:
        """The protocol for a report, plain enough for JSON."""
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
        raise InputError(f"label {wrong!r} is a {type(wrong).__name__}", "a str", "write views as degrees")
    return np.array(listed, dtype=np.str_)


def _keys(labels: Labels) -> Sequence[str]:
    return [f"{subject}-{name}" for subject, name in zip(labels.subject, labels.sequence, strict=True)]


def _each(column: Labelling, claim: Any) -> Mask:
    """Ask once per distinct value: a data set has 10^5 rows but few distinct names."""
    values, rows = np.unique(column, return_inverse=True)
    return np.fromiter((claim(str(value)) for value in values), bool, len(values))[rows]


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype.name}"
    return type(value).__name__
