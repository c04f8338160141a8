"""A step that was refused, or broken off instead of answered: by whom, with which code, and whose fault that is."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Message
from ..rulebook.rule import Check, Pattern, Reference, Step
from . import phrases
from .account import Account
from .align import Move
from .checks import TESTS
from .fields import get_field
from .several import ANOTHER, excused, is_one

# ns: who leaves later than this after a request did wait, and the side that owes the answer is at fault
IMPATIENT = 1_000_000_000
AGAIN = "; tried again, it was done"     # what is said beside such a failure
CODE_FIELDS = ("rcode", "notify", "FaultCode", "status", "description", "code", "cause", "experimental_result.code",
               "result_code")


def refused(told: Account, move: Move) -> None:
    """The message of a move as the refusal of its step."""
    step, parts = move.step, told.parts
    message, pattern = _told_by(told, move)
    if told.failed and message.kind == "cwmp.session_end":
        told.state(step, "missing", "not reached, after the failure above")
        return
    told.take(step, "refused", message)
    detail = _detail(message, pattern.where)
    device = message.src.address in told.matcher.scope.device.addresses
    gave_up = message.kind in ("cwmp.session_end", "tcp.fin", "tcp.reset") or (
        message.kind == "sctp.abort" and device and told.sender(step) == "network")
    side = pattern.side or step.side or ("device" if device else "network")
    request = told.last_request(step, message.session)
    if pattern.src or request is not None and request.dst.address == message.src.address:
        # an alert may come from either end of the step
        end = step.dst if not device and told.sender(step) == "device" else step.src
        sender = parts.playing(pattern.src or end, message.src, message)
    else:
        sender = parts.who(message.src, message)
        # a host no role is known for; but who reports that it cannot be reached is another one
        if sender == message.src.address and told.sender(step) == "network" and message.protocol != "icmp":
            sender = parts.playing(step.src, message.src, message)
    observed = phrases.refusal(message, sender, detail, request)
    if message.kind == "cwmp.session_end":
        left, observed = _broken_off(told, step, message, request)
        side = pattern.side or left
    elif gave_up and request is not None and device:
        observed = f"{parts.in_vain(step, request)}; {observed}"
    made_good = _made_good(told, move, told.last_request(step) or message)
    told.add("no-answer" if gave_up else "refused", step, "" if gave_up else detail,
             severity="warning" if made_good else "error", frames=message.frames, expected=phrases.asked_for(step),
             observed=observed + made_good, hint=pattern.hint or step.hint, side=side,
             repair=parts.needed(step, message), reason=told.why(message, request, detail))
    told.failed = told.failed or not made_good
    told.seen.append(message)


def _made_good(told: Account, move: Move, request: Message) -> str:
    """Why it does no harm, in words: another host did it, or the step, in a part that may be gone through again, was done then."""
    if excused(told.rule, told.reading, told.matcher, move.step, request):
        return ANOTHER
    done = any(m.what == "match" and m.step is move.step and m.index > move.index for m in told.reading.moves)
    return AGAIN if done and not is_one(told.rule, move.step) else ""


def _told_by(told: Account, move: Move) -> tuple[Message, Pattern]:
    """What refuses in most words: the message that an HTTP response carries, if it refuses the step as well."""
    message = move.message
    if message.kind == "http.response":
        for inner in told.view.messages[move.index:]:
            if inner.time != message.time:
                break
            if (inner.stream, inner.exchange, inner.src) == (message.stream, message.exchange, message.src) \
                    and inner.protocol != "http":
                pattern = told.matcher.refuses(move.step, inner, told.reading.bound)
                if pattern is not None and pattern.messages != move.pattern.messages:
                    return inner, pattern
    return message, move.pattern


def _broken_off(told: Account, step: Step, end: Message, request: Message | None) -> tuple[str, str]:
    """Whose fault it is that a CWMP session ended in the middle, and what was seen of it."""
    observed = told.parts.recast(str(end.fields.get("reason")), end)
    left = "device" if end.fields.get("by") == "device" else "network"
    owing, waited = told.sender(step), end.time - request.time if request is not None else 0
    if request is None and end.fields.get("owing") == "acs":
        owing, waited = "network", end.fields["waited"]
    if left == owing or waited <= IMPATIENT:
        return left, observed
    silent = told.parts.in_vain(step, request) if request is not None else \
        f"{told.parts.who(end.dst, end)} did not answer the POST of {told.parts.device}"
    return owing, f"{silent} for {waited / 1e9:.1f} s; {observed}"


def _detail(message: Message, where: Sequence[Check]) -> str:
    """The code by which the message refuses: of several values the one that the pattern asks for."""
    asked = [(name, check) for check in where if isinstance(check.names, tuple) for name in check.names]
    for name, check in (*asked, *((name, None) for name in CODE_FIELDS)):
        value = get_field(message.fields, name)
        values = [v for v in value if v] if isinstance(value, (list, tuple)) else [value]
        if check is not None and not isinstance(check.value, Reference):
            values = [v for v in values if TESTS[check.test](v, check.value)]
        code = next(iter(values), None)
        if isinstance(code, (str, int)) and not isinstance(code, bool) and str(code):
            return str(code)
    return ""
