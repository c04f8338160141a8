"""What `bind` and `remember` take out of a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Message
from ..rulebook.rule import Binding, Reference
from .fields import ABSENT, document_values, listed, of_message, parameters, part_of
from .scope import Scope


def taken(binding: Binding, message: Message, scope: Scope, bound: Mapping[str, Any]) -> Any:
    """The value that a `bind` or `remember` takes out of a message, ABSENT if it is not there."""
    if binding.source == "value":
        return scope.resolve(binding.value, bound) if isinstance(binding.value, Reference) else binding.value
    if binding.source == "time":
        return message.time
    names = scope.resolve(binding.names, bound) if isinstance(binding.names, Reference) else binding.names
    if names is ABSENT:
        return ABSENT
    if binding.source == "json":
        values = [v for v in document_values(message, binding.names, scope.site) if v not in (None, "")]
    elif binding.source == "parameter":
        values = [v for v in parameters(message.fields, names).values() if v not in (None, "")]
    else:
        values = [v for name in names if (v := of_message(message, name)) is not ABSENT and v not in (None, "")]
        values = [x for v in values for x in listed(v)]
    if not values:
        return ABSENT
    if binding.take == "host":                 # some parameters list several hosts: S1SigLinkServerList
        values = [part for v in values for part in (v.split(",") if isinstance(v, str) and "://" not in v else (v,))]
    if not binding.take:
        return tuple(map(str, values))
    parts = tuple(part for v in values if (part := part_of(v, binding.take)))
    # a word that says neither is no outcome; attributes that are not changed say nothing
    return parts if parts or binding.take not in ("outcome", "Notification") else ABSENT


def parameter_values(binding: Binding, message: Message, scope: Scope) -> Any:
    """The parameters that a binding names, each with its value; ABSENT where the message has none of them."""
    names = scope.resolve(binding.names, {}) if isinstance(binding.names, Reference) else binding.names
    found = {} if names is ABSENT else parameters(message.fields, names)
    return {name: part_of(value, binding.take) if binding.take else value for name, value in found.items()} or ABSENT
