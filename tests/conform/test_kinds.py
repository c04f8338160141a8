"""A device's messages by their kind, in their order."""

from literals import message

from flowcheck.conform.kinds import Kinds

A, B, C, AGAIN = message("x.a", 1), message("x.b", 2), message("x.c", 3), message("x.a", 4)


def test_messages_of_some_kinds_keep_their_order():
    messages = Kinds((A, B, C, AGAIN))
    assert list(messages.of(("x.c", "x.a"))) == [A, C, AGAIN]
    assert list(messages.of(frozenset(("x.a", "x.none")))) == [A, AGAIN]
    assert list(messages.of(("x.a", "x.a"))) == [A, AGAIN]
    assert not messages.of(())


def test_what_there_is():
    messages = Kinds((A, B))
    assert messages.any_of(("x.none", "x.b")) and not messages.any_of(("x.none",)) and not messages.any_of(())
