"""What a message holds: its fields, data-model parameters, document fields, and the parts of a value.

ABSENT is what a message does not hold; None is a value like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

from ..documents import find_field, find_named
from ..model import Message
from ..rulebook.patterns import any_matches
from ..rulebook.rule import Reference, Site

ABSENT = object()


def of_message(message: Message, name: str) -> Any:
    """A field of a message; besides the protocol's own there are `layers`, the CWMP `session`, and of either end the
    `address`, its `scope` and the `port`."""
    return reader(name)(message)


@lru_cache(maxsize=1024)
def reader(name: str) -> Callable[[Message], Any]:
    """What takes this field out of a message."""
    if name == "layers":
        return lambda message: list(message.layers)
    if name == "session":
        return lambda message: ABSENT if message.session is None else message.session
    end, _, part = name.partition(".")
    if end in ("src", "dst") and part in ("address", "port"):
        return attrgetter(name)
    if end in ("src", "dst") and part == "scope":
        return lambda message: address_scope((message.src if end == "src" else message.dst).address)
    return lambda message: get_field(message.fields, name)


@lru_cache(maxsize=4096)
def address_scope(address: str) -> str:
    """"private" for the addresses of RFC 1918, RFC 6598 and RFC 4193 and link-local ones, else "public"."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    return "private" if any(parsed in net for net in _PRIVATE if net.version == parsed.version) else "public"


_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
                                  "fc00::/7", "fe80::/10")))


def get_field(fields: Mapping[str, Any], name: str) -> Any:
    """A field by its dotted name: as a whole first, then step by step; lists give the list of what their items hold."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for part in _parts(name):
        if type(value) is dict or isinstance(value, Mapping):
            value = value.get(part, ABSENT)
        elif isinstance(value, (list, tuple)):
            value = [held for item in value if isinstance(item, Mapping) and part in item
                     for held in listed(item[part])] or ABSENT
        else:
            return ABSENT
        if value is ABSENT:
            return ABSENT
    return value


@lru_cache(maxsize=4096)
def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.split("."))


def parameters(fields: Mapping[str, Any], patterns: Iterable[str]) -> dict[str, Any]:
    """The entries of the message's ParameterList whose names match one of the patterns. Not to be changed."""
    listed = fields.get("ParameterList")
    return _named_by(tuple(patterns)).of(listed) if listed else {}


class _Names(dict[str, bool]):
    """Which names the patterns name. Devices of one kind name the same parameters, so the answers come again and again."""

    def __init__(self, patterns: tuple[str, ...]):
        self.patterns = patterns

        self._last: tuple[tuple[Any, dict[str, Any]], ...] = ()

    def of(self, listed: Any) -> dict[str, Any]:
        """The entries so named. Several rules ask the same of the same few messages."""
        for known, found in self._last:
            if known is listed:
                return found
        entries = listed
        if isinstance(listed, (list, tuple)):
            entries = {str(item.get("Name") if isinstance(item, Mapping) else item): item for item in listed}
        found = {name: value for name, value in entries.items() if self[name]} if isinstance(entries, Mapping) else {}
        self._last = (listed, found), *self._last[:3]
        return found

    def __missing__(self, name: str) -> bool:
        if len(self) >= _MOST_NAMES:
            self.clear()
        self[name] = answer = any_matches(self.patterns, name)
        return answer


_MOST_NAMES = 1 << 14
_named_by = lru_cache(maxsize=256)(_Names)


def partly_hidden(message: Message) -> bool:
    """Is some of the message out of sight, cut off by the capture or sealed? Then an absent field proves nothing."""
    fields = message.fields
    return message.incomplete or fields.get("decrypted") is False or bool(fields.get("encrypted"))


def document_values(message: Message, names: tuple[str, ...] | Reference, site: Site) -> list[Any]:
    """The values of a field of a JSON or XML document, by its meaning in the site profile or by its names."""
    body = message.fields.get("body")
    if body is None:
        return []
    if isinstance(names, Reference):
        return find_field(body, site.fields, names.path[-1])
    return find_named(body, site.fields, names)


def listed(value: Any) -> tuple[Any, ...]:
    """A list as it is, anything else as a list of one."""
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)


_SUCCESS = frozenset(("success", "successful", "succeeded", "ok", "true", "yes", "valid", "passed", "pass",
                      "positive", "accepted",
                      "approved", "authorized", "done", "completed", "provisioned"))


_FAILURE = frozenset(("failure", "failed", "fail", "nok", "false", "no", "invalid", "negative", "error",
                      "rejected", "refused",
                      "denied", "unauthorized"))


def part_of(value: Any, take: str) -> str:
    """Host, port or path of a URL; a bare host or host:port is understood too. Of a structure its member.

    `outcome` is "success" or "failure" where a status code (HTTP, SyncML) or a word says which.
    """
    if take == "outcome":
        word = str(value).strip().lower()
        code = int(word) if word.isdecimal() and len(word) == 3 else None
        if code is not None:
            return "success" if 200 <= code < 300 else "failure" if code >= 400 else ""
        return "success" if word in _SUCCESS else "failure" if word in _FAILURE else ""
    if isinstance(value, Mapping):
        unchanged = value.get(f"{take}Change") is False        # TR-069 A.3.2.4: what stands there is to be ignored
        return "" if unchanged else str(value.get(take, ""))
    text = str(value).strip()
    if take == "host" and text.count(":") > 1 and not {"[", "/"} & set(text):
        return text.lower()                    # a bare IPv6 address is no host:port
    try:
        parts = urlsplit(text if "//" in text else "//" + text)
        found = {"host": parts.hostname, "port": parts.port, "path": parts.path}.get(take)
    except ValueError:
        return ""
    return str(found).lower() if found not in (None, "") else ""
