"""One sentence about an attempt, one line about a message, and the filter that shows frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model import FAIL, PASS, Device, Finding, FrameRef, Message, StepResult, frames_filter
from ..rulebook.rule import Rule
from .parts import device_title
from .phrases import short

# kinds after which nothing of the step is there
STOPPING = ("refused", "stopped", "no-answer", "not-started", "missing")

_SUMMARY = {
    "dns": ("qname", "qtype", "rcode", "answers.address"), "tls": ("version", "sni", "description"),
    "http": ("method", "target", "status", "reason"), "ftp": ("command", "argument", "code", "text"),
    "sctp": ("cause",), "hnbap": ("cause",), "s1ap": ("cause",), "coap": ("code", "uri_path"),
    "diameter": ("result_code",),
}


def diagnosis(rule: Rule, device: Device, verdict: str, steps: Sequence[StepResult], cause: Finding | None) -> str:
    """Where it stopped, what was seen, why, and who should act."""
    name = f"{device_title(rule)} {short(device.id)}"
    if verdict == PASS:
        return f"{name} completed {rule.clause} ({rule.title})."
    if cause is not None and cause.kind == "not-started":
        return f"{name} did not begin {rule.clause} ({rule.title}) in this capture, though it was expected."
    if verdict == FAIL and cause is not None:
        where = f", frame {cause.frames[-1].number}" if cause.frames else ""
        verb = "stopped at" if cause.kind in STOPPING else "deviated at"
        why = f"; {cause.why}" if cause.why else ""
        expected = "" if cause.kind in STOPPING else f"; expected {cause.expected}"
        side = "" if cause.side in ("", "unknown") else f" Side: {cause.side}{f' or {cause.also}' if cause.also else ''}."
        return f"{name} {verb} step {cause.cite} ({rule.clause}): {cause.observed}{where}{expected}{why}.{side}"
    hidden = [s for s in steps if s.state == "not_observable"]
    done = [s for s in steps if s.state in ("seen", "late")]
    reached = f"seen up to step {done[-1].cite}" if done else "no step seen for certain"
    why = f"; step {hidden[0].cite} ({hidden[0].title}) cannot be judged: {hidden[0].reason}" if hidden else ""
    return f"{name}: {rule.clause} is inconclusive, {reached}{why}."


def summary(message: Message) -> str:
    """A few words for the arrow of a message."""
    fields = message.fields
    if message.protocol in _TOLD:
        return _TOLD[message.protocol](message)
    words = []
    for name in _SUMMARY.get(message.protocol, ()):
        value = fields.get(name)
        if isinstance(value, (list, tuple)):
            value = ", ".join(str(v) for v in value)
        if value not in (None, ""):
            words.append(str(value))
    return " ".join(words)[:160]


def _cwmp(message: Message) -> str:
    fields = message.fields
    if message.kind == "cwmp.Inform":
        return ", ".join(str(code) for code in fields.get("Event.EventCode") or ())
    if message.kind == "cwmp.Fault":
        return f"{fields.get('FaultCode')} {fields.get('FaultString') or ''}".strip()
    if message.kind == "cwmp.session_end":
        return str(fields.get("reason") or "")
    if "Status" in fields:
        return f"Status {fields['Status']}"
    listed = fields.get("ParameterList") or fields.get("ParameterNames") or ()
    return f"{len(listed)} parameters" if listed else ""


def _ike(message: Message) -> str:
    """Identity and errors; status notifies, which nearly every message carries, tell nothing here (RFC 7296 3.10.1)."""
    fields = message.fields
    errors = [str(n.get("type")) for n in fields.get("notifies") or () if isinstance(n, Mapping)
              and 0 < (n.get("code") or 0) < _STATUS]
    chosen = [str(name) for name in fields.get("notify")
              or () if name in ("COOKIE", "REDIRECT", "REKEY_SA", "UPDATE_SA_ADDRESSES")]
    identity = fields.get("id_i") if fields.get("initiator") else fields.get("id_r")
    address = (fields.get("configuration") or {}).get("attributes", {}) if fields.get("response") else {}
    inner = [str(value) for name, values in address.items() if name in ("INTERNAL_IP4_ADDRESS", "INTERNAL_IP6_ADDRESS")
             for value in (values if isinstance(values, (list, tuple)) else [values])]
    deleted = ["DELETE"] if fields.get("deletes") else []
    return " ".join(filter(None, (str(fields.get("exchange") or ""), *errors, *chosen, *deleted, str(identity or ""),
                                  *inner)))[:160]


_STATUS = 16384             # notify types from here on are no errors
_TOLD = {"cwmp": _cwmp, "ike": _ike}


def display_filter(frames: Sequence[FrameRef]) -> str:
    """A Wireshark filter for the frames; it holds for the capture that most of them are in."""
    if not frames:
        return ""
    captures = [ref.capture for ref in frames]
    main = max(set(captures), key=lambda c: (captures.count(c), -c))
    return frames_filter(r.number for r in frames if r.capture == main)
