"""What a finding code, a kind of finding, a step or a procedure means: the text behind `flowcheck explain`.

A code is `procedure/step/kind[:detail]`. What the step asks and what to look at next comes from the rule, what the kind
means from the table here, what a registered code means and where it is defined from conform/codes.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .conform.codes import meaning
from .errors import UsageError
from .model import FINDING_KINDS, STEP_STATES, VERDICTS
from .rulebook.mistakes import did_you_mean
from .rulebook.rule import Check, Pattern, Reference, Rule, Step

KINDS = {
    "missing": "The step did not happen, although steps before and after it did, and the capture could have shown it.",
    "stopped": "Nothing of the procedure follows after the last step seen; this step is the first that should have.",
    "refused": "The peer answered with a refusal; the code after the colon is the one it gave.",
    "no-answer": "A request was sent and nobody answered: the deadline passed in the capture, the sender had to repeat "
                 "itself or gave up.",
    "field-absent": "The message is there and lacks a field or parameter that the clause asks for; its name follows "
                    "the colon.",
    "field-wrong": "The message is there and a field has another value than the clause asks for; its name follows the "
                   "colon.",
    "late": "The step happened after its deadline. A deadline of ours (engineering) makes it a warning, one of the "
            "specification an error.",
    "out-of-order": "The step happened, but not at its place in the procedure.",
    "unexpected": "A message of the procedure that no step waits for at this place; a notice unless the rule says "
                  "otherwise.",
    "wrong-path": "The message ran outside the tunnel or TLS connection that it belongs into.",
    "forbidden": "The clause says that this shall not happen, and it did.",
    "not-started": "The procedure was expected (--procedure) and the capture, which could show it, has no attempt "
                   "of it.",
}
STATES = {
    "seen": "A message of the capture is this step.", "refused": "The peer refused this step.",
    "missing": "The step is not in the capture, which could have shown it; or it was not reached after a failure.",
    "late": "The step happened after its deadline.",
    "not_observable": "Whether the step happened cannot be told from this capture; the reason says what hides it.",
    "not_applicable": "The step does not apply in this attempt: its condition is false, or it is optional and was "
                      "left out.",
    "unchecked": "No capture can show this step; it is listed so that the table has every step of the clause.",
}
OUTCOMES = {
    "pass": "Every mandatory step that applies was seen, in order, and every check held.",
    "fail": "At least one finding of severity error that is not waived; the first of them is the cause.",
    "inconclusive": "Nothing is known to be wrong, but the capture cannot show a mandatory step. The report says what "
                    "would decide it.",
}
_NEXT = {                       # where the rule has no hint of its own
    "missing": "Look at the frames before and after: is the sender's configuration such that it may leave the step "
               "out?",
    "stopped": "Look at the last frame of the attempt and at the device's log right after it.",
    "refused": "Look at the refusing host's log at that time, with the code.",
    "no-answer": "Capture at the answering host: did the request arrive, and did an answer leave?",
    "field-absent": "Look at the sender's configuration and software version.",
    "field-wrong": "Look at the sender's configuration and compare with the site profile.",
    "late": "Look at the time between the two frames; compare with a capture at the other end.",
    "out-of-order": "Look at the frame named and at the one before it.",
    "unexpected": "Nothing, unless something else is wrong as well.",
    "wrong-path": "Look at the device's routing and tunnel policy (traffic selectors).",
    "forbidden": "Look at what the device or server was told before.",
    "not-started": "Was the device switched on inside the capture, and is this the right interface?",
}


def explain(code: str, rules: Sequence[Rule], timers: Mapping[str, float]) -> str:
    """Lines about a code, kind, step, state, verdict or procedure. `timers` are the site's, in seconds.

    Raises UsageError for what is none of these.
    """
    code = code.strip()
    for table in (KINDS, STATES, OUTCOMES):
        if code in table:
            return "\n".join(_word(code))
    procedure, _, rest = code.partition("/")
    rule = next((rule for rule in rules if rule.procedure == procedure), None)
    if rule is None:
        found = [(rule, step) for rule in rules for step in rule.steps() if step.step == code]
        if found:
            return "\n\n".join("\n".join(_step(rule, step, "", "", timers)) for rule, step in found)
        words = [rule.procedure for rule in rules] + list(FINDING_KINDS) + list(STEP_STATES) + list(VERDICTS)
        guess = did_you_mean(procedure, words) or "; a code is procedure/step/kind[:detail], as a result's cause is"
        raise UsageError(f"explain {code}: no procedure, step or kind of finding is called '{procedure}'{guess}")
    if not rest:
        return "\n".join(_procedure(rule))
    name, _, finding = rest.partition("/")
    kind, _, detail = finding.partition(":")
    step = next((step for step in rule.steps() if step.step == name), None)
    if step is None:
        guess = did_you_mean(name, [step.step for step in rule.steps()])
        raise UsageError(f"explain {code}: {procedure} has no step '{name}'{guess}")
    if kind and kind not in KINDS:
        raise UsageError(f"explain {code}: no kind of finding is called '{kind}'{did_you_mean(kind, KINDS)}")
    return "\n".join(_step(rule, step, kind, detail, timers))


def _word(word: str) -> Iterator[str]:
    for table, what in ((KINDS, "kind of finding"), (STATES, "state of a step"), (OUTCOMES, "verdict")):
        if word in table:
            yield f"{word} ({what})"
            yield f"    {table[word]}"
            if table is KINDS:
                yield f"    next      {_NEXT[word]}"


def _procedure(rule: Rule) -> Iterator[str]:
    yield f"{rule.procedure}: {rule.title}"
    yield f"    clause    {rule.citation} ({rule.version}), {rule.status}"
    yield from (f"    {line.strip()}" for line in rule.describe.splitlines() if line.strip())
    yield "    steps"
    yield from (f"        {step.cite:<6}{step.step:<22}{step.title or _asks(step)}" for step in rule.steps())
    if rule.then:
        yield f"    then      {' or '.join(rule.then)}"


def _step(rule: Rule, step: Step, kind: str, detail: str, timers: Mapping[str, float]) -> Iterator[str]:
    yield f"{rule.procedure}/{step.step}" + (f"/{kind}" if kind else "") + (f":{detail}" if detail else "")
    if kind:
        yield f"    means     {KINDS[kind]}"
    if meant := _meaning(step, detail):
        yield f"    {detail}: {meant[0]} ({meant[1]})"
    yield f"    clause    {rule.citation} ({rule.version}), step {step.cite}"
    yield f"    step      {step.title or _asks(step)}"
    if step.unchecked:
        yield f"    unchecked {step.unchecked}"
    elif step.title:
        yield f"    message   {_asks(step)}"
    pattern, check = _pattern(step, detail) if kind in ("refused", "no-answer") else None, _check(step, detail)
    if check is not None:
        yield f"    asks for  {detail}: {check.test}{'' if check.test == 'present' else f' {_shown(check.value)}'}" + (
            f" ({check.cite})" if check.cite else f", {check.basis}" if check.basis != "spec" else "")
    if step.within is not None:
        seconds = step.within.seconds
        if isinstance(seconds, Reference):
            seconds = timers.get(seconds.path[-1], seconds)
        shown = seconds if isinstance(seconds, Reference) else f"{seconds:g} s"
        yield f"    deadline  {shown} after step '{step.within.after}' ({step.within.basis})"
    side = (pattern.side if pattern else None) or (check.side if check else None) or step.side
    if side:
        yield f"    to act    {side}"
    hints = (pattern.hint if pattern else "", check.hint if check else "", step.hint, _NEXT.get(kind, ""))
    yield from (f"    next      {hint}" for hint in list(filter(None, hints))[:1])
    yield f"    rule      {rule.path}:{step.place.line}" if step.place else f"    rule      {rule.path}"


def _asks(step: Step) -> str:
    ends = f" from {step.src} to {step.dst}" if step.src and step.dst else ""
    return (" or ".join(step.messages) or "nothing a capture can show") + ends


def _pattern(step: Step, detail: str) -> Pattern | None:
    """The refusal that the detail belongs to: the one that names it, else the only one, else the first with a hint."""
    naming = [p for p in step.refused_by if detail and any(detail in _texts(check.value) for check in p.where)]
    return next(iter(naming or [p for p in step.refused_by if p.hint] or step.refused_by), None)


def _meaning(step: Step, detail: str) -> tuple[str, str] | None:
    """Of the protocols that the step and its refusals speak, the first that knows the code."""
    kinds = (*(kind for pattern in step.refused_by for kind in pattern.messages), *step.messages)
    return next(filter(None, (meaning(kind.partition(".")[0], detail) for kind in kinds)), None)


def _check(step: Step, detail: str) -> Check | None:
    return next((check for check in step.expect if detail and not isinstance(check.names, Reference) and
                 (detail in check.names or detail == ", ".join(check.names)) or
                 isinstance(check.names, Reference) and check.names.path[-1] == detail), None)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, (tuple, list)) else (str(value),)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) and not isinstance(value, Reference) else str(value)
