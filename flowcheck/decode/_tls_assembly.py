"""Handshake messages out of TLS records: a record may hold several, and a message may take several records."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context

LARGEST = 1 << 18            # octets of a handshake message that are kept; real chains stay far below


class Assembly:
    """Handshake messages of one direction, put together from the records that carry pieces of them."""

    __slots__ = ("data", "marks")

    def __init__(self) -> None:
        self.data = bytearray()
        self.marks: list[tuple[int, Context]] = []   # (end of the piece in data, where the piece came from)

    def clear(self) -> None:
        self.data.clear()
        self.marks.clear()

    def whole(self, piece: bytes, context: Context) -> list[tuple[int, bytes, Context]]:
        """Takes a piece: type, whole message with its header, and place of each message that it completes."""
        if self.data:
            self.add(piece, context)
            return list(self.messages())
        found, at, have = [], 0, len(piece)                # as a rule a record holds whole messages
        while at + 4 <= have:
            end = at + 4 + int.from_bytes(piece[at + 1:at + 4], "big")
            if end > have:
                break
            found.append((piece[at], piece[at:end], context))
            at = end
        if at < have:
            self.add(piece[at:], context)
            if have - at >= 4:
                found += self.messages()
        return found

    def add(self, piece: bytes, context: Context) -> None:
        self.data += piece
        self.marks.append((len(self.data), context))

    def messages(self) -> Iterator[tuple[int, bytes, Context]]:
        """Type, whole message with its header, and place of each message that is complete."""
        while len(self.data) >= 4:
            size = 4 + int.from_bytes(self.data[1:4], "big")
            if size > LARGEST:                       # no such message exists: what follows cannot be framed either
                self.clear()
                return
            if len(self.data) < size:
                return
            yield self.data[0], bytes(self.data[:size]), self.place(size)
            del self.data[:size]
            self.marks = [(end - size, context) for end, context in self.marks if end > size]

    def place(self, size: int) -> Context:
        """Where the first `size` octets came from."""
        contexts = []
        for end, context in self.marks:
            contexts.append(context)
            if end >= size:
                break
        if len(contexts) == 1:
            return contexts[0]
        frames = sorted({frame for context in contexts for frame in context.frames})
        return contexts[-1].but(frames=tuple(frames))


# What can stand in a record in clear, and its length where that is fixed. HelloRequest is not among them: the explicit
# nonce of a sealed record often begins with zeros too.
_IN_CLEAR = {1: None, 2: None, 3: None, 4: None, 11: None, 12: None, 13: None, 14: 0, 15: None, 16: None, 22: None}


def trustworthy(fragment: bytes) -> bool:
    """Does a handshake record begin with a message in clear, where it may as well be sealed or the middle of one?"""
    offset, size = 0, len(fragment)
    while offset + 4 <= size:
        number, length = fragment[offset], int.from_bytes(fragment[offset + 1:offset + 4], "big")
        body = offset + 4
        if (_IN_CLEAR.get(number, -1) not in (None, length)
                or (number in (1, 2, 3) and body < size and fragment[body] not in (0x03, 0x7F))):
            return False
        offset = body + length
        if offset > size:    # goes on in the next record: only where its content agrees with its length
            if number == 11:
                return int.from_bytes(fragment[body:body + 3], "big") + 3 == length and length <= LARGEST
            return number in (1, 2) and length <= 0xFFFF
    return offset == size and size > 0
