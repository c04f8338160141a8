"""CWMP sessions (TR-069 3.7): which messages belong to one, which answer answers which request, and how it ended.

A session begins with an Inform, may use several TCP connections, and ends when the ACS has nothing more to say (204, or
an empty 200) or when one side gives up. Its end is no message on the wire, so it is added as `cwmp.session_end` with
`complete` saying whether it was orderly and `reason` how it showed. Where one side owed an answer then, `owing` names it
and `waited` (ns) says since when. A 401 after which nothing came is marked `challenge_unmet`.

Every message of a session also says in `session_events` what its Inform gave as reason.

In a session each side has at most one request outstanding (TR-069 3.7.1.4), so an answer belongs to that one; an answer
that echoes another cwmp:ID is paired all the same and carries the difference as a problem.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import Endpoint, FrameRef, Message, Problem

IDLE = 600_000_000_000      # ns after which a session nobody ended is no longer continued by a new connection
RECONNECT = 5_000_000_000   # ns within which a client with a connection for each request opens the next
AGAIN = frozenset((401, 407, *range(300, 400)))      # statuses after which HTTP sends the same request again
BEGAN_ANEW = "the device began a new session"
_CONCERNED = ("cwmp.", "http.", "tcp.fin", "tcp.reset")
_Exchange = tuple[int, int | None]      # stream, and the number of the exchange in it


@dataclass(slots=True)
class _Session:
    number: int
    client: Endpoint
    server: Endpoint
    streams: set[int]
    last: int
    device: str = ""
    closed: set[int] = field(default_factory=set)      # those of its streams that were closed
    cookies: set[str] = field(default_factory=set)
    acs_request: int | None = None       # index of the ACS's unanswered request
    cpe_request: int | None = None
    inform: int | None = None
    asked: Message | None = None         # the POST that has no final answer yet
    ended: bool = False
    tail: Message | None = None          # the last thing seen, for a session that nobody ended
    layers: tuple[str, ...] = ()


def sessions(messages: Sequence[Message], holes: frozenset[int] = frozenset()) -> list[Message]:
    """The messages with `session`, `transaction` and `answers` of CWMP filled in and session ends added.

    `holes` are streams of which the capture misses something: how a session over them ended may not be known, and
    `complete` is then None.
    """
    out: list[Message] = list(messages)         # in time order
    ends: list[Message] = []
    live = _Live()
    all_sessions: list[_Session] = []
    next_transaction = 1 + max((m.transaction for m in out if m.transaction is not None), default=0)
    concerned = [(index, m, m.kind) for index, m in enumerate(out) if m.kind.startswith(_CONCERNED)]
    http: dict[_Exchange, Message] = {(m.stream, m.exchange): m for _, m, kind in concerned
                                      if kind == "http.response" and (m.fields.get("status") or 0) >= 200}
    requests: dict[_Exchange, Message] = {(m.stream, m.exchange): m
                                          for _, m, kind in concerned if kind == "http.request"}
    informs: dict[_Exchange, Message] = {(m.stream, m.exchange): m for _, m, kind in concerned if kind == "cwmp.Inform"}
    spoken = {(m.stream, m.exchange, m.src) for _, m, kind in concerned if kind.startswith("cwmp.")}
    gone: set[int] = set()
    for index, message, kind in concerned:
        if kind.startswith("cwmp."):
            session = _session_of(message, live, requests, informs)
            if kind == "cwmp.Inform":
                reply = http.get((message.stream, message.exchange))
                left = live.left_by(message)
                session = session or next((one for one in left if _repeats(message, one, out, http)), None)
                if session is not None and _repeats(message, session, out, http):
                    held = out[session.inform]                   # the 401 round, or the Inform sent again
                    gone.add(session.inform)
                    message = message.but(copies=(*message.copies, *held.copies, *held.frames))
                else:
                    if session is not None and not session.ended:
                        ends.append(_end(session, message.time, message, False, BEGAN_ANEW))
                    # a device has one session at a time: another one of which no end was seen is over all the same
                    ends += [_end(one, message.time, message, None, BEGAN_ANEW) for one in left if not one.ended]
                    session = _Session(len(all_sessions) + 1, message.src, message.dst, {message.stream}, message.time,
                                       device_of(message))
                    live.add(session)
                    all_sessions.append(session)
                session.inform = session.cpe_request = index
                session.asked = requests.get((message.stream, message.exchange))
                session.layers = message.layers
                if reply is not None:
                    session.cookies |= _cookies(reply, "set-cookie")
            if session is None:
                session = _begun_before(message, len(all_sessions) + 1)
                live.add(session)
                all_sessions.append(session)
            message, next_transaction = _tie(message, index, session, out, next_transaction)
            out[index] = message
            live.touch(session, message)
        elif kind == "http.response" and (session := live.on(message)) is not None:
            session.cookies |= _cookies(message, "set-cookie")
            out[index] = message.but(session=session.number)
            status, request = message.fields.get("status") or 0, requests.get((message.stream, message.exchange))
            live.touch(session, message)
            if status >= 200:
                session.asked = None
            if status in AGAIN or status < 200 or message.incomplete:
                continue
            if status >= 400 and (message.stream, message.exchange, message.src) not in spoken:
                ends.append(_end(session, message.time, message, False, _without_cwmp(message, session, out)))
            elif status in (200, 204) and not message.fields.get("body_length") and session.acs_request is None \
                    and request is not None and request.fields.get("method") == "POST":
                asked = out[session.cpe_request] if session.cpe_request is not None else None
                # an earlier request left open here was answered in packets that the capture does not hold
                complete = asked is None or (asked.stream, asked.exchange) != (message.stream, message.exchange)
                ends.append(_end(session, message.time, message, complete, f"HTTP {status} without a message"))
        elif kind == "http.request" and (session := _session_of(message, live, requests, informs)) is not None:
            out[index] = message.but(session=session.number)
            live.touch(session, message)
            if message.fields.get("method") == "POST":
                session.asked = message
        elif kind in ("tcp.fin", "tcp.reset") and (session := live.on(message)) is not None:
            if session.tail is None or session.tail.kind != "tcp.fin" or session.tail.stream != message.stream:
                session.tail = message                           # the other side's FIN only follows the first
            session.closed.add(message.stream)
    last = out[-1].time if out else 0
    unmet: set[_Exchange] = set()                                # those whose challenge had the last word
    for session in all_sessions:
        if not session.ended and session.tail is not None and session.tail.kind in ("tcp.fin", "tcp.reset"):
            # a client that opens a connection for each request may have been about to open the next one
            certain = len(session.streams) == 1 or last - session.tail.time > RECONNECT
            asked = out[session.cpe_request] if session.cpe_request is not None else None
            reply = http.get((asked.stream, asked.exchange)) if asked is not None else None
            if reply is not None and reply.fields["status"] == 401:
                unmet.add((asked.stream, asked.exchange))
            if reply is not None and reply.fields["status"] not in AGAIN and not reply.incomplete:
                ends.append(_end(session, reply.time, reply, False if certain else None,
                                 _without_cwmp(reply, session, out)))
            else:
                ends.append(_end(session, session.tail.time, session.tail, False if certain else None,
                                 _gave_up(session, out)))
    events = [None if session.inform is None else out[session.inform].fields.get("Event.EventCode")
              for session in all_sessions]
    ends = [_doubted(m) if m.fields["complete"] is False and all_sessions[m.session - 1].streams & holes else m
            for m in (_with_events(m, events) for m in ends)]
    for index, message, kind in concerned:
        if kind == "http.response" and message.fields.get("status") == 401 \
                and (message.stream, message.exchange) in unmet:
            out[index] = out[index].adding(challenge_unmet=True)
    return _put_in([_with_events(m, events) if m.session is not None and m.kind.startswith("cwmp.") else m
                    for index, m in enumerate(out) if index not in gone], ends)


def _put_in(messages: list[Message], ends: list[Message]) -> list[Message]:
    """Both in time order, an end behind the message that shows it, or before the Inform that began a new session."""
    found, done = [], 0
    for end in sorted(ends, key=_when):
        beside = bisect_left if end.fields["reason"].startswith(BEGAN_ANEW) else bisect_right
        place = max(done, beside(messages, _when(end), key=_when))
        found += messages[done:place]
        found.append(end)
        done = place
    return found + messages[done:]


def _when(message: Message) -> tuple[int, FrameRef]:
    return message.time, message.frames[-1]


def _doubted(end: Message) -> Message:
    reason = f"{end.fields['reason']}, as far as the capture shows: packets of the session are missing"
    return end.but(fields={**end.fields, "complete": None, "reason": reason})


def _with_events(message: Message, events: Sequence[Any]) -> Message:
    """The message with what its session was opened for: the same RPC means another thing after 1 BOOT than later."""
    opened_for = events[message.session - 1]
    return message if not opened_for else message.adding(session_events=opened_for)


_FROM_ACS = frozenset(("GetParameterValues", "SetParameterValues", "GetParameterNames", "GetParameterAttributes",
                       "AddObject",
                       "SetParameterAttributes", "DeleteObject", "Download", "ScheduleDownload", "Upload", "Reboot",
                       "FactoryReset",
                       "ScheduleInform", "InformResponse", "TransferCompleteResponse", "GetQueuedTransfers",
                       "GetAllQueuedTransfers",
                       "CancelTransfer", "ChangeDUState", "SetVouchers", "GetOptions"))


def _begun_before(message: Message, number: int) -> _Session:
    """A session whose Inform is not in the capture. Who is the device shows in what is said."""
    from_acs = message.kind.partition(".")[2] in _FROM_ACS
    client, server = (message.dst, message.src) if from_acs else (message.src, message.dst)
    return _Session(number, client, server, {message.stream}, message.time, layers=message.layers)


def _tie(message: Message, index: int, session: _Session, out: list[Message], number: int) -> tuple[Message, int]:
    """A message of the session; a request gets its transaction, an answer the transaction it completes."""
    rpc = message.kind.partition(".")[2]
    if rpc in ("empty", "malformed"):                      # no RPC: neither asks nor answers
        return message.but(session=session.number), number
    from_cpe = message.src.address == session.client.address
    if rpc.endswith("Response") or rpc == "Fault":
        held = session.acs_request if from_cpe else session.cpe_request
        if held is None:
            return message.but(session=session.number), number
        request = out[held]
        if from_cpe:
            session.acs_request = None
        else:
            session.cpe_request = None
        problems = message.problems
        if request.fields.get("id") and message.fields.get("id") and request.fields["id"] != message.fields["id"]:
            problems += (Problem(0, f"cwmp:ID {message.fields['id']!r} answers {request.fields['id']!r}"),)
        return message.but(session=session.number, answers=request.transaction, problems=problems), number
    message = message.but(session=session.number, transaction=number)
    if from_cpe:
        session.cpe_request = index
    else:
        session.acs_request = index
    return message, number + 1


class _Live:
    """The sessions so far, found by connection and by their two hosts, so that many devices cost no more each than one."""

    def __init__(self) -> None:
        self._on: dict[int, list[_Session]] = defaultdict(list)
        # two hosts -> device -> sessions
        self._between: dict[tuple[str, Endpoint], dict[str, list[_Session]]] = defaultdict(dict)

    def add(self, session: _Session) -> None:
        self._between[session.client.address, session.server].setdefault(session.device, []).append(session)
        for stream in session.streams:
            self._on[stream].append(session)

    def join(self, session: _Session, stream: int) -> None:
        """The session goes on over this connection too."""
        if stream not in session.streams:
            session.streams.add(stream)
            insort(self._on[stream], session, key=lambda one: one.number)

    def touch(self, session: _Session, message: Message) -> None:
        session.last = message.time
        session.tail = message
        self.join(session, message.stream)

    def on(self, message: Message) -> _Session | None:
        for session in reversed(self._on.get(message.stream, ())):
            if not session.ended or message.kind != "http.request":
                return session if not session.ended else None
        return None

    def of(self, device: str, client: str, server: Endpoint, time: int) -> list[_Session]:
        """One device's sessions of two hosts that may still go on."""
        held = self._between.get((client, server), {})
        alive = [session for session in held.get(device, ()) if not session.ended and time - session.last <= IDLE]
        if alive:
            held[device] = alive
        else:
            held.pop(device, None)
        return alive

    def left_by(self, inform: Message) -> list[_Session]:
        """The sessions with the same ACS that the device may still have had when it sent this Inform."""
        device = device_of(inform)
        return self.of(device, inform.src.address, inform.dst, inform.time) if device.rpartition("-")[2] else []

    def alone(self, client: str, server: Endpoint, time: int) -> list[_Session]:
        """Those of two hosts that may still go on, if they are one device's: none where nothing tells devices apart."""
        alive: list[_Session] = []
        named = 0
        for device in list(self._between.get((client, server), ())):
            found = self.of(device, client, server, time)
            named += bool(found and device)
            if named > 1:
                return []
            alive += found
        return alive

    def with_cookie(self, cookies: set[str], client: str, server: Endpoint, time: int) -> list[_Session]:
        """Those of two hosts that were given one of these cookies and may still go on."""
        devices = list(self._between.get((client, server), ())) if cookies else []
        return [session for device in devices for session in self.of(device, client, server, time)
                if cookies & session.cookies]


