"""The innermost block of this thread sets the caller."""

import threading

import pytest

import gaitid
from gaitid.caller import MAX_LENGTH, Caller, calling, current
from gaitid.errors import InputError


def test_the_default_caller_is_local():
    assert current() == Caller("local", "")


def test_the_innermost_block_counts_and_ends():
    with gaitid.calling("door"):
        with calling("till", actor="ann"):
            assert current() == Caller("ann", "till")
        assert current() == Caller("local", "door")
        with pytest.raises(ZeroDivisionError), calling("lift"):
            _ = 1 / 0
        assert current().purpose == "door"
    assert current().purpose == ""


def test_another_thread_is_another_caller():
    seen = []
    with calling("door"):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert seen == [Caller()]


@pytest.mark.parametrize("text", ["x" * (MAX_LENGTH + 1), "two\nlines", "\x00", None, 5])
def test_invalid_actors_and_purposes_are_refused(text):
    with pytest.raises(InputError, match="printable"), calling(text):
        pass
    with pytest.raises(InputError, match="printable"), calling(actor=text):
        pass
    assert current() == Caller()
