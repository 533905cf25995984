"""Who may call what: roles, the table of rpcs, and what certificates and tokens grant.

Everything that is not granted is refused. A server that only this machine can reach, and that has neither
rules nor tokens, is open: every caller is an administrator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from gaitid import wire
from gaitid.caller import Caller
from gaitid.errors import ConfigError, PermissionDenied, Unauthenticated
from gaitid.registry import nearest
from gaitid.server.tokens import TokenFile

if TYPE_CHECKING:
    from gaitid.server.tls import Revocations


class Role(str, Enum):
    """What a caller is there for."""

    CAMERA = "camera"
    """A camera's node: searches, and learns what the server wants."""
    OPERATOR = "operator"
    """Watches decisions: searches, compares, lists and reviews."""
    ENROLLER = "enroller"
    """Enrols subjects and sets their terms."""
    AUDITOR = "auditor"
    """Reads and verifies the audit trail."""
    ADMIN = "admin"
    """Everything."""


ANONYMOUS = "anonymous"
"""Name of a caller without certificate."""
_ALL = frozenset(Role)
_ADMIN = frozenset({Role.ADMIN})
_DESK = frozenset({Role.OPERATOR, Role.ENROLLER, Role.ADMIN})

MAY: Mapping[str, frozenset[Role]] = {
    "GetServerInfo": _ALL,
    "ListGalleries": _ALL,
    "GetGallery": _ALL,
    "Embed": _ALL - {Role.AUDITOR},
    "Identify": frozenset({Role.CAMERA, Role.OPERATOR, Role.ADMIN}),
    "Verify": frozenset({Role.OPERATOR, Role.ADMIN}),
    "ReviewDecision": frozenset({Role.OPERATOR, Role.ADMIN}),
    "ListSubjects": _DESK,
    "ListCameras": _DESK | {Role.AUDITOR},
    "Enrol": frozenset({Role.ENROLLER, Role.ADMIN}),
    "AddSamples": frozenset({Role.ENROLLER, Role.ADMIN}),
    "SetTerms": frozenset({Role.ENROLLER, Role.ADMIN}),
    "ListAudit": frozenset({Role.AUDITOR, Role.ADMIN}),
    "VerifyAudit": frozenset({Role.AUDITOR, Role.ADMIN}),
    "CreateGallery": _ADMIN,
    "DeleteGallery": _ADMIN,
    "SetOperatingPoint": _ADMIN,
    "SetProfiles": _ADMIN,
    "CalibrateGallery": _ADMIN,
    "NormaliseGallery": _ADMIN,
    "StopNormalising": _ADMIN,
    "RenewTemplates": _ADMIN,
    "LearnCamera": _ADMIN,
    "ForgetCamera": _ADMIN,
    "DeleteSubject": _ADMIN,
    "EraseSubject": _ADMIN,
    "ExportSubject": _ADMIN,
    "CreateBackup": _ADMIN,
    "RotateKeys": _ADMIN,
}
"""Rpc -> the roles that may call it."""

SITE = frozenset({"CreateBackup", "RotateKeys", "VerifyAudit"})
"""Rpcs that concern all galleries, so that the role must be held for all."""
ANY = frozenset({"GetServerInfo", "Embed", "ListGalleries"})
"""Rpcs that concern no gallery; the list shows the caller's galleries only."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in some galleries.

    Attributes:
        role: The role.
        galleries: Names, or patterns such as ``terminal-*``; ``*`` = all.
    """

    role: Role
    galleries: tuple[str, ...] = ("*",)

    def covers(self, gallery: str) -> bool:
        """Whether the role is held in a gallery; in all of them, if the name is empty."""
        return "*" in self.galleries or any(gallery and fnmatchcase(gallery, one) for one in self.galleries)


EVERYTHING = (Grant(Role.ADMIN),)


@dataclass(frozen=True, slots=True)
class AccessRule:
    """An ``[[access]]`` table of ``server.toml``: what the owners of certificates may do.

    Attributes:
        certificate: Common or alternative name of a client certificate, or a pattern such as
            ``gate-*.example``.
        role: A `Role`.
        galleries: Names or patterns of galleries; all by default.
    """

    certificate: str = ""
    role: str = ""
    galleries: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        if not self.certificate:
            raise ConfigError(
                "An [[access]] table names no certificate",
                "the name in a client certificate, or a pattern",
                'Write certificate = "gate-*"',
            )
        check_role(self.role)
        check_galleries(self.galleries)

    def grant(self) -> Grant:
        """What the rule grants."""
        return Grant(Role(self.role), self.galleries)


def check_role(role: str) -> None:
    """Raise `ConfigError` unless a role of this name exists."""
    known = [one.value for one in Role]
    if role not in known:
        raise ConfigError(f"Role {role!r} is unknown", f"one of {', '.join(known)}", nearest(role, known))


