"""The drafted rule as a rule file: what `draft.py` found, with the refusals and deadlines of its protocols."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import Message

TODO = "TODO"
DEVICE = "dut"  # the role of the device; `device` itself has a meaning of its own in the language
MOST_FIELDS = 6
SAFE = re.compile(r"[A-Za-z0-9_./$*-]+$")
TIMERS = {
    "dns": "dns",
    "ike": "ike",
    "cwmp": "cwmp",
    "http": "http",
    "json": "http",
    "sctp": "sctp",
    "tls": "tls",
    "hnbap": "registration",
    "s1ap": "registration",
    "coap": "coap",
    "diameter": "diameter",
}
REFUSALS = {
    "dns.response": "{message: dns.response, where: [{field: rcode, not: NOERROR}]}",
    "ike.sa_init.response": "{message: ike.sa_init.response, "
    "where: [{field: notify, in: [NO_PROPOSAL_CHOSEN, INVALID_SYNTAX]}]}",
    "ike.auth.response": "{message: ike.auth.response, where: [{field: notify, in: [AUTHENTICATION_FAILED, "
    "NO_PROPOSAL_CHOSEN, "
    "TS_UNACCEPTABLE, INTERNAL_ADDRESS_FAILURE]}]}",
    "tls.server_hello": "{message: tls.alert, where: [{field: level, equals: fatal}]}",
    "sctp.init_ack": "{message: sctp.abort}",
    "hnbap.HNBRegisterAccept": "{message: hnbap.HNBRegisterReject}",
    "s1ap.S1SetupResponse": "{message: s1ap.S1SetupFailure}",
    "http.response": "{message: http.response, where: [{field: status, at_least: 400}]}",
}


@dataclass(slots=True)
class Step:
    name: str
    message: Message
    src: str
    dst: str
    answers: str = ""
    where: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)  # fields it carries
    expect: list[str] = field(default_factory=list)  # other checks

    @property
    def shape(self) -> tuple:
        return self.message.kind, self.src, self.dst, tuple(self.where)


@dataclass(slots=True)
class Block:
    """A request with its answer, as often as it came in a row."""

    steps: list[Step]
    times: int = 1


def rule_text(
    procedure: str,
    captures: Sequence[str],
    site: str | None,
    keys: Sequence[str],
    hosts: Mapping[str, Sequence[str]],
    kinds: Mapping[str, str],
    blocks: list[Block],
) -> str:
    """The file; `hosts` and `kinds` are those of its roles."""
    lines = [
        f"procedure: {procedure}",
        f"title: {TODO}",
        f"spec: {{document: {TODO}, version: {TODO}, clause: {TODO}, status: described}}",
        f"describe: {TODO}, what the procedure is for",
        "",
        "roles:",
        f"  {DEVICE}: {{kind: device}}",
    ]
    played = {end for block in blocks for step in block.steps for end in (step.src, step.dst)}
    for name, kind in kinds.items():
        if name in played:
            lines.append(f"  {name}: {{kind: {kind}, host: {_listed(hosts[name])}}}")
    lines += ["", "attempt:", f"  opens_at: [{blocks[0].steps[0].name}]", "  quiet: $site.timers.quiet", "", "steps:"]
    number = 0
    for index, block in enumerate(blocks, 1):
        indent = "  "
        if block.times > 1:
            lines += [f"  - group: repeated-{index}", f"    repeat: {{max: {max(10, 2 * block.times)}}}", "    steps:"]
            indent = "      "
        for step in block.steps:
            number += 1
            lines += [indent + line for line in _step_lines(step, number)]
    lines += ["", "samples:", f"  - capture: {_listed(captures)}"]
    lines += (
        [f"    keys: {_listed(keys)}"] * bool(keys)
        + [f"    site: {scalar(site)}"] * bool(site)
        + ["    verdict: pass"]
    )
    return "\n".join(lines) + "\n"


def _listed(values: Sequence[str]) -> str:
    shown = [value if value.startswith("$site.") else scalar(value) for value in values]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _step_lines(step: Step, number: int) -> list[str]:
    message = step.message
    lines = [
        f"- step: {step.name}",
        f'  cite: "{number}"               # {TODO}: its number in the clause',
        f"  title: {TODO}",
        f"  message: {message.kind}",
        f"  from: {step.src}",
        f"  to: {step.dst}",
    ]
    layer = "ipsec" if "esp" in message.layers else "tls" if {"tls", "dtls"} & set(message.layers) else ""
    if layer:
        lines.append(f"  {'perhaps_inside' if step.answers else 'inside'}: {layer}")
    if step.where:
        lines.append(f"  where: [{', '.join(step.where)}]")
    if step.answers:
        lines.append(f"  answers: {step.answers}")
        timer = TIMERS.get(message.protocol)
        if timer:
            lines.append(f"  within: {{after: {step.answers}, seconds: $site.timers.{timer}, basis: engineering}}")
        refusal = REFUSALS.get(message.kind) or (
            f"{{message: cwmp.Fault, from: {step.src}}}" if message.protocol == "cwmp" else ""
        )
        if refusal and not (message.kind == "http.response" and (message.fields.get("status") or 0) >= 400):
            lines.append(f"  refused_by: {refusal}")
    present = [f"{{fields: [{', '.join(step.present[:MOST_FIELDS])}], present: true}}"] * bool(step.present)
    if present or step.expect:
        lines += ["  expect:", *(f"    - {check}" for check in (*present, *step.expect[:MOST_FIELDS]))]
    lines.append(f"  hint: {TODO}, what to look at when it goes wrong")
    return lines


def scalar(value: Any) -> str:
    text = str(value)
    return (
        text
        if SAFE.match(text) and not text.startswith(("$", "*")) and text.lower() not in ("true", "false", "null")
        else "'" + text.replace("'", "''").replace("$", "$$", text.startswith("$")) + "'"
    )
