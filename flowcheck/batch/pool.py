"""Worker processes that stay alive over many observations, each within a limit of time and of memory.

A worker that dies or overruns its time costs the observation in its hands and is replaced. Workers are forked where the
system can, so that rules and modules are loaded once for all of them.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import Any

from .inputs import Asked
from .work import Piece, Settings, Worker, failure, worker

# by every worker: loaded once, before the fork
_NEEDED = ("..check", "..report.as_html", "lxml.etree", "msgpack", "zstandard")
_CLEAN_EVERY = 64          # observations between two looks for cyclic garbage


class Pool:
    """`limit_seconds` is for one observation, `limit_memory` in octets of address space beyond what a fresh worker has."""

    def __init__(self, settings: Settings, jobs: int, limit_seconds: float, limit_memory: int):
        self.settings, self.limit_seconds, self.limit_memory = settings, limit_seconds, limit_memory
        self._context = multiprocessing.get_context("fork"
                                                    if "fork" in multiprocessing.get_all_start_methods() else "spawn")
        self._worker = worker(settings)                  # before the fork: mistakes in rules are told once, here
        for module in _NEEDED:
            if find_spec(module, __package__):
                import_module(module, __package__)
        gc.collect()
        gc.freeze()
        self._jobs = jobs
        self._members: dict[Connection, _Member] = {}

    def run(self, work: Iterable[Piece]) -> Iterator[tuple[Asked, dict[str, Any]]]:
        """Outcomes as they come. Closing the generator, or an exception in it, ends all workers."""
        todo = iter(work)
        try:
            for _ in range(self._jobs):
                if not self._give(self._hire(), todo):
                    break
            while any(member.asked for member in self._members.values()):
                yield from self._look(todo)
        finally:
            self.close()

    def close(self) -> None:
        for member in list(self._members.values()):
            self._dismiss(member)

    # ---------------------------------------------------------------------------------------------- inside

    def _hire(self) -> _Member:
        ours, theirs = self._context.Pipe()
        inherited = [*self._members, ours]
        ready = self._worker if self._context.get_start_method() == "fork" else None
        process = self._context.Process(target=_serve, args=(theirs, inherited if ready else [],
                                                             ready or self.settings, self.limit_memory),
                                        daemon=True)
        process.start()
        theirs.close()
        member = self._members[ours] = _Member(process, ours)
        return member

    def _give(self, member: _Member, todo: Iterator[Piece]) -> bool:
        """The next piece of work for this worker; False, and the worker goes home, where there is none."""
        piece = next(todo, None)
        if piece is None:
            self._dismiss(member)
            return False
        member.asked, member.since = piece[0], monotonic()
        try:
            member.pipe.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass                                         # it died idle: _look sees the end of the pipe and says so
        return True

    def _look(self, todo: Iterator[Piece]) -> Iterator[tuple[Asked, dict[str, Any]]]:
        busy = [member for member in self._members.values() if member.asked]
        left = min(member.since for member in busy) + self.limit_seconds - monotonic()
        for pipe in wait([member.pipe for member in busy], timeout=max(0.0, min(left, 1.0))):
            member = self._members[pipe]
            asked = member.asked
            try:
                outcome = pipe.recv()
            except (EOFError, ConnectionResetError):
                outcome = self._died(member)
                member = self._hire()
            member.asked = None
            self._give(member, todo)
            yield asked, outcome
        for member in [m for m in self._members.values() if m.asked and monotonic() - m.since > self.limit_seconds]:
            asked, took = member.asked, monotonic() - member.since
            self._dismiss(member, at_once=True)
            self._give(self._hire(), todo)
            yield asked, failure(asked, "timeout", f"not finished after {self.limit_seconds:g} s (--timeout)",
                                 self.settings.recipe, took)

    def _died(self, member: _Member) -> dict[str, Any]:
        member.process.join(5)
        code = member.process.exitcode
        why = f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with status {code}"
        hint = "; the system may have run out of memory" if code == -signal.SIGKILL else ""
        asked, took = member.asked, monotonic() - member.since
        self._dismiss(member)
        return failure(asked, "crashed", f"the process reading it was {why}{hint}", self.settings.recipe, took)

    def _dismiss(self, member: _Member, at_once: bool = False) -> None:
        self._members.pop(member.pipe, None)
        if at_once or member.asked:
            member.process.kill()
        member.pipe.close()
        member.process.join()


class _Member:
    __slots__ = ("process", "pipe", "asked", "since")

    def __init__(self, process: Any, pipe: Connection):
        self.process, self.pipe, self.since = process, pipe, 0.0
        self.asked: Asked | None = None


def _serve(pipe: Connection, inherited: list[Connection], given: Worker | Settings, limit_memory: int) -> None:
    """A worker's life: takes observations until the pipe ends, which it also does when the run was killed."""
    for other in inherited:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)         # Ctrl-C is the run's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    one = given if isinstance(given, Worker) else worker(given)
    if limit_memory:
        _limit(limit_memory)
    sys.stdin = None
    gc.disable()                                         # results are freed by reference counts; cycles are rare
    done = 0
    try:
        while True:
            outcome = one.run(*pipe.recv())
            done += 1
            if not done % _CLEAN_EVERY or outcome["seconds"] > 1:
                gc.collect()
            pipe.send(outcome)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _limit(octets: int) -> None:
    """Lets the process grow by this much; what needs more raises MemoryError, which becomes the row's reason."""
    try:
        import resource
        with open("/proc/self/statm", encoding="ascii") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return                                           # not this system: the limit of time remains
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = held + octets
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


Runner = Callable[[Iterable[Piece]], Iterator[tuple[Asked, dict[str, Any]]]]
