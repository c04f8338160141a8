"""Which part a host plays at one end of a message, and the sentences that name it by that part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..model import Endpoint, Message
from ..rulebook.rule import Role, Rule, Step
from . import phrases
from .matching import Matcher


def role_at(rule: Rule, end: Any, message: Message, matcher: Matcher, bound: Mapping[str, Any],
            step: Step | None = None) -> str:
    """The name of the role, else the address. `step` is the one that the message was matched with."""
    other = message.dst if end is message.src else message.src
    for role in _device_last(rule):
        if role.kind != "dns_server" and matcher.plays(role.name, end, other, bound) is True:
            return role.name
        if role.kind == "dns_server":
            server = _dns_server(rule, end, message, matcher, bound, step)
            if server:
                return server
    return end.address


@lru_cache(maxsize=64)
def _device_last(rule: Rule) -> tuple[Role, ...]:
    """A radio network speaks for the device from hosts of its own, and then either end may be the device's."""
    return tuple(sorted(rule.roles, key=lambda role: role.kind == "device"))


def _dns_server(rule: Rule, end: Any, message: Message, matcher: Matcher, bound: Mapping[str, Any],
                step: Step | None) -> str | None:
    """Which of the rule's DNS servers it is: by its address, else by its part in the step, else by the message's way."""
    servers = [role for role in rule.roles if role.kind == "dns_server"]
    found = [role for role in servers if end.address in matcher.scope.host(role.name, bound).addresses]
    if not found and not (message.protocol == "dns" and end.port == 53):
        return None
    if len(found) == 1:
        return found[0].name
    named = [role for role in found or servers if step is not None and role.name in (step.src, step.dst)]
    outer = {message.src.address, message.dst.address} & set(matcher.scope.device.outer)
    path = "tunnel" if "esp" in message.layers or not outer else "direct"
    return next((role.name for role in named or found or servers if named or role.path in (None, path)), None)


def title(rule: Rule, role: str | None) -> str:
    """`SeGW (initial)`; empty for what is no role."""
    declared = rule.role(role) if role else None
    return (declared.title or declared.name.upper()) if declared is not None else ""


def device_title(rule: Rule) -> str:
    return next((title(rule, role.name) for role in rule.roles if role.kind == "device"), "device")


@dataclass(frozen=True, slots=True)
class Parts:
    """The cast of one attempt: `the HNB`, `SeGW (initial) 203.0.113.10`."""

    rule: Rule
    matcher: Matcher
    bound: Mapping[str, Any]

    @property
    def device(self) -> str:
        return f"the {device_title(self.rule)}"

    def who(self, end: Endpoint, message: Message) -> str:
        """The host at one end of a message; its address alone where it plays no part."""
        if end.address in self.matcher.scope.device.addresses:
            return self.device
        role = role_at(self.rule, end, message, self.matcher, self.bound)
        return self.device if self._is_device(role) else f"{title(self.rule, role)} {end.address}".strip()

    def called(self, end: Endpoint) -> str:
        """The part alone, by the address: `HNB`, `SeGW (initial)`; the address of a host that plays none."""
        if end.address in self.matcher.scope.device.addresses:
            return device_title(self.rule)
        return next((title(self.rule, role.name) for role in self.rule.roles if role.kind != "device"
                     and end.address in self.matcher.scope.host(role.name, self.bound).addresses), end.address)

    def at(self, role: str | None) -> str:
        """The host of a role, with its address where one is known; empty for no role."""
        if not role:
            return ""
        if self._is_device(role):
            return self.device
        addresses = sorted(self.matcher.scope.host(role, self.bound).addresses)
        return title(self.rule, role) + (f" {addresses[0]}" if len(addresses) == 1 else "")

    def playing(self, role: str | None, end: Endpoint, message: Message) -> str:
        """The host at this end, in the part that a step gives it."""
        if not role:
            return self.who(end, message)
        return self.device if self._is_device(role) else f"{title(self.rule, role)} {end.address}"

    def way(self, message: Message) -> str:
        """`the DNS query for hms.example (A) from the HNB to DNS (outer) 192.0.2.53`."""
        return f"{phrases.request(message)} from {self.who(message.src, message)} to {self.who(message.dst, message)}"

    def in_vain(self, step: Step, request: Message) -> str:
        """Who did not answer what."""
        again = f", sent {request.repeats + 1} times" if request.repeats else ""
        return f"{self.playing(step.src, request.dst, request)} did not answer {phrases.request(request)}{again}"

    def recast(self, text: str, message: Message | None = None) -> str:
        """Words of stages that know a device and an ACS only, with the titles of the rule."""
        text = text.replace("the device", self.device)
        ends = (message.src, message.dst) if message is not None else ()
        acs = next((end for end in ends if end.address not in self.matcher.scope.device.addresses), None)
        return text.replace("the ACS", self.who(acs, message)) if acs is not None else text

    def needed(self, step: Step, refusal: Message | None) -> str:
        """The one message that would have let the procedure go on."""
        if not step.messages:
            return ""
        good = phrases.accepting(refusal.kind) if refusal is not None and refusal.kind in step.messages else ""
        sender = self.at(step.src)
        return f"{phrases.article(phrases.names(step.messages))}{good}{f' from {sender}' if sender else ''}"

    def _is_device(self, role: str) -> bool:
        declared = self.rule.role(role)
        return declared is not None and declared.kind == "device"
