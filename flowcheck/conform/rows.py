"""The condition `row`: a message reports an entry of a kind of which the rows of a remembered table all say the same.

The message's parameters and those of the table are taken together by what stands before their last part: the
entry `ExpeditedEvent.3.` and the row `SupportedAlarm.2.`. A row is about the entries that agree with it in the columns
`by`; one that is empty there, or `*`, is about all (TR-196 FaultMgmt.SupportedAlarm). Nothing is concluded of an entry
that happened before what the row says was known, nor where a row that may be about it says something else, or nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..rulebook.rule import Reference, Row
from .ages import moment
from .checks import equals
from .facts import Kept
from .fields import parameters
from .scope import Scope

ANY = frozenset(("", "*"))
TICK = 2_000_000_000       # ns: times in messages have whole seconds

_Rows = Mapping[str, Mapping[str, Any]]


def reported(row: Row, scope: Scope) -> bool:
    """Is there such an entry in the message that is asked of?"""
    table, message = scope.resolve(row.table, {}), scope.asking
    names = scope.resolve(row.parameters, {}) if isinstance(row.parameters, Reference) else row.parameters
    if message is None or not isinstance(table, Kept) or not isinstance(names, tuple):
        return False
    for entry in _rows(parameters(message.fields, names)).values():
        happened = moment(entry.get(row.since), message)
        about = {name: fits for name, one in _rows(table.by_name).items()
                 if (fits := _about(one, entry, row.by)) is not False}
        if happened is not None and any(about.values()) and all(
                _was_so(f"{name}.{row.column}", row, table, happened) for name in about):
            return True
    return False


def _was_so(column: str, row: Row, table: Kept, happened: int) -> bool:
    """Did this place of the table say so, and was that known when the entry happened?"""
    since = table.since.get(column)
    return since is not None and since + TICK < happened and equals(table.by_name.get(column), row.values)


def _rows(named: Mapping[str, Any]) -> _Rows:
    """The values by row and column."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in named.items():
        row, _, column = name.rpartition(".")
        found[row][column] = value
    return found


def _about(row: Mapping[str, Any], entry: Mapping[str, Any], by: tuple[str, ...]) -> bool | None:
    """Is the row about the entry? None where one of them does not say."""
    unknown = False
    for column in by:
        if column not in row or column not in entry:
            unknown = True
        elif str(row[column]).strip() not in ANY and not equals(row[column], entry[column]):
            return False
    return None if unknown else True
