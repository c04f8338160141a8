"""Site profiles: this lab's hosts, ports, timers and parameter names, above the built-in defaults (defaults.yaml).

Precedence, weakest first: default, site, vendor entry. A list in a site profile takes the place of the default list of
that name; a vendor's patterns are added to it, or take its place with `replace: true`, for devices whose Inform
matches.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import SiteError
from . import build, structure
from .mistakes import Mistakes
from .rule import Check, Host, Site, Vendor, Waiver
from .yamltree import List, Map, read

ROLES = ("dns_outer", "dns_inner", "segw_initial", "segw_serving", "hms_initial", "hms_serving", "file_server",
         "hnb_gw", "mme", "dns", "provisioning_function", "message_gateway", "vno", "icf", "pgw", "m2me", "drf", "dpf",
         "sho", "pva")
_SECTIONS = ("ports", "timers", "parameters", "fields", "bindings")


def load_site(path: str | Path | None = None) -> Site:
    """The profile in a file, or the defaults alone.

    Raises SiteError with every mistake, one `path:line:column: text` a line.
    """
    if path is None:
        return _site(_defaults(), "", "")
    try:
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise SiteError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SiteError(f"{path}:{content[:error.start].count(10) + 1}:1: not UTF-8 text") from error
    return _site(_checked(text, str(path)), str(path), hashlib.sha256(content).hexdigest())


def effective(site: Site, inform: Mapping[str, Any]) -> Site:
    """The profile for a device with this Inform: the patterns of every vendor entry that matches it filled in."""
    parameters = dict(site.parameters)
    for vendor in site.vendors:
        if holds(vendor.when, inform):
            for name, patterns in vendor.parameters.items():
                kept = () if vendor.replace else parameters.get(name, ())
                parameters[name] = tuple(dict.fromkeys((*kept, *patterns)))
    if parameters == site.parameters:
        return site
    return Site(site.name, site.hosts, site.same_entity, site.ports, site.timers, parameters, site.fields, site.vendors,
                site.waivers, site.capture_point, site.deprovisioned, site.path, site.digest, site.bindings)


def holds(check: Check, fields: Mapping[str, Any]) -> bool:
    """Is a vendor's `when` true of these fields? A field that is absent makes it false, `not` too."""
    value = field(fields, check.names[0])
    if value is None:
        return False
    if check.test == "matches":
        return re.search(check.value, str(value)) is not None
    wanted = check.value if check.test == "in" else (check.value,)
    return (str(value).strip() in {str(one) for one in wanted}) is not (check.test == "not")


def field(fields: Mapping[str, Any], name: str) -> Any:
    """`DeviceId.Manufacturer` out of fields that hold it flat or nested; None where it is absent."""
    if name in fields:
        return fields[name]
    first, dot, rest = name.partition(".")
    inner = fields.get(first)
    return field(inner, rest) if dot and isinstance(inner, Mapping) else None


def known_names(site: Site | None = None) -> dict[str, frozenset[str]]:
    """What `$site.<section>.<name>` may name: names of the defaults, the known roles, and what this profile adds."""
    site = site or load_site()
    names = {section: frozenset(getattr(site, section)) | _defaults().get(section, {}).keys() for section in _SECTIONS}
    names["hosts"] = frozenset(ROLES) | site.hosts.keys()
    names["deprovisioned"] = frozenset({"lifted_at"})
    return names


def origins(site: Site) -> dict[str, str]:
    """Where each value of the profile comes from: `timers.dns` -> `default` or `site.yaml:6`."""
    found = {f"{section}.{name}": "default" for section in _SECTIONS for name in _defaults().get(section, {})}
    if site.path:
        data = _checked(Path(site.path).read_text(encoding="utf-8-sig"), site.path)
        for section in (*_SECTIONS, "hosts"):
            for name, mark in getattr(data.get(section), "keys_at", {}).items():
                found[f"{section}.{name}"] = f"{site.path}:{mark[0]}"
    return found


