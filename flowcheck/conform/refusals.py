"""A step that was refused, or broken off instead of answered: by whom, with which code, and whose fault that is."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Message
from ..rulebook.rule import Check, Reference
from . import phrases
from .account import Account
from .align import Move
from .checks import TESTS
from .fields import get_field
from .several import ANOTHER, excused

# ns: who leaves later than this after a request did wait, and the side that owes the answer is at fault
IMPATIENT = 1_000_000_000
CODE_FIELDS = ("rcode", "notify", "FaultCode", "status", "description", "code", "cause", "experimental_result.code",
               "result_code")


def refused(told: Account, move: Move) -> None:
    """The message of a move as the refusal of its step."""
    step, message, pattern, parts = move.step, move.message, move.pattern, told.parts
    told.take(step, "refused", message)
    detail = _detail(message, pattern.where)
    device = message.src.address in told.matcher.scope.device.addresses
    gave_up = message.kind in ("cwmp.session_end", "tcp.fin", "tcp.reset") or (
        message.kind == "sctp.abort" and device and told.sender(step) == "network")
    side = pattern.side or step.side or ("device" if device else "network")
    request = told.last_request(step, message.session)
    if pattern.src or request is not None and request.dst.address == message.src.address:
        sender = parts.playing(pattern.src or step.src, message.src, message)
    else:
        sender = parts.who(message.src, message)
        if sender == message.src.address and told.sender(step) == "network":      # a host no role is known for
            sender = parts.playing(step.src, message.src, message)
    observed = phrases.refusal(message, sender, detail, request)
    if message.kind == "cwmp.session_end":
        observed = parts.recast(str(message.fields.get("reason")), message)
        left = "device" if message.fields.get("by") == "device" else "network"
        waited = message.time - request.time if request is not None else 0
        if left != told.sender(step) and waited > IMPATIENT:
            left, observed = told.sender(step), f"{parts.in_vain(step, request)} for {waited / 1e9:.1f} s; {observed}"
        side = pattern.side or left
    elif gave_up and request is not None and device:
        observed = f"{parts.in_vain(step, request)}; {observed}"
    another = excused(told.rule, told.reading, told.matcher, step, told.last_request(step) or message)
    told.add("no-answer" if gave_up else "refused", step, "" if gave_up else detail,
             severity="warning" if another else "error", frames=message.frames, expected=phrases.asked_for(step),
             observed=observed + (ANOTHER if another else ""), hint=pattern.hint or step.hint, side=side,
             repair=parts.needed(step, message), reason=told.why(message, request, detail))
    told.failed = told.failed or not another
    told.seen.append(message)


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
