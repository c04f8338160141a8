"""A step that was not seen: left out, out of sight, a consequence, or missing, and then where, by whom and since when."""

from __future__ import annotations

from ..model import FrameRef, Message
from ..rulebook.rule import Step
from . import phrases
from .account import Account
from .align import Move
from .attempts import TUNNEL_DELETED
from .reasons import Reason
from .rounds import asked_again, passed_over
from .several import ANOTHER, excused, is_one
from .taps import misplaced


def skipped(told: Account, move: Move, trailing: bool, unseen: bool) -> bool:
    """A step passed over, `trailing` where nothing was matched after it. Is a mandatory one out of sight (`unseen` before)?"""
    step = move.step
    if told.states.get(step.step) in ("seen", "refused", "late") and not _unanswered_again(told, step, move):
        if trailing and not move.hidden and not step.optional and _asked_again(told, step):
            told.open = step, move                     # the cause, should the rest not come either
        return unseen
    if move.hidden and move.hidden.startswith("carried"):
        told.state(step, "not_applicable", move.hidden)
    elif step.optional:
        told.state(step, "not_applicable", "optional, not seen")
    elif not trailing and (asked := told.last_request(step)) is not None and asked_again(told.reading, step, asked):
        return unseen                                  # the answer to the same request follows
    elif told.failed:
        told.state(step, "missing", "not reached, after the failure above")
    elif move.hidden:
        told.state(step, "not_observable", move.hidden)
        return unseen or trailing
    elif trailing and unseen:
        told.state(step, "not_observable", "follows a step that the capture cannot show")
    elif trailing and told.open is not None:
        _missing(told, *told.open, trailing)
        told.state(step, "missing", "not reached, after the failure above")
    elif why := told.misplaced.get(step.answers) or misplaced(step, move, told.reading, told.view.timeline,
                                                              told.matcher):
        told.misplaced[step.step] = why                # and so may be its answer
        told.state(step, "not_observable", why)
        return unseen or trailing
    else:
        _missing(told, step, move, trailing)
    return unseen


def _asked_again(told: Account, step: Step) -> bool:
    """Was it asked for once more after its last answer?"""
    places = [[m.index for m in told.moves.get(name or "", ()) if m.what == "match"]
              for name in (step.answers, step.step)]
    return all(places) and places[0][-1] > places[1][-1]


def _unanswered_again(told: Account, step: Step, move: Move) -> bool:
    """Has the last request brought no answer, after others did: of tries with several hosts, or where who owes it went on?"""
    request = told.last_request(step)
    return request is not None and not move.hidden and not any(
        earlier.message.answers == request.transaction
        for earlier in told.moves[step.step] if earlier.message is not None
    ) and (is_one(told.rule, step) or not step.optional
           and passed_over(told.reading, told.view.timeline, step, request))


def _missing(told: Account, step: Step, move: Move, trailing: bool) -> None:
    elsewhere = [m for m in told.reading.moves if m.what == "extra"
                 and told.matcher.fits(step, m.message, told.reading.bound)]
    request, why = told.last_request(step), Reason()
    if elsewhere and not trailing:
        kind, frames = "out-of-order", elsewhere[0].message.frames
        observed = f"{phrases.name(elsewhere[0].message.kind)} in frame {elsewhere[0].message.frames[-1].number}, out of its place"
    elif request is not None and told.rule.is_reply(step):
        kind, frames = "no-answer", (*request.frames, *request.copies)
        observed, why = told.parts.in_vain(step, request), told.why(None, request, "")
    else:
        kind = "stopped" if trailing else "missing"
        frames = _around(told, move)
        sender = told.parts.at(step.src)
        observed = f"no {phrases.names(step.messages)}{f' from {sender}' if sender else ''} {'follows' if trailing else 'between these frames'}"
    deletion = _tunnel_taken_away(told, move, trailing)
    if deletion is not None:
        observed += f"; {told.parts.who(deletion.src, deletion)} deleted the tunnel in frame {deletion.frames[-1].number}"
    elif trailing and told.view.gave_up:
        observed += f"; {told.parts.recast(told.view.gave_up)}"
    lost = _lost(told, request if kind == "no-answer" else told.seen[-1] if trailing and told.seen else None)
    another = kind == "no-answer" and excused(told.rule, told.reading, told.matcher, step, request)
    # what may be left out is what it stopped at all the same, if it was asked for in vain and nothing came after
    severity = "warning" if another else "error" if kind == "no-answer" and trailing else step.severity
    told.state(step, "missing", observed)
    side = "path" if lost else step.side or ("network" if kind == "no-answer"
                                             and told.sender(step) == "network" else told.sender(step))
    if deletion is not None and deletion.src.address not in told.matcher.scope.device.addresses:
        side = "network"                               # without the tunnel the device could not go on
    told.add(kind, step, "", severity=severity, frames=frames, expected=phrases.asked_for(step),
             observed=observed + (ANOTHER if another else ""), hint=step.hint, side=side,
             repair=told.parts.needed(step, None), reason=Reason(lost) if lost else why)
    if severity == "error":
        told.failed = True


def _tunnel_taken_away(told: Account, move: Move, trailing: bool) -> Message | None:
    """The IKE Delete (RFC 7296 1.4.1) that came instead of the step."""
    if not trailing:
        instead = told.view.messages[move.index:move.index + 1]
    elif told.view.gave_up == TUNNEL_DELETED:
        since = told.seen[-1].time if told.seen else 0
        instead = (m for m in told.view.timeline.messages if m.time >= since)
    else:
        return None
    return next((m for m in instead if m.kind == "ike.informational.request"
                 and any(one.get("protocol") == "IKE" for one in m.fields.get("deletes") or ())), None)


def _lost(told: Account, message: Message | None) -> str:
    """Where a message was lost between two taps; empty where it was not, or where its answer shows that it arrived."""
    timeline = told.view.timeline
    taps = timeline.lost.get(message.frames[-1]) if message is not None else None
    if taps is None or message.answers is None and any(m.answers == message.transaction for m in timeline.messages
                                                       if m.answers is not None):
        return ""
    seen, missed = (timeline.taps.get(tap, f"tap {tap}") for tap in taps)
    return (f"{phrases.name(message.kind)} came by {seen} in frame {message.frames[-1].number} and never by {missed}, which recorded these "
            "hosts at that time: it was lost between the two")


def _around(told: Account, move: Move) -> tuple[FrameRef, ...]:
    before = told.seen[-1].frames[-1:] if told.seen else ()
    messages = told.view.messages
    after = messages[move.index].frames[-1:] if move.index < len(messages) else ()
    return (*before, *after)