def check_galleries(galleries: Sequence[str]) -> None:
    """Raise `ConfigError` unless there are names or patterns of galleries, none of them empty."""
    if not galleries or not all(galleries):
        raise ConfigError(
            f"The galleries of a role are {list(galleries)}",
            "names or patterns of galleries",
            'Write galleries = ["*"] for all',
        )


@dataclass(frozen=True, slots=True)
class Entrant:
    """A caller whose identity is known.

    Attributes:
        caller: Actor and purpose.
        grants: What the caller may do.
    """

    caller: Caller
    grants: tuple[Grant, ...]

    def holds(self, rpc: str, gallery: str) -> bool:
        """Whether a grant allows an rpc in a gallery; empty = in all of them."""
        roles = MAY[rpc]
        return any(
            grant.role in roles and (rpc in ANY or grant.covers("" if rpc in SITE else gallery))
            for grant in self.grants
        )

    def sees(self, gallery: str) -> bool:
        """Whether a gallery is one of the caller's."""
        return any(grant.covers(gallery) for grant in self.grants)


class Access:
    """Decides who may call what.

    Args:
        rules: What certificates grant.
        tokens: Tokens; None = none are accepted.
        revocations: Certificates that are not accepted any more; None = not checked.
        is_open: Whether a caller without certificate and token may do everything.
    """

    def __init__(
        self,
        rules: Sequence[AccessRule] = (),
        tokens: TokenFile | None = None,
        revocations: Revocations | None = None,
        *,
        is_open: bool = False,
    ) -> None:
        self._rules, self._tokens, self._revocations = tuple(rules), tokens, revocations
        self._is_open = is_open

    def admit(self, context: Any) -> Entrant:
        """Find out who calls; a token decides alone, else the certificate does.

        Raises:
            Unauthenticated: There is neither, or it is not valid any more.
            InputError: The name in the certificate or the purpose cannot be recorded.
        """
        metadata = dict(context.invocation_metadata() or ())
        purpose = wire.unpack_purpose(metadata.get(wire.PURPOSE, ""))
        if self._tokens is not None and wire.AUTHORIZATION in metadata:
            token = self._tokens.find(metadata[wire.AUTHORIZATION].removeprefix(wire.BEARER))
            return Entrant(
                Caller(f"token:{token.name}", purpose), (Grant(Role(token.role), token.galleries),)
            )
        identity = context.auth_context()
        names = _names(identity)
        if self._is_open:
            return Entrant(Caller(first_name(context), purpose), EVERYTHING)
        if not names:
            raise Unauthenticated(
                "The call has neither a token nor a client certificate",
                "one of them",
                "Pass a token ('gaitid token create'), or tls with your certificate",
            )
        if self._revocations is not None:
            self._revocations.check(identity)
        matching = (rule for rule in self._rules for name in names if fnmatchcase(name, rule.certificate))
        return Entrant(Caller(names[0], purpose), tuple(rule.grant() for rule in matching))


def check(entrant: Entrant, rpc: str, gallery: str) -> None:
    """Return if a caller may call an rpc in a gallery.

    Raises:
        PermissionDenied: No grant allows it. The message is the same whether or not the gallery exists.
    """
    if entrant.holds(rpc, gallery):
        return
    place = "in all galleries" if rpc in SITE or not gallery else f"in gallery {gallery!r:.70}"
    raise PermissionDenied(
        f"Caller {entrant.caller.actor} may not call {rpc} {place}",
        f"the role {' or '.join(sorted(role.value for role in MAY[rpc]))}",
        "Ask the owner of the server for it",
    )


_ENTRANT: ContextVar[Entrant | None] = ContextVar("gaitid entrant", default=None)


@contextmanager
def seeing(entrant: Entrant) -> Iterator[None]:
    """Answer the calls in a ``with`` block for this caller; see `is_visible`."""
    token = _ENTRANT.set(entrant)
    try:
        yield
    finally:
        _ENTRANT.reset(token)


def is_visible(gallery: str) -> bool:
    """Whether the caller may know that a gallery exists."""
    entrant = _ENTRANT.get()
    return entrant is None or entrant.sees(gallery)


def table() -> str:
    """The table of rpcs and roles as Markdown."""
    lines = [
        f"| rpc | {' | '.join(role.value for role in Role)} | concerns |",
        "|---|" + "---|" * (len(Role) + 1),
    ]
    for rpc, roles in MAY.items():
        cells = " | ".join("yes" if role in roles else "-" for role in Role)
        concerns = "all galleries" if rpc in SITE else "no gallery" if rpc in ANY else "its gallery"
        lines.append(f"| `{rpc}` | {cells} | {concerns} |")
    return "\n".join(lines)


def first_name(context: Any) -> str:
    """The first name in the verified certificate of a call, or `ANONYMOUS`."""
    return next(iter(_names(context.auth_context())), ANONYMOUS)


def _names(identity: Mapping[str, Sequence[bytes]]) -> list[str]:
    """The common name of a verified certificate, then its alternative names."""
    found = (*identity.get("x509_common_name", ()), *identity.get("x509_subject_alternative_name", ()))
    return [name.decode(errors="replace") for name in found]