def _session_of(message: Message, live: _Live, requests: dict, informs: dict) -> _Session | None:
    """The session a message goes on with: its connection's, else one its cookie or its hosts point at.

    Hosts point at nothing where several devices hold sessions from one address, as behind a NAT.
    """
    found = live.on(message)
    if found is not None:
        return found
    request = message if message.kind == "http.request" else requests.get((message.stream, message.exchange))
    client, server = (request.src, request.dst) if request is not None else (message.src, message.dst)
    cookies = _cookies(request, "cookie") if request is not None else set()
    inform, place = informs.get((message.stream, message.exchange)), (client.address, server, message.time)
    if inform is not None:
        near = live.of(device_of(inform), *place)
    else:
        near = live.with_cookie(cookies, *place) or live.alone(*place)
    near = [s for s in near if s.streams <= s.closed]
    chosen = [s for s in near if cookies & s.cookies] or [s for s in near if not s.cookies or not cookies]
    if len(chosen) != 1:
        return None
    if message.kind == "http.request" and message.fields.get("method") != "POST":
        return None
    live.join(chosen[0], message.stream)
    return chosen[0]


def device_of(message: Message) -> str:
    """What an Inform says of its sender, as far as it says anything."""
    return "-".join(str(message.fields.get(f"DeviceId.{name}") or "")
                    for name in ("OUI", "ProductClass", "SerialNumber"))


