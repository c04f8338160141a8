"""What in an observation is somebody's: addresses, names, serial numbers, subscribers, credentials.

Found by what the decoders call it and by its form. Only what was decoded is known; sealed traffic is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from ..model import Message, Result
from ..report import mask
from .pseudonyms import ADDRESS, BASIC, IMSI, MAC, NAME, WORD, Pseudonyms

_NAMES = frozenset(("qname", "sni", "host", "id_i", "id_r", "subject_cn", "san", "cname", "hostname", "realm",
                    "origin_host", "destination_host", "origin_realm", "destination_realm", "server_name", "host_name",
                    "domain_name"))
_WORDS = ("serialnumber", "serial", "privateid", "privateidentity", "imei", "imeisv", "msisdn", "username", "userid",
          "hnbid", "hnbidentity", "enbid", "ueid", "deviceid", "connectionrequestusername", "tmsi", "ptmsi", "guti",
          "mtmsi", "nai", "identity", "clientid", "endpointname", "ueserviceid", "msgin5gueid")
_SUBSCRIBERS = ("imsi", "pcid", "supi")
_WHAT = ("manufacturer", "oui", "product_class")                    # of an identity: says what, not whose

_HOST_IN_URL = re.compile(r"://(?:[^/@\s\"'<>]*@)?([A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?)")
_USER_IN_URL = re.compile(r"://([^/@:\s\"'<>]+)(?::([^/@\s\"'<>]*))?@")
_AFTER_AT = re.compile(r"([A-Za-z0-9._-]{1,64})@([A-Za-z0-9][A-Za-z0-9.-]{1,250}\.[A-Za-z]{2,24})")
_HOST = re.compile(r"(?=.{4,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}\.?$")
_MAC = re.compile(r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$")
_QUOTED = re.compile(r'(username|response|cnonce|nonce|opaque)="?([^",]+)')
_NOT_HOSTS = re.compile(r"(?:Internet(?:Gateway)?Device|Device|X_[0-9A-F]{6}[\w-]*)\."
                        r"|.*\.(?:xml|csv|gz|zip|tar|bin|cfg|txt|json|log)$", re.I)
_SIZE = re.compile(r"\d+ octets")                                   # what decoders say in place of a key
_DEEPEST = 12


def gather(pseudonyms: Pseudonyms, messages: Iterable[Message], result: Result, site: Any = None) -> None:
    """Tells `pseudonyms` all that is somebody's in the messages, the result and the site profile."""
    for device in result.devices:
        pseudonyms.keep(*(value for key, value in device.identity.items() if key in _WHAT))
    for device in result.devices:
        for address in device.addresses:
            pseudonyms.add(ADDRESS, address)
        for key, value in device.identity.items():
            if key not in _WHAT:
                _value(pseudonyms, key, value, "", 0, True)
                _short_name(pseudonyms, value)
    for message in messages:
        for end in (message.src, message.dst):
            pseudonyms.add(MAC if _MAC.match(end.address) else ADDRESS, end.address)
        for key, value in message.fields.items():
            _value(pseudonyms, str(key), value, message.kind, 0)
    for host in getattr(site, "hosts", {}).values() if site is not None else ():
        for name in host.names:
            pseudonyms.add(NAME, name)
        for address in host.addresses:
            pseudonyms.add(ADDRESS, address)


def _short_name(pseudonyms: Pseudonyms, name: str) -> None:
    """Sentences call a device by the first label of its name (TS 23.003 28.2: `<OUI>-<serial>.hnb.femto...`)."""
    label, _, rest = name.partition(".")
    if rest and any(character.isdigit() for character in label):
        pseudonyms.add(WORD, label)


def _value(pseudonyms: Pseudonyms, key: str, value: Any, kind: str, depth: int, whose: bool = False) -> None:
    if depth > _DEEPEST or value is None or isinstance(value, (bool, float)):
        return
    if isinstance(value, Mapping):
        named = value.get("name", value.get("Name"))
        for inner, content in value.items():
            if str(inner) in ("value", "Value") and isinstance(named, str):
                inner = named                              # {"name": .., "value": ..} is one named value
            _value(pseudonyms, str(inner), content, kind, depth + 1)
        return
    if isinstance(value, (tuple, list, set, frozenset)):
        pair = len(value) == 2 and isinstance(value, (tuple, list)) and all(isinstance(part, str) for part in value)
        if pair and key.endswith("headers"):
            _value(pseudonyms, value[0], value[1], kind, depth + 1)
        else:
            for item in value:
                _value(pseudonyms, key, item, kind, depth + 1)
        return
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("latin-1")
    _text(pseudonyms, re.sub(r"[^a-z0-9]", "", key.rpartition(".")[2].lower()), key.lower(), str(value), kind, whose)


def _text(pseudonyms: Pseudonyms, plain: str, key: str, text: str, kind: str, whose: bool) -> None:
    for host in _HOST_IN_URL.findall(text):
        _host(pseudonyms, host)
    for user, password in _USER_IN_URL.findall(text):
        for word in (user, password):
            pseudonyms.add(WORD, word)
    for user, host in _AFTER_AT.findall(text):
        pseudonyms.add(IMSI if user.isdigit() and len(user) in (14, 15) else WORD, user)
        pseudonyms.add(NAME, host)
    for _, credential in mask.IN_QUERY.findall(text):
        pseudonyms.add(WORD, credential)
    if len(text) > 512 or _SIZE.fullmatch(text):
        return
    if plain in _SUBSCRIBERS and text.isdigit():
        pseudonyms.add(IMSI, text)
    elif plain in ("authorization", "proxyauthorization"):
        scheme, _, rest = text.partition(" ")
        if scheme.lower() == "basic":
            pseudonyms.add(BASIC, rest)
        else:
            for _, quoted in _QUOTED.findall(rest):
                pseudonyms.add(WORD, quoted)
    elif mask._is_secret(key) or kind == "ftp.command" and plain == "argument":
        if not text.startswith("/") and plain not in ("authenticationinfo",):
            pseudonyms.add(WORD, text)
    elif _MAC.fullmatch(text):
        pseudonyms.add(MAC, text)
    elif plain in _WORDS or whose:
        pseudonyms.add(NAME if _HOST.match(text) else IMSI if text.isdigit() and len(text) in (14, 15) else WORD, text)
    elif key in _NAMES or _HOST.match(text) and not _NOT_HOSTS.match(text) and text.count(".") >= 2:
        _host(pseudonyms, text)
    else:
        try:
            pseudonyms.add(ADDRESS, str(ip_address(text)))
        except ValueError:
            pass                                           # a value of another kind


def _host(pseudonyms: Pseudonyms, text: str) -> None:
    """A host by name or address, with or without its port."""
    host = text.rpartition(":")[0] if text.count(":") == 1 else text
    try:
        pseudonyms.add(ADDRESS, str(ip_address(host.strip("[]"))))
    except ValueError:
        if "." in host:
            pseudonyms.add(NAME, host)
