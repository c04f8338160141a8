"""Which of two DNS servers an arrow of the ladder ends at."""

from dataclasses import replace

import pytest
from literals import HNB, message, rule, scope

from flowcheck.conform.matching import Matcher
from flowcheck.conform.parts import role_at

RULE = rule('''
attempt: {opens_at: [ask-out]}
steps:
  - {step: ask-out, cite: "1", message: dns.query, from: hnb, to: dns_outer}
  - {step: ask-in, cite: "2", message: dns.query, from: hnb, to: dns_inner}
roles:
  hnb: {kind: device}
  dns_inner: {kind: dns_server, path: tunnel, host: $site.hosts.dns_inner}
  dns_outer: {kind: dns_server, path: direct, host: $site.hosts.dns_outer}
''')
NO_TUNNEL = replace(HNB, outer=())
BOTH = {"dns_outer": "dns", "dns_inner": "10.50.0.53"}
PLAIN, SEALED = ("eth", "ip", "udp"), ("eth", "ip", "udp", "esp", "ip", "udp")


@pytest.mark.parametrize(("known", "device", "layers", "step", "role"), [
    (BOTH, NO_TUNNEL, PLAIN, None, "dns_outer"),               # its address says it, before any tunnel
    (BOTH, HNB, SEALED, "ask-in", "dns_outer"),                # and also where another one was to be asked
    ({}, NO_TUNNEL, PLAIN, "ask-out", "dns_outer"),            # no address is known: the step says it
    ({}, NO_TUNNEL, PLAIN, "ask-in", "dns_inner"),
    ({}, HNB, PLAIN, None, "dns_outer"), ({}, HNB, SEALED, None, "dns_inner"),     # no step either: the way it took
])
def test_a_dns_server_is_told_by_address_then_step_then_way(known, device, layers, step, role):
    query = message("dns.query", 1, "hnb", "dns", layers=layers)
    matcher = Matcher(RULE, scope(known, device))
    assert role_at(RULE, query.dst, query, matcher, {}, RULE.step(step) if step else None) == role
    assert role_at(RULE, query.src, query, matcher, {}, RULE.step(step) if step else None) == "hnb"
