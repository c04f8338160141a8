"""`flowcheck rules new`: a rule drafted from a capture of a good run.

Of the device that says most, every request and answer becomes a step, the hosts become roles, and what the messages
carry becomes what they are expected to carry. What no capture tells is left to be filled in and marked: the clause, the
number of each step in it, titles and hints.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..check import judged, key_ring
from ..decode import kinds
from ..errors import CaptureError, FlowcheckError
from ..model import Message, Timeline, worst
from ..observe.observation import Observation, observe
from ..rulebook.loader import load_rule
from ..rulebook.patterns import any_matches
from ..rulebook.rule import Site
from ..rulebook.site import load_site
from ..session import lookups
from ..session.timeline import timelines
from .draft_text import DEVICE, Block, Step, rule_text, scalar

# Protocols whose messages are means, not steps; of the others what is listed.
MEANS = frozenset(("tcp", "arp", "icmp", "dhcp", "dhcpv6", "esp"))
ONLY = {
    "tls": ("tls.client_hello", "tls.server_hello"),
    "sctp": ("sctp.init", "sctp.init_ack"),
    "ike": ("ike.sa_init.request", "ike.sa_init.response", "ike.auth.request", "ike.auth.response"),
}
ROLE_KINDS = {
    "cwmp": "acs",
    "ike": "ike_responder",
    "dns": "dns_server",
    "ftp": "file_server",
    "ssh": "file_server",
    "sctp": "sctp_server",
    "hnbap": "sctp_server",
    "s1ap": "sctp_server",
}
# Fields that differ from run to run, or say nothing of the content.
PASSING = frozenset(
    (
        "id",
        "message_id",
        "length",
        "spi_i",
        "spi_r",
        "nonce",
        "random",
        "session_id",
        "sequence",
        "headers",
        "body",
        "body_length",
        "content_length",
        "ParameterList",
        "session_events",
        "CurrentTime",
        "RetryCount",
        "text",
        "version",
        "exchange",
        "payloads",
        "notifies",
        "notify",
        "proposals",
        "cwmp_version",
        "MaxEnvelopes",
        "Event",
        "legacy_version",
        "extensions",
        "cipher_suites",
        "pdu",
        "procedure_code",
    )
)
MEANINGLESS = ("any",)  # meanings of parameters that every parameter has


def draft(captures: Sequence[str], procedure: str = "draft", site: str | None = None, keys: Sequence[str] = ()) -> str:
    """The text of a rule file that judges the captures `pass`; where it does not, the file says so at its top.

    Raises CaptureError where nothing in them can be a step.
    """
    profile = load_site(site)
    observation = observe(list(captures), key_ring(list(keys)) if keys else None)
    timeline = _device_of(observation, profile)
    roles = _Roles(timeline, profile)
    blocks = _blocks(timeline, roles, profile)
    if not blocks:
        raise CaptureError("no message of a device in these captures can be a step of a rule")
    text = rule_text(procedure, captures, site, keys, roles.hosts, roles.kinds, blocks)
    return _remark(text, observation, profile) + text


def _device_of(observation: Observation, site: Site) -> Timeline:
    found = timelines(
        observation.messages,
        observation.opaque,
        observation.gaps,
        observation.window,
        observation.taps,
        site.fields,
        site.bindings,
    )
    known = [t for t in found if t.device.id != "unknown"] or found
    if not known:
        raise CaptureError("no device in these captures")
    return max(known, key=lambda t: len(t.messages))


class _Roles:
    """Names for the hosts: those of the site profile, else by what they serve."""

    def __init__(self, timeline: Timeline, site: Site):
        self.device, self.site, self.messages = timeline.device, site, timeline.messages
        self.names = lookups.names_by_address(timeline.messages)
        self.of: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.hosts: dict[str, list[str]] = {}

    def name(self, address: str) -> str:
        if address in self.device.addresses:
            return DEVICE
        if address not in self.of:
            known = next(
                (
                    role
                    for role, host in self.site.hosts.items()
                    if address in host.addresses or set(host.names) & self.names.get(address, set())
                ),
                None,
            )
            spoken = {m.protocol for m in self.messages if address in (m.src.address, m.dst.address)}
            kind = next((kind for protocol, kind in ROLE_KINDS.items() if protocol in spoken), "host")
            count = sum(k == kind for k in self.kinds.values())
            name = known or (kind if not count else f"{kind}_{count + 1}")
            self.of[address] = name
            self.kinds.setdefault(name, kind)
            self.hosts.setdefault(
                name, [f"$site.hosts.{known}"] if known else sorted(self.names.get(address, ())) or [address]
            )
        return self.of[address]

    def named(self, name: str) -> str | None:
        """The role that a DNS name is of."""
        address = next((a for a, names in self.names.items() if name.lower().rstrip(".") in names), None)
        return self.of.get(address) if address is not None else None


def _blocks(timeline: Timeline, roles: _Roles, site: Site) -> list[Block]:
    carriers = {(m.stream, m.exchange) for m in timeline.messages if m.protocol in ("cwmp", "json", "xml")}
    folded = lookups.fold(timeline.messages)
    vain = {m.answers for m in folded if m.kind == "dns.response" and not m.fields.get("answers.address")}
    messages = [
        m
        for m in folded
        if _is_step(m)
        and not (m.protocol == "dns" and {m.transaction, m.answers} & vain - {None})
        and not (m.protocol == "http" and (m.stream, m.exchange) in carriers)
    ]
    for message in messages:  # all hosts, before a question can name one that is met later
        for address in (message.src.address, message.dst.address):
            roles.name(address)
    blocks: list[Block] = []
    of_transaction: dict[int, Step] = {}
    used: dict[str, int] = {}
    for message in messages:
        request = of_transaction.get(message.answers) if message.answers is not None else None
        step = Step(
            _step_name(message, used),
            message,
            roles.name(message.src.address),
            roles.name(message.dst.address),
            request.name if request else "",
        )
        _describe(step, roles, site)
        if message.transaction is not None and request is None:
            of_transaction[message.transaction] = step
        if request is not None and blocks[-1].steps[0] is request:
            blocks[-1].steps.append(step)
        else:
            blocks.append(Block([step]))
    return _merged(blocks)


def _is_step(message: Message) -> bool:
    protocol = message.protocol
    if protocol in MEANS or message.kind not in ONLY.get(protocol, (message.kind,)) or message.kind not in kinds():
        return False
    if protocol == "http" and message.session is not None or message.kind in ("cwmp.empty", "cwmp.malformed"):
        return False
    return not (message.kind == "cwmp.session_end" and message.fields.get("complete") is not True)


def _merged(blocks: list[Block]) -> list[Block]:
    """Blocks of the same shape in a row become one that repeats; answers that come later are to the first then."""
    merged: list[Block] = []
    renamed: dict[str, str] = {}
    for block in blocks:
        for step in block.steps:
            step.answers = renamed.get(step.answers, step.answers)
        if merged and [s.shape for s in merged[-1].steps] == [s.shape for s in block.steps]:
            merged[-1].times += 1
            for again, first in zip(block.steps, merged[-1].steps):
                renamed[again.name] = first.name  # and only what holds each time is expected
                first.present = [name for name in first.present if name in again.present]
                first.expect = [check for check in first.expect if check in again.expect]
        else:
            merged.append(block)
    return merged


def _step_name(message: Message, used: dict[str, int]) -> str:
    words = re.sub(
        r"(?<=[a-z0-9])(?=[A-Z])", "-", message.kind.partition(".")[2] if message.protocol == "cwmp" else message.kind
    )
    name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    used[name] = used.get(name, 0) + 1
    return name if used[name] == 1 else f"{name}-{used[name]}"


def _describe(step: Step, roles: _Roles, site: Site) -> None:
    """What identifies the message, and what it carries."""
    message, fields = step.message, step.message.fields
    if message.kind == "dns.query":
        role = roles.named(str(fields.get("qname")))
        step.where.append(f"{{field: qname, equals: {f'${role}.name' if role else scalar(fields.get('qname'))}}}")
    elif message.kind == "dns.response":
        if fields.get("answers.address"):
            step.expect.append("{field: answers.address, at_least: 1}")
    elif message.kind in ("http.request", "json.request"):
        step.where += [
            f"{{field: {name}, equals: {scalar(fields[name])}}}" for name in ("method", "path") if fields.get(name)
        ]
    elif message.kind in ("http.response", "json.response") and fields.get("status"):
        step.expect.append(f"{{field: status, equals: {scalar(fields.get('status'))}}}")
    elif message.kind == "cwmp.SetParameterValuesResponse":
        step.expect.append("{field: Status, in: [0, 1]}")
    elif message.kind == "cwmp.session_end":
        step.where.append("{field: complete, equals: true}")
    else:
        step.present = [name for name in kinds()[message.kind] if name not in PASSING and _tells(fields.get(name))]
    held = fields.get("ParameterList")
    if isinstance(held, dict) and held and message.kind != "cwmp.GetParameterValues":
        meanings = [
            name
            for name, patterns in site.parameters.items()
            if name not in MEANINGLESS and any(any_matches(patterns, p) and held[p] not in (None, "") for p in held)
        ]
        step.expect += [f"{{parameters: $site.parameters.{name}, at_least: 1}}" for name in meanings]


def _tells(value: Any) -> bool:
    return value not in (None, "", [], {}, ()) and not isinstance(value, (bool, dict))


def _remark(text: str, observation: Observation, site: Site) -> str:
    """What is wrong with the draft, as a comment; empty where it loads and judges its own capture `pass`."""
    with tempfile.TemporaryDirectory(prefix="flowcheck-draft-") as folder:
        path = Path(folder) / "draft.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            rule = load_rule(path, site=site)
        except FlowcheckError as error:
            return "".join(f"# {line.replace(str(path), 'draft')}\n" for line in str(error).splitlines())
        result = judged(observation, [rule], site)
    attempts = [a for device in result.devices for a in device.attempts]
    verdict = worst(a.verdict for a in attempts)
    if verdict == "pass":
        return ""
    told = next((a.diagnosis for a in attempts if a.verdict == verdict), "no attempt of it is found")
    several = "# The capture holds several runs; draft from one of them alone.\n" if len(attempts) > 1 else ""
    return f"# This draft judges its own capture {verdict or 'not at all'}: {told}\n{several}"
