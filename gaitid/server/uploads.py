"""Streamed requests: parameters in the first message, probes in every message.

Each message is worked off when it arrives, and only embeddings are kept, so a stream takes one message and
`selection.MAX_PROBES` embeddings of memory. The gallery is changed after the last message, at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from gaitid import wire
from gaitid.errors import MessageError
from gaitid.matcher import Matcher
from gaitid.records import Embedding
from gaitid.selection import Selection
from gaitid.server.replay import Digest, Replay, check_id


class Upload:
    """One streamed request; not for use by several threads at once.

    Args:
        matcher: Embeds the probes.
        replay: Answers of earlier requests.
        field: Name of the field that has the probes.
        act: Makes the answer from the first message and the usable probes.
        check: Checks the parameters in the first message.
    """

    def __init__(
        self,
        matcher: Matcher,
        replay: Replay,
        field: str,
        act: Callable[[Any, list[Embedding]], Message],
        check: Callable[[Any], object] = lambda first: None,
    ) -> None:
        self._matcher, self._replay = matcher, replay
        self._field, self._act, self._check = field, act, check
        self._digest = Digest()
        self._first: Any = None
        self._selection: Selection | None = None
        self._is_complete = False

    def add(self, message: Any) -> None:
        """Embed the probes of the next message.

        Raises:
            MessageError: It is out of order.
            GaitIdError: The gallery, a parameter or a probe is refused.
        """
        if self._is_complete:
            raise MessageError(
                "A message follows the last one", "no more messages", "Set last in the last one"
            )
        selection = self._begin(message) if self._selection is None else self._continue(message)
        self._digest.add(message)
        for probe in wire.unpack_samples(getattr(message, self._field)):
            selection.add(probe)
        self._is_complete = message.last

    def finish(self) -> Message:
        """Change the gallery and return the answer.

        Raises:
            MessageError: The last message is missing: the stream was interrupted.
            GaitIdError: The change is refused.
        """
        if self._selection is None or not self._is_complete:
            raise MessageError(
                "The stream ended early", "a last message with last = true", "Send the whole stream again"
            )
        embeddings = self._selection.embeddings()
        return self._replay(
            self._first.request_id, self._digest.value(), lambda: self._act(self._first, embeddings)
        )

    def _begin(self, message: Any) -> Selection:
        check_id(message.request_id)
        self._selection = Selection(self._matcher, message.gallery)
        self._check(message)
        self._first = type(message)()
        self._first.CopyFrom(message)
        self._first.ClearField(self._field)
        return self._selection

    def _continue(self, message: Any) -> Selection:
        extra = {field.name for field, _ in message.ListFields()} - {self._field, "last"}
        if extra or self._selection is None:
            raise MessageError(
                f"A later message has {', '.join(sorted(extra))}",
                "parameters in the first message only",
                f"Send {self._field} alone",
            )
        if not message.last and not getattr(message, self._field):
            raise MessageError("A later message is empty", "probes", f"Send {self._field}, or set last")
        return self._selection
