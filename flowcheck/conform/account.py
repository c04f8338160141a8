"""What has been said of one attempt so far: a state for every step, findings, doubts, what was taken for granted.

Those who read the attempt (explain.py and what it calls) write into it; a finding is written once for each code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ..model import Finding, FrameRef, Message, StepResult
from ..rulebook.rule import Rule, Step
from .align import Move, Reading
from .describe import STOPPING, display_filter
from .matching import Matcher
from .parts import Parts
from .reasons import Evidence, Reason, reason
from .visibility import Visibility


class Account:
    def __init__(self, rule: Rule, reading: Reading, matcher: Matcher, view: Visibility):
        self.rule, self.reading, self.matcher, self.view = rule, reading, matcher, view
        self.parts = Parts(rule, matcher, reading.bound)
        self.findings: list[Finding] = []
        self.moves: dict[str, list[Move]] = defaultdict(list)      # step -> those of its moves that were told
        self.states: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.assumed: list[str] = []
        self.doubts: list[str] = []                    # what a cut message leaves open
        self.at: dict[int, str] = {}                   # id of message -> step
        self.beyond: list[Message] = []                # messages after the attempt that it forbids
        self.seen: list[Message] = []                  # those matched, as a step or as its refusal
        self.failed = False                            # what follows is a consequence
        # steps that may have been done when a tap with another clock says
        self.misplaced: dict[str | None, str] = {}
        self.open: tuple[Step, Move] | None = None     # a repeated request at the end that nothing answers

    # -------------------------------------------------------------------------------------------- writing

    def state(self, step: Step, state: str, reason: str) -> None:
        self.states[step.step] = state
        self.reasons[step.step] = reason

    def take(self, step: Step, state: str, message: Message) -> None:
        """The message was seen as the step, or as its refusal."""
        self.states[step.step] = state
        self.at[id(message)] = step.step

    def assume(self, text: str) -> None:
        if text not in self.assumed:
            self.assumed.append(text)

    def add(self, kind: str, step: Step, detail: str, *, severity: str = "error", frames: Iterable[FrameRef],
            expected: str, observed: str, hint: str = "", side: str | None = None, clause: str | None = None,
            repair: str = "", reason: Reason = Reason()) -> None:
        code = f"{self.rule.procedure}/{step.step}/{kind}" + (f":{detail}" if detail else "")
        if any(f.code == code for f in self.findings):
            return
        frames = tuple(dict.fromkeys(frames))
        self.findings.append(Finding(code, kind, severity, step.step, step.cite, clause or self.rule.citation,
                                     frames, expected, observed, hint, side or step.side or self.sender(step),
                                     display_filter(frames), repair, why=reason.text, also=reason.other))

    # -------------------------------------------------------------------------------------------- asking

    def sender(self, step: Step) -> str:
        """The side that sends the step's message."""
        role = self.rule.role(step.src) if step.src else None
        if role is None:
            return "unknown"
        return "device" if role.kind == "device" else "network"

    def last_request(self, step: Step, session: int | None = None) -> Message | None:
        matched = [m.message for m in self.moves.get(step.answers or "", ()) if m.what == "match"
                   and session in (None, m.message.session)]
        return matched[-1] if matched else None

    def why(self, refusal: Message | None, request: Message | None, code: str) -> Reason:
        return reason(Evidence(refusal, request, self.view.timeline.messages, self.parts.called), code)

    # -------------------------------------------------------------------------------------------- what it comes to

    def steps(self) -> tuple[StepResult, ...]:
        """Every step of the rule with its state, in the order of the file."""
        return tuple(self._step(step) for step in self.rule.steps())

    def _step(self, step: Step) -> StepResult:
        state, reason = self.states.get(step.step), self.reasons.get(step.step)
        matched = [m.message for m in self.moves.get(step.step, ()) if m.what in ("match", "refuse")]
        if step.unchecked is not None:
            state, reason = "unchecked", step.unchecked
            matched = [m for p in step.evidence for m in self.view.timeline.messages if self.matcher.pattern(p, m)][:1]
        elif step.forbidden and state is None:
            state, reason = "not_applicable", "did not happen, as it should be"
        elif state is None:
            behind = self._behind_the_failure(step)
            state, reason = "not_applicable", "not reached, after the failure" if behind else "does not apply here"
        elif state == "refused" and any(f.step == step.step and f.kind == "no-answer" for f in self.findings):
            state, reason = "missing", "no answer came before somebody gave up"
        kinds = " or ".join(step.messages)
        frames = tuple(dict.fromkeys(ref for m in matched for ref in m.frames))
        return StepResult(step.step, step.cite, state, step.title or kinds, frames,
                          matched[0].time if matched else None, reason, step.src or "", step.dst or "", kinds)

    def _behind_the_failure(self, step: Step) -> bool:
        stopped = {f.step for f in self.findings if f.severity == "error" and f.kind in STOPPING}
        return bool(stopped) and next(one.step for one in self.rule.steps() if one.step in stopped
                                      or one is step) in stopped