def _repeats(inform: Message, session: _Session, out: list[Message], http: dict[_Exchange, Message]) -> bool:
    """Is it the Inform that the session began with, unanswered: the same, or as HTTP asked for it (with credentials, elsewhere)?"""
    if session.inform is None or session.cpe_request != session.inform:
        return False
    first = out[session.inform]
    asked = http.get((first.stream, first.exchange))
    same = ["DeviceId.SerialNumber", "Event.EventCode"]
    if asked is None or asked.fields["status"] not in AGAIN:
        same += ["id", "CurrentTime"]
    return all(first.fields.get(name) == inform.fields.get(name) for name in same)


def _cookies(message: Message | None, header: str) -> set[str]:
    value = (message.fields.get("headers") or {}).get(header) if message is not None else None
    values = value if isinstance(value, (list, tuple)) else [value] if value else []
    pairs = [part.strip() for one in values for part in str(one).split(";" if header == "cookie" else "\n")]
    return {pair.partition(";")[0] for pair in pairs if "=" in pair}


def _without_cwmp(reply: Message, session: _Session, out: list[Message]) -> str:
    """An HTTP response in the place of an answer, in words."""
    asked = out[session.cpe_request] if session.cpe_request is not None else None
    if asked is None or not reply.fields.get("body_length"):
        return f"HTTP {reply.fields['status']}"
    return f"the ACS answered {asked.kind.partition('.')[2]} with HTTP {reply.fields['status']} and no CWMP message"


