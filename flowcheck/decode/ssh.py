"""SSH (RFC 4253): banners and key exchange are in clear, the rest is counted. SFTP shows only as volume."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..model import Context, FrameRef, Message, Opaque, Problem
from .wire import Cursor, Short, Tape

_LISTS = ("kex_algorithms", "server_host_key_algorithms", "encryption_algorithms_client_to_server",
          "encryption_algorithms_server_to_client", "mac_algorithms_client_to_server",
          "mac_algorithms_server_to_client", "compression_algorithms_client_to_server",
          "compression_algorithms_server_to_client",
          "languages_client_to_server", "languages_server_to_client")
KINDS = {"ssh.version": ("version", "software", "comments", "banner"), "ssh.kexinit": _LISTS, "ssh.newkeys": (),
         "ssh.disconnect": ("reason", "reason_code", "description")}
PORTS = {22, 830}

_BANNER = re.compile(rb"SSH-(1\.99|1\.5|2\.0)-([\x21-\x7e]*)(?: ([^\r\n]*))?\r?\n?")
_DISCONNECT, _KEXINIT, _NEWKEYS = 1, 20, 21
_LARGEST = 256 * 1024                     # octets of a packet; RFC 4253 6.1 asks for 35000
_PREFACE = 16 * 1024                      # octets a server may say before its banner (RFC 4253 4.2)
_BURSTS = 64
_PAUSE = 1_000_000_000                    # nanoseconds without a byte end a burst
_REASONS = {1: "HOST_NOT_ALLOWED_TO_CONNECT", 2: "PROTOCOL_ERROR", 3: "KEY_EXCHANGE_FAILED", 4: "RESERVED",
            5: "MAC_ERROR", 6: "COMPRESSION_ERROR", 7: "SERVICE_NOT_AVAILABLE", 8: "PROTOCOL_VERSION_NOT_SUPPORTED",
            9: "HOST_KEY_NOT_VERIFIABLE", 10: "CONNECTION_LOST", 11: "BY_APPLICATION", 12: "TOO_MANY_CONNECTIONS",
            13: "AUTH_CANCELLED_BY_USER", 14: "NO_MORE_AUTH_METHODS_AVAILABLE", 15: "ILLEGAL_USER_NAME"}


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    return _BANNER.match(head) is not None


class Conversation:
    """One connection. Each side goes from banner to packets in clear to sealed bytes."""

    def __init__(self, context: Context):
        self._sides = (_Side(), _Side())

    def feed(self, side: int, tape: Tape) -> Iterator[Message]:
        here = self._sides[side]
        while tape:
            if here.state == "sealed":
                here.count(tape.place(len(tape)), len(tape))
                tape.skip(len(tape))
            elif not (yield from self._banner(here, tape) if here.state == "banner" else self._packet(here, tape)):
                return

    def _banner(self, here: _Side, tape: Tape) -> Iterator[Message]:
        end = tape.data.find(b"\n")
        if end < 0:
            if len(tape) > _PREFACE:
                here.state = "sealed"
            return here.state == "sealed"
        context, line = tape.place(end + 1), tape.take(end + 1)
        found = _BANNER.fullmatch(line)
        if found:
            version, software, comments = (part.decode("latin-1") if part else "" for part in found.groups())
            problems = () if end <= 255 else (Problem(255, "identification of more than 255 octets"),)
            yield context.message("ssh.version", {"version": version, "software": software, "comments": comments,
                                                  "banner": line.decode("latin-1").rstrip("\r\n")}, problems)
            here.state = "clear" if version in ("2.0", "1.99") else "sealed"
        else:
            here.preface += len(line)
            if here.preface > _PREFACE:
                here.state = "sealed"
        return True

    def _packet(self, here: _Side, tape: Tape) -> Iterator[Message]:
        """One binary packet in clear (RFC 4253 6); True where the tape can be read on."""
        if len(tape) < 6:
            return False
        at = Cursor(bytes(tape.data[:6]))
        size, padding, number = at.u32(), at.u8(), at.u8()
        if not 2 <= size <= _LARGEST or padding >= size - 1:
            here.state = "sealed"                           # the key exchange is over: NEWKEYS was not seen
            return True
        if len(tape) < size + 4:
            return False
        context, data = tape.place(size + 4), tape.take(size + 4)
        body = Cursor(data, 6, size + 4 - padding)
        if number == _KEXINIT:
            fields, problems = _kexinit(body)
            yield context.message("ssh.kexinit", fields, problems)
        elif number == _NEWKEYS:
            here.state = "sealed"
            yield context.message("ssh.newkeys", {})
        elif number == _DISCONNECT:
            yield context.message("ssh.disconnect", *_disconnect(body))
        return True

    def lost(self, side: int, size: int) -> Iterator[Message]:
        here = self._sides[side]
        here.state = "sealed"                               # packet boundaries cannot be found again
        here.lost += size
        return iter(())

    def end(self, side: int) -> Iterator[Opaque]:
        here = self._sides[side]
        if here.packets and not here.told:
            here.told = True
            first = here.context
            yield Opaque("ssh", first.time, here.last_time, first.src, first.dst, first.layers, here.packets, here.size,
                         first.stream, tuple(dict.fromkeys((first.frames[0], here.last_frame))),
                         {"bursts": tuple({"start": b[0], "end": b[1], "size": b[2]} for b in here.bursts),
                          "lost": here.lost})


class _Side:
    """What one direction has said so far."""

    __slots__ = ("state", "preface", "context", "packets", "size", "lost", "last_time", "last_frame", "bursts", "told")

    def __init__(self) -> None:
        self.state = "banner"
        self.preface = self.packets = self.size = self.lost = self.last_time = 0
        self.context: Context | None = None
        self.last_frame: FrameRef | None = None
        self.bursts: list[list[int]] = []                   # [start, end, octets]
        self.told = False

    def count(self, place: Context, size: int) -> None:
        if self.context is None:
            self.context = place
        self.packets += 1
        self.size += size
        self.last_time, self.last_frame = place.time, place.frames[-1]
        if self.bursts and (place.time - self.bursts[-1][1] < _PAUSE or len(self.bursts) >= _BURSTS):
            self.bursts[-1][1] = place.time
            self.bursts[-1][2] += size
        else:
            self.bursts.append([place.time, place.time, size])


def _kexinit(body: Cursor) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    fields: dict[str, Any] = {}
    try:
        body.octets(16)                                     # cookie
        for name in _LISTS:
            names = body.octets(body.u32()).decode("ascii", "replace")
            fields[name] = tuple(names.split(",")) if names else ()
    except Short as short:
        return fields, (Problem(short.offset, str(short)),)
    return fields, ()


def _disconnect(body: Cursor) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    fields: dict[str, Any] = {}
    try:
        code = body.u32()
        fields |= {"reason_code": code, "reason": _REASONS.get(code, f"REASON{code}")}
        fields["description"] = body.octets(body.u32()).decode("utf-8", "replace")
    except Short as short:
        return fields, (Problem(short.offset, str(short)),)
    return fields, ()
