"""How far a device's bring-up got: which procedures on the way to service have not been seen to pass.

A rule names what normally follows it (`then`). The chain counts from the procedure of it that the device tried last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..model import FAIL, PASS, AttemptResult
from ..rulebook.rule import Rule


def lacking(rules: Sequence[Rule], attempts: Sequence[AttemptResult]) -> tuple[str, ...]:
    """A line for each procedure that the device still lacks for service, in order; empty where it lacks none.

    `attempts` are those of one device in order of time.
    """
    book, chained = {rule.procedure: rule for rule in rules}, _chained(rules)
    last = next((attempt for attempt in reversed(attempts) if attempt.procedure in chained), None)
    if last is None:
        return ()
    following = (book[name] for name in _after(last.procedure, book))
    lines = [f"{rule.title} ({rule.clause}): nothing of it was seen" for rule in following]
    return tuple(lines if last.verdict == PASS else [_unfinished(last, book), *lines])


def chain(rules: Sequence[Rule]) -> tuple[tuple[str, str, str, tuple[str, ...]], ...]:
    """All that `lacking` takes from the rules: procedure, title, clause and what follows, of those in the chain."""
    chained = _chained(rules)
    return tuple((rule.procedure, rule.title, rule.clause, rule.then) for rule in rules if rule.procedure in chained)


def _chained(rules: Sequence[Rule]) -> frozenset[str]:
    return frozenset(name for rule in rules if rule.then for name in (rule.procedure, *rule.then))


def _after(procedure: str, book: dict[str, Rule]) -> Iterator[str]:
    """What follows a procedure, and what follows that, each once."""
    waiting, met = list(book[procedure].then) if procedure in book else [], {procedure}
    while waiting:
        name = waiting.pop(0)
        if name in book and name not in met:
            met.add(name)
            yield name
            waiting += book[name].then


def _unfinished(attempt: AttemptResult, book: dict[str, Rule]) -> str:
    clause = book[attempt.procedure].clause
    if attempt.verdict != FAIL:
        return f"{attempt.title} ({clause}): not decided"
    blamed = next((f for f in attempt.findings if f.code == attempt.cause), None)
    return f"{attempt.title} ({clause}): failed" + (f" at step {blamed.cite}" if blamed else "")