@cache
def _defaults() -> Map:
    return _checked(Path(__file__).with_name("defaults.yaml").read_text(encoding="utf-8"), "defaults.yaml")


def _checked(text: str, path: str) -> Map:
    mistakes = Mistakes()
    data = read(text, path, mistakes)
    if data is None and not mistakes:
        data = Map((1, 1))                                       # an empty profile: the defaults
    if isinstance(data, Map):
        if structure.check(data, "site-schema.json", path, mistakes):
            _check_values(data, path, mistakes)
    elif not mistakes:
        mistakes.add(path, (1, 1), "a site profile is a mapping that begins with 'site:'")
    mistakes.raise_as(SiteError)
    return data


def _check_values(data: Map, path: str, mistakes: Mistakes) -> None:
    """What the schema cannot say: addresses, dates, regular expressions."""
    from ipaddress import ip_address

    def tried(parse: Any, value: str, mark: tuple[int, int], text: str) -> None:
        try:
            parse(value)
        except (ValueError, re.error):
            mistakes.add(path, mark, text)

    for role, host in data.get("hosts", {}).items():
        if role != "same_entity" and "addresses" in host:
            for address, mark in zip(host["addresses"], host["addresses"].items_at):
                tried(ip_address, address, mark,
                      f"host '{role}': '{address}' is no IPv4 or IPv6 address; a name belongs under 'names'")
    for name, expression in data.get("bindings", {}).items():
        tried(re.compile, expression, data["bindings"].keys_at[name],
              f"'{name}: {expression}' is not a regular expression")
    for vendor in data.get("vendors", ()):
        if "matches" in vendor["when"]:
            expression = vendor["when"]["matches"]
            tried(re.compile, expression, vendor["when"].keys_at["matches"],
                  f"'matches: {expression}' is not a regular expression")
    for waiver in data.get("waive", ()):
        if "until" in waiver:
            tried(_date, waiver["until"], waiver.keys_at["until"], f"'until: {waiver['until']}': there is no such day")
    if "deprovisioned" in data:
        lifted = data["deprovisioned"]
        tried(_date, lifted["lifted_at"], lifted.keys_at["lifted_at"],
              f"'lifted_at: {lifted['lifted_at']}': there is no such time")


def _date(text: str) -> None:
    from datetime import datetime
    datetime.fromisoformat(text)


def _site(data: Map, path: str, digest: str) -> Site:
    merged: dict[str, dict[str, Any]] = {
        section: {**_defaults().get(section, {}), **data.get(section, {})} for section in _SECTIONS}
    hosts = {role: Host(build.texts(host.get("names", host.get("name"))), tuple(host.get("addresses", ())))
             for role, host in data.get("hosts", {}).items() if role != "same_entity"}
    vendors = tuple(Vendor(build.check(vendor["when"], path), _lists(vendor["parameters"]),
                           vendor.get("replace", False))
                    for vendor in data.get("vendors", ()))
    return Site(
        name=data.get("site", Path(path).stem if path else "defaults"), hosts=hosts,
        same_entity=tuple(tuple(group) for group in data.get("hosts", {}).get("same_entity", ())),
        ports={name: tuple(ports) if isinstance(ports, List) else (ports,) for name, ports in merged["ports"].items()},
        timers={name: float(seconds) for name, seconds in merged["timers"].items()},
        parameters=_lists(merged["parameters"]), fields=_lists(merged["fields"]), vendors=vendors,
        waivers=tuple(Waiver(one["finding"], one["reason"], one.get("until")) for one in data.get("waive", ())),
        capture_point=data.get("capture_point"),
        deprovisioned=data.get("deprovisioned") and dict(data["deprovisioned"]),
        path=path, digest=digest, bindings=dict(merged["bindings"]))


def _lists(section: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: build.texts(values) for name, values in section.items()}
