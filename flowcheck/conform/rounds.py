"""Requests of a session that are made again and again, and one among them that was never answered.

A session has one request of each side open at a time (TR-069 3.7.1.4): what the other side says next is the answer.
"""

from __future__ import annotations

from typing import Any

from ..model import Message, Timeline
from ..rulebook.rule import Step
from .align import Reading


def passed_over(reading: Reading, timeline: Timeline, step: Step, request: Message) -> bool:
    """Did who owes the answer say something else in the same session, whole, and never this, nor when asked again?"""
    if request.session is None or request.transaction is None:
        return False
    later = [m for m in timeline.messages if m.session == request.session and m.time > request.time
             and m.protocol == request.protocol and m.src.address == request.dst.address
             and m.kind != "cwmp.session_end"]
    return bool(later) and not any(_may_answer(m, step, request)
                                   for m in later) and not asked_again(reading, step, request)


def asked_again(reading: Reading, step: Step, request: Message) -> bool:
    """Was the same asked once more in the session, and then answered by the step?"""
    if request.session is None:
        return False
    matched = [m for m in reading.moves if m.what == "match"]
    done = {m.message.answers for m in matched if m.step is step}
    return any(m.step.step == step.answers and m.message.time > request.time and m.message.transaction in done
               and m.message.session == request.session and _content(m.message) == _content(request) for m in matched)


def _may_answer(message: Message, step: Step, request: Message) -> bool:
    """Tied to the request, to none at all, by its cwmp:ID, or not to be read whole?"""
    if message.answers == request.transaction or message.incomplete or message.kind.endswith(".malformed"):
        return True
    said = message.fields.get("id")
    return message.kind in step.messages and (message.answers is None or said is not None
                                              and said == request.fields.get("id"))


def _content(request: Message) -> tuple[str, dict[str, Any]]:
    """What is asked, without what tells one asking from the next."""
    return request.kind, {name: value for name, value in request.fields.items() if name != "id"}
