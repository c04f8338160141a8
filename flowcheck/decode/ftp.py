"""FTP control and data connections (RFC 959; EPSV and EPRT RFC 2428; AUTH TLS RFC 4217), on any port.

A reply is one message, however many lines and segments it takes (RFC 959 4.2). A data connection is announced on the
control connection; what it carried is one `ftp.data` message when it ends.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from ..model import Context, Endpoint, Expect, FrameRef, Message, Problem, Switch
from .wire import Tape

KINDS = {"ftp.command": ("command", "argument"),
         "ftp.reply": ("code", "text", "lines", "command", "argument"),
         "ftp.data": ("bytes", "direction", "command", "argument", "other_way")}
PORTS = {21, 990}

_COMMANDS = frozenset("""USER PASS ACCT CWD CDUP SMNT REIN QUIT PORT PASV TYPE STRU MODE RETR STOR STOU APPE ALLO REST
    RNFR RNTO ABOR DELE RMD MKD PWD LIST NLST SITE SYST STAT HELP NOOP XCUP XCWD XMKD XPWD XRMD FEAT OPTS LANG AUTH ADAT
    PROT PBSZ CCC MIC CONF ENC EPRT EPSV MDTM MFMT MFF SIZE MLST MLSD HOST CLNT XCRC XMD5 XSHA XSHA1 XSHA256 HASH CSID
    AVBL COMB LPRT LPSV""".split())
_OPENING = frozenset("USER AUTH HOST FEAT PBSZ PROT CLNT OPTS".split())    # what a client may say first
_TRANSFERS = frozenset("RETR STOR STOU APPE LIST NLST MLSD".split())
_UPLOADS = frozenset("STOR STOU APPE".split())
_COMMAND = re.compile(rb"([A-Za-z]{3,8})(?: ([^\r\n\0]{0,4096}))?\r?\n")
_GREETING = re.compile(rb"(?:120|220|421)[ -][^\r\n]*\r?\n|(?:120|220|421)[ -][\t\x20-\x7e\x80-\xff]{3,}\Z")
_ANSWER = re.compile(rb"[1-6][0-9]{2}[ -][^\r\n\0]{0,4096}\r?\n")        # a capture may begin in the middle
_SAYS_FTP = re.compile(rb"ftp|filezilla", re.I)
_REPLY = re.compile(rb"([1-6][0-9]{2})([ -]|\Z)")
_PASSIVE = re.compile(r"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})")
_EXTENDED = re.compile(r"([!-~])\1\1(\d{1,5})\1")

_LONGEST_LINE, _LONGEST_REPLY = 8192, 1 << 18
_WAITING = 64                             # commands without their reply that are remembered


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """A client's opening command or a server's greeting. `220` greets in SMTP too: elsewhere it has to say FTP."""
    at_home = not PORTS.isdisjoint(ports)
    command = _COMMAND.match(head)
    if command:
        word, argument = command.group(1).upper().decode("ascii"), command.group(2)
        if at_home:
            return word in _COMMANDS
        # POP3 and IRC have a USER too: IRC's has four arguments or a NICK behind it, POP3 its port
        behind = _COMMAND.match(head, command.end())
        if len(head) > command.end() and not (behind and behind.group(1).upper().decode("ascii") in _COMMANDS):
            return False
        plain = argument is not None and b" :" not in argument and 110 not in ports
        return word == "AUTH" and plain and argument.upper() in (b"TLS", b"SSL", b"TLS-C", b"TLS-P") \
            or word in ("USER", "PBSZ", "PROT") and plain and b" " not in argument.strip() \
            or word == "FEAT" and argument is None
    if at_home:
        return _ANSWER.match(head) is not None or _GREETING.match(head) is not None
    return bool(_GREETING.match(head) and _SAYS_FTP.search(head[:512])) and b"SMTP" not in head[:512]


class Conversation:
    """One control connection: the client's commands are side 0."""

    def __init__(self, context: Context):
        self._client, self._server = context.src, context.dst
        self._asked: deque[tuple[str, str]] = deque(maxlen=_WAITING)
        self._reply: _Reply | None = None
        self._lines_until: list[bool] = [False, False]      # bytes were lost: begin again after the next line end
        self._note: dict[str, Any] = {}                     # of the data connection announced last
        self._over = False                                  # TLS took over

    def feed(self, side: int, tape: Tape) -> Iterator[Message | Expect | Switch]:
        """Whole lines from the tape."""
        while tape and not self._over:
            end = tape.data.find(b"\n", 0, _LONGEST_LINE)
            if end < 0:
                if len(tape) >= _LONGEST_LINE:              # no line of FTP's
                    tape.skip(_LONGEST_LINE)
                    self._lines_until[side] = True
                    continue
                return
            context = tape.place(end + 1)
            line = tape.take(end + 1)
            if self._lines_until[side]:
                self._lines_until[side] = False
                continue
            yield from self._command(line, context) if side == 0 else self._answer(line, context)

    def lost(self, side: int, size: int) -> Iterator[Message]:
        self._lines_until[side] = True
        if side == 1 and self._reply:
            yield self._reply_message(self._reply, incomplete=True)
        self._asked.clear()                                 # replies can no longer be counted off

    def end(self, side: int) -> Iterator[Message]:
        if side == 1 and self._reply:
            yield self._reply_message(self._reply, incomplete=True)

    # ------------------------------------------------------------------------------------------ commands

    def _command(self, line: bytes, context: Context) -> Iterator[Message | Expect]:
        text = line.rstrip(b"\r\n").lstrip(b"\xff\xf4\xf2\xf1")      # Telnet's urgent prefix of ABOR (RFC 959 4.1.3)
        word, _, rest = text.partition(b" ")
        if not text.strip():
            return
        command, argument = word.decode("ascii", "replace").upper(), _text(rest)
        problems = () if re.fullmatch(rb"[A-Za-z]{3,8}", word) else (Problem(0, "not an FTP command"),)
        if problems:
            command, argument = command[:512], argument[:512]
        yield context.message("ftp.command", {"command": command, "argument": argument}, problems)
        if problems:
            return
        self._asked.append((command, argument))
        if command in _TRANSFERS:
            self._note["command"], self._note["argument"] = command, argument
        if command in ("PORT", "EPRT"):
            endpoint = _active(command, argument)
            if endpoint:
                yield self._expect(endpoint, by_client=True)

    # ------------------------------------------------------------------------------------------ replies

    def _answer(self, line: bytes, context: Context) -> Iterator[Message | Expect | Switch]:
        found, text = _REPLY.match(line.rstrip(b"\r\n")), _text(line.rstrip(b"\r\n"))
        reply = self._reply
        if reply is None:
            if not found:
                if text.strip():
                    yield context.message("ftp.reply", {"text": text[:256], "lines": 1},
                                          (Problem(0, "reply without a code"),))
                return
            reply = _Reply(int(found.group(1)), context)
            more = found.group(2) == b"-"
        else:
            # the last line has the code of the first, followed by a space (RFC 959 4.2)
            more = not (found and int(found.group(1)) == reply.code and found.group(2) != b"-")
        reply.add(text[4:] if found and int(found.group(1)) == reply.code else text, context)
        self._reply = reply if more else None
        if more:
            if reply.size > _LONGEST_REPLY:
                yield self._reply_message(reply, incomplete=True)
            return
        message = self._reply_message(reply)
        yield message
        yield from self._consequence(reply, message.fields)

    def _reply_message(self, reply: _Reply, incomplete: bool = False) -> Message:
        self._reply = None
        fields: dict[str, Any] = {"code": reply.code, "text": "\n".join(reply.lines), "lines": len(reply.lines)}
        asked = None
        if self._asked and reply.code != 421:
            # 1yz says that another reply follows to the same command (RFC 959 4.2)
            asked = self._asked[0] if reply.code < 200 else self._asked.popleft()
        if asked:
            fields["command"], fields["argument"] = asked
        return reply.message(fields, incomplete)

    def _consequence(self, reply: _Reply, fields: Mapping[str, Any]) -> Iterator[Expect | Switch]:
        """What a reply means for the bytes and connections that follow."""
        if reply.code >= 400 and fields.get("command") in _TRANSFERS:
            self._note["refused"] = True
        if reply.code == 227:
            found = _PASSIVE.search(reply.lines[-1])
            endpoint = _six(found.groups()) if found else None
            if endpoint:
                yield self._expect(endpoint)
                if endpoint.address != self._server.address:   # behind a NAT the client may use the control address
                    yield self._expect(Endpoint(self._server.address, endpoint.port), renew=False)
        elif reply.code == 229:
            found = _EXTENDED.search(reply.lines[-1])
            if found and 0 < int(found.group(2)) < 65536:
                yield self._expect(Endpoint(self._server.address, int(found.group(2))))
        elif reply.code == 234 and fields.get("command", "AUTH") == "AUTH":
            self._over = True
            yield Switch("tls")

    def _expect(self, endpoint: Endpoint, by_client: bool = False, renew: bool = True) -> Expect:
        """The note is read when the data connection has ended: its transfer command comes after the announcement."""
        if renew:
            self._note = {"control": (str(self._client), str(self._server)), "active": by_client}
        return Expect(endpoint, "ftp.data", self._note)