def _gave_up(session: _Session, out: list[Message]) -> str:
    who = "the device" if session.tail.src.address == session.client.address else "the ACS"
    how = "reset" if session.tail.kind == "tcp.reset" else "closed"
    if session.acs_request is not None:
        return f"{who} {how} the connection before {out[session.acs_request].kind.partition('.')[2]} was answered"
    if session.cpe_request is not None:
        return f"{who} {how} the connection before {out[session.cpe_request].kind.partition('.')[2]} was answered"
    if session.asked is not None:
        return f"{who} {how} the connection before its POST was answered" if who == "the device" else \
            f"{who} {how} the connection instead of answering a POST"
    return f"{who} {how} the connection before the session was over"


def _end(session: _Session, time: int, shown_by: Message, complete: bool | None, reason: str) -> Message:
    session.ended = True
    by_device = shown_by.src.address == session.client.address
    # the new Inform's connection is not this one's
    own = session.streams - {shown_by.stream} if reason == BEGAN_ANEW else ()
    stream = max(own, default=shown_by.stream)
    fields = {"complete": complete, "reason": reason, "by": "device" if by_device else "acs"}
    if not complete and session.asked is not None:
        fields |= {"owing": "acs", "waited": time - session.asked.time}
    return Message("cwmp.session_end", time, shown_by.frames, session.client, session.server, stream,
                   session.layers, fields, session=session.number)
