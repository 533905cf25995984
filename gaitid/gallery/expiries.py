"""When the subjects of a gallery expire."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from operator import itemgetter

from gaitid.records import Terms


class Expiries:
    """The subjects of a gallery that expire, by time; those that never do cost nothing.

    Args:
        terms: Terms by subject name.

    Attributes:
        next: When the next subject expires or the first one did, Unix seconds; infinity = none does.
    """

    def __init__(self, terms: Mapping[str, Terms]) -> None:
        self._at = {name: at for name, some in terms.items() if (at := expiry(some)) < math.inf}
        self._order = sorted((at, name) for name, at in self._at.items())
        self._set_next()

    def set(self, name: str, terms: Terms) -> None:
        """Let a subject expire by other terms."""
        self.discard(name)
        if (at := expiry(terms)) < math.inf:
            self._at[name] = at
            insort(self._order, (at, name))
        self._set_next()

    def discard(self, name: str) -> None:
        """Forget a subject, if it is known."""
        if (at := self._at.pop(name, None)) is not None:
            del self._order[bisect_left(self._order, (at, name))]
            self._set_next()

    def expired(self, now: float) -> frozenset[str]:
        """Return the subjects that have expired at `now`, Unix seconds."""
        if now < self.next:
            return frozenset()
        count = bisect_right(self._order, now, key=itemgetter(0))
        return frozenset(name for _, name in self._order[:count])

    def _set_next(self) -> None:
        self.next = next((at for at, _ in self._order), math.inf)


def expiry(terms: Terms) -> float:
    """Return when terms expire, Unix seconds; infinity = never, as under a legal hold."""
    return math.inf if terms.expires_at is None or terms.legal_hold else terms.expires_at