class _Reply:
    """A reply whose last line has not come yet."""

    __slots__ = ("code", "lines", "size", "_context", "_frames")

    def __init__(self, code: int, context: Context):
        self.code, self.lines, self.size = code, [], 0
        self._context, self._frames = context, {}

    def add(self, line: str, context: Context) -> None:
        self.lines.append(line)
        self.size += len(line) + 1
        self._context = context
        self._frames.update(dict.fromkeys(context.frames))

    def message(self, fields: dict[str, Any], incomplete: bool) -> Message:
        context = self._context
        return Message("ftp.reply", context.time, tuple(self._frames), context.src, context.dst, context.stream,
                       context.layers, fields, exchange=context.exchange, incomplete=incomplete)


class DataConversation:
    """One data connection. `note` is that of its Expect."""

    def __init__(self, context: Context, note: Mapping[str, Any]):
        self._context, self._note = context, note
        self._sizes, self._lost, self._ended = [0, 0], 0, set()
        self._frames: tuple[FrameRef, ...] = ()
        self._time = context.time
        self._told = False

    def feed(self, side: int, tape: Tape) -> Iterator[Message]:
        if tape:
            place = tape.place(len(tape))
            self._frames = tuple(dict.fromkeys((*self._frames[:1], place.frames[0], place.frames[-1])))
            self._frames = (self._frames[0], self._frames[-1]) if len(self._frames) > 2 else self._frames
            self._time = place.time
            self._sizes[side] += len(tape)
            tape.skip(len(tape))
        return iter(())

    def lost(self, side: int, size: int) -> Iterator[Message]:
        self._sizes[side] += size
        self._lost += size
        return iter(())

    def end(self, side: int) -> Iterator[Message]:
        """One message for the connection, when both directions are over."""
        self._ended.add(side)
        if self._told or self._ended != {0, 1}:
            return
        if not any(self._sizes) and ("command" not in self._note or "refused" in self._note):
            return                                         # opened for a transfer that did not begin
        self._told = True
        # RFC 959 3.2: the data connection's client is the FTP server in active mode, the FTP client in passive mode
        active, command = bool(self._note.get("active")), self._note.get("command")
        uploads = (self._sizes[0] > self._sizes[1]) != active if any(self._sizes) else command in _UPLOADS
        sender = 0 if uploads != active else 1
        fields = {"bytes": self._sizes[sender], "direction": "upload" if uploads else "download",
                  **{name: self._note[name] for name in ("command", "argument") if name in self._note}}
        if self._sizes[1 - sender]:
            fields["other_way"] = self._sizes[1 - sender]
        ends = (self._context.src, self._context.dst)
        yield Message("ftp.data", self._time, self._frames or self._context.frames, ends[sender], ends[1 - sender],
                      self._context.stream, self._context.layers, fields, incomplete=bool(self._lost))


def _text(raw: bytes) -> str:
    """UTF-8 (RFC 2640), else the octets as Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _active(command: str, argument: str) -> Endpoint | None:
    """Where the client of PORT (RFC 959 5.3.2) or EPRT (RFC 2428 2) will listen."""
    if command == "PORT":
        found = _PASSIVE.search(argument)
        return _six(found.groups()) if found else None
    parts = argument.split(argument[0]) if argument else []
    if len(parts) == 5 and parts[3].isascii() and parts[3].isdigit() and 0 < int(parts[3][:6]) < 65536:
        try:
            return Endpoint(str(ip_address(parts[2])), int(parts[3]))
        except ValueError:
            return None
    return None


def _six(parts: tuple[str, ...]) -> Endpoint | None:
    numbers = [int(part) for part in parts]
    if max(numbers) > 255:
        return None
    return Endpoint(".".join(map(str, numbers[:4])), numbers[4] << 8 | numbers[5])
