"""Bodies of HTTP messages (RFC 9112 6, 7): read to their end, kept as far as somebody may want them, else only counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..frames import Gathered
from ..model import FrameRef, Problem
from . import payload_decoders
from ._http_head import LARGEST_BODY, Head, chunk_size, content_type, is_envelope
from .wire import Tape

_LONGEST_LINE = 4096             # of a chunk's size, or a trailer
_MOST_TRAILERS = 64
_MOST_FRAMES = 20_000            # named by one message
_BEGINNING = 4096                # octets of a body by which a SOAP envelope is known
_WORTH = 1 << 16                 # octets to come that are worth leaving out
_ENDLESS = 1 << 62


class Asked(NamedTuple):
    """What a response needs to know of its request; all but the number is empty where that was not seen."""

    exchange: int
    method: str = ""
    target: str = ""
    path: str = ""
    host: str = ""
    query: str = ""


class Direction:
    """One direction, and the message being read in it. That stays on the tape until it is complete or too long."""

    __slots__ = ("tape", "synced", "started", "stray", "scanned", "head", "cut_head", "asked", "plan", "left", "at",
                 "chunk", "body", "counted", "missing", "over", "time", "frames", "problems", "trailers")

    def __init__(self) -> None:
        self.tape: Tape | None = None
        self.synced = True                        # the next byte begins a message, or continues this one
        self.started = False                      # a head was read
        self.stray = 0                            # octets that were no HTTP, before the next message
        self.reset()

    def reset(self) -> None:
        self.scanned = 0                          # octets searched for the end of the head
        self.head: Head | None = None
        self.cut_head = False
        self.asked = Asked(0)
        self.plan, self.left = "none", 0          # how the body ends; octets to come of the body or of the chunk
        self.at = 0                               # offset on the tape of what was not read yet
        self.chunk = "size"                       # what comes next: "size", "data", "gap" after the data, "trailer"
        self.body = bytearray()                   # as much of it as comes before the first hole, and is not too much
        self.counted = self.missing = 0           # octets of the body that were there, and that were not
        self.over = False                         # it is longer than what is kept
        self.time = 0                             # these two: of what is no longer on the tape
        self.frames = Gathered()
        self.problems: list[Problem] = []
        self.trailers: dict[str, str] = {}


def astray(here: Direction) -> bool:
    """What stands here is no head: wait for a segment that begins with one."""
    here.synced = False
    here.scanned = 0
    here.tape.skip(len(here.tape))
    return False


def read_body(here: Direction) -> bool:
    """Reads on in the body. True: it is complete, and `at` stands behind it."""
    if here.plan == "chunked":
        done = _read_chunks(here)
    elif here.plan == "close":
        done = False
        if len(here.tape) > LARGEST_BODY or here.over:
            read_available(here)
    else:
        done = len(here.tape) - here.at >= here.left
        if done:
            _keep(here, here.left)
        elif here.left > LARGEST_BODY or here.missing or here.over:
            read_available(here)
    if not done and here.at > LARGEST_BODY:
        _spill(here)
    return done


def unwanted(here: Direction) -> int:
    """How many octets to come need not be kept: of a body too large, or that no decoder reads. The last octet of a body or
    chunk is left, so that what follows it is read as ever."""
    if here.plan == "close":
        ahead = _ENDLESS
    elif here.plan == "length" or here.chunk == "data":
        ahead = here.left - (len(here.tape) - here.at) - 1
    else:
        return 0
    if ahead < _WORTH:
        return 0
    if not here.over and not here.missing:                   # else what comes is only counted in any case
        if not _nobody_reads(here):
            return 0
        here.over = True
        here.body.clear()
    read_available(here)
    return ahead


def _nobody_reads(here: Direction) -> bool:
    """Is there no decoder for this content, whatever comes? SOAP is known by its beginning."""
    headers = here.head.headers
    coding = f"{headers.get('transfer-encoding', '')},{headers.get('content-encoding', '')}".lower()
    if coding not in (",", "chunked,", ",identity"):
        return False
    beginning = (bytes(here.body[:_BEGINNING]) + bytes(here.tape.data[here.at:here.at + _BEGINNING]))[:_BEGINNING]
    media = content_type(headers)
    return len(beginning) == _BEGINNING and "/" in media and media not in payload_decoders() and not is_envelope(beginning)


def _read_chunks(here: Direction) -> bool:
    """RFC 9112 7.1."""
    data = here.tape.data
    while True:
        if here.chunk == "data":
            ready = len(data) - here.at
            if ready < here.left:
                if here.left > LARGEST_BODY or here.missing:
                    read_available(here)
                return False
            _keep(here, here.left)
            here.chunk = "gap"
        newline = data.find(b"\n", here.at, here.at + _LONGEST_LINE)
        if newline < 0:
            return len(data) - here.at >= _LONGEST_LINE and _bad_chunk(here, "no end of line where a chunk begins")
        line = bytes(data[here.at:newline]).strip(b"\r")
        if here.chunk == "gap":
            if line:
                return _bad_chunk(here, "a chunk is longer than its size says")
            here.chunk = "size"
        elif here.chunk == "size":
            size = chunk_size(line)
            if size is None:
                return _bad_chunk(here, "a chunk does not begin with its size")
            here.left, here.chunk = size, "data" if size else "trailer"
        elif line:
            name, _, value = line.partition(b":")
            if len(here.trailers) < _MOST_TRAILERS:
                here.trailers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
        else:
            here.at = newline + 1
            return True
        here.at = newline + 1


def _bad_chunk(here: Direction, what: str) -> bool:
    """The message ends here for want of knowing better; the next is looked for from the next segment on."""
    here.problems.append(Problem(here.at, what))
    here.at = len(here.tape)
    here.missing = max(here.missing, 1)
    here.synced = False
    return True


def _keep(here: Direction, size: int) -> None:
    """The next `size` octets on the tape belong to the body."""
    if size <= 0:
        return
    if not here.missing and not here.over:
        room = min(size, LARGEST_BODY - len(here.body))
        here.body += memoryview(here.tape.data)[here.at:here.at + room]
        here.over = room < size
    here.counted += size
    here.at += size
    if here.plan != "close":
        here.left -= size


def read_available(here: Direction) -> None:
    """Read what there is of a body that is not all there, and take it off the tape."""
    ready = len(here.tape) - here.at
    if here.plan == "close" or here.plan == "length":
        _keep(here, ready if here.plan == "close" else min(ready, here.left))
    elif here.chunk == "data":
        _keep(here, min(ready, here.left))
    _spill(here)


def _spill(here: Direction) -> None:
    """Take off the tape what was read, before the message is complete; remember who brought it."""
    if not here.at:
        return
    context = here.tape.place(here.at)
    here.time = max(here.time, context.time)
    if len(here.frames) < _MOST_FRAMES:
        here.frames.add(context.frames)
    here.tape.skip(here.at)
    here.at = 0


def skip(here: Direction, size: int, frames: Sequence[FrameRef], time: int) -> None:
    """Octets of the body that nobody wants went by."""
    here.counted += size
    if here.plan != "close":
        here.left -= size
    here.time = max(here.time, time)
    if len(here.frames) < _MOST_FRAMES:
        here.frames.add(frames)
