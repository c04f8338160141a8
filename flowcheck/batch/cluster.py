"""The same work on a Dask cluster: tasks go out, outcomes come back into the same ledger.

Every task is one observation and is sent again when its worker is lost. Workers have to see the captures under the same
paths or URLs; reports and indexes come back with the outcome, so the archive's directory need not be shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any
from uuid import uuid4

from ..errors import UsageError
from .inputs import Asked
from .work import Piece, Settings, failure, worker

AHEAD = 8                  # observations sent out for each thread of the cluster
RETRIES = 3                # lost workers that one observation may cost before it is given up


def run(address: str, settings: Settings, work: Iterable[Piece]) -> Iterator[tuple[Asked, dict[str, Any]]]:
    """Outcomes as they come. Raises UsageError where the scheduler does not answer."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise UsageError("--dask needs `pip install 'flowcheck[cluster]'`") from None
    try:
        client = Client(address, timeout=20, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"--dask {address}: no scheduler answers: {error}") from None
    worker(settings)                                     # mistakes in rules are told here, not by every worker
    settings = replace(settings, folder=None)
    todo = iter(work)
    with client:
        given: dict[Any, Asked] = {}
        tries: Counter[str] = Counter()           # by name
        run_id, numbers = uuid4().hex, count()

        def send(most: int) -> list[Any]:
            futures = []
            for asked, *_ in islice(todo, most):
                future = client.submit(_task, settings, asked, retries=RETRIES,
                                       key=f"flowcheck-{run_id}-{next(numbers)}")
                given[future] = asked
                futures.append(future)
            return futures
        running = as_completed(send(AHEAD * max(1, sum(client.nthreads().values()))), loop=client.loop)
        for future in running:
            asked = given.pop(future)
            if future.status == "finished":
                outcome = future.result()
            elif tries[asked.name] < RETRIES:                 # it went with its worker, or its result did: asked for again
                tries[asked.name] += 1
                again = client.submit(_task, settings, asked, retries=RETRIES,
                                      key=f"flowcheck-{run_id}-{next(numbers)}")
                given[again] = asked
                running.add(again)
                continue
            else:
                outcome = failure(asked, "crashed", f"lost on the cluster: {future.exception()}", settings.recipe, 0.0)
            for following in send(1):
                running.add(following)
            yield asked, outcome


def _task(settings: Settings, asked: Asked) -> dict[str, Any]:
    """Runs on the cluster; rules are read once per process."""
    return worker(settings).run(asked)
