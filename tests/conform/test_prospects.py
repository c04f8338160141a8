"""A rule is passed over only where its attempts could not begin."""

from pathlib import Path

import pytest
from literals import HNB, message, rule

from flowcheck.check import joined, key_ring
from flowcheck.conform import judge as judging
from flowcheck.conform.judge import judge
from flowcheck.conform.kinds import Kinds
from flowcheck.conform.prospects import may_begin, may_learn, needs_roles
from flowcheck.conform.signs import Shown
from flowcheck.observe.observation import observe
from flowcheck.rulebook.loader import load_rules
from flowcheck.rulebook.site import load_site

SAMPLES = Path(__file__).parents[2] / "samples"
SITE = load_site()
RULE = rule('''
attempt: {opens_at: [ask]}
roles:
  hnb: {kind: device}
  acs:
    kind: acs
    host: [$site.hosts.hms_initial, $device.acs]
    infer:
      - {message: cwmp.Inform, to: acs, where: [{field: boot, equals: 1}]}
      - {message: tls.client_hello, to: acs, before: {message: cwmp.Download, from: file}}
  file: {kind: file_server, infer: [{message: ftp.command, to: file}]}
  dns: {kind: dns_server}
facts: [{message: cwmp.Inform, from: hnb, where: [{field: off, equals: 1}], remember: {off: {value: true}}}]
steps:
  - {step: ask, cite: "1", message: dns.query, from: hnb, to: dns, where: [{field: qname, equals: $acs.name}]}
  - {step: connect, cite: "2", message: tcp.syn, from: hnb, to: acs}
  - {step: anybody, cite: "3", message: tcp.fin, from: hnb}
''')
SYN = message("tcp.syn", 1)


def begins(*messages, remembered=None):
    return may_begin(RULE, SITE, Shown(SITE, HNB, Kinds(messages)), remembered or {})


def test_something_has_to_be_known_of_the_hosts_that_the_step_names():
    assert not begins(SYN)
    assert begins(SYN, remembered={"acs": ("acs.example",)})
    assert begins(SYN, message("cwmp.Inform", 2, boot=1))
    assert not begins(SYN, message("cwmp.Inform", 2, boot=0))
    assert not begins(SYN, message("cwmp.Inform", 2, "acs", "hnb", boot=1))


def test_a_name_that_a_question_is_compared_with_is_one_of_them():
    query = message("dns.query", 1, dst="dns", qname="acs.example")
    assert not begins(query) and begins(query, message("cwmp.Inform", 2, boot=1))


def test_what_a_pattern_says_it_comes_before_has_to_be_there():
    hello, download = message("tls.client_hello", 1), message("cwmp.Download", 3, "acs", "hnb")
    assert not begins(SYN, hello) and not begins(SYN, hello, download)
    assert begins(SYN, hello, download, message("ftp.command", 4, dst="gw"))


def test_no_attempt_begins_with_a_step_that_leaves_an_end_open():
    assert not begins(message("tcp.fin", 1), message("cwmp.Inform", 2, boot=1))


def test_facts():
    def learns(*messages):
        return may_learn(RULE, SITE, Shown(SITE, HNB, Kinds(messages)), {})

    assert learns(message("cwmp.Inform", 1, off=1)) and not learns(message("cwmp.Inform", 1, off=0)) and not learns(SYN)
    assert not needs_roles(RULE)


@pytest.mark.parametrize("folder", sorted({path.parent for path in SAMPLES.glob("**/*.pcap")}, key=str)[::9],
                         ids=lambda folder: str(folder.relative_to(SAMPLES)))
def test_a_rule_passed_over_has_nothing_to_say(folder, monkeypatch):
    keys = [str(folder / "keys")] if (folder / "keys").exists() else []
    rules = load_rules()
    found = joined(observe([str(path) for path in sorted(folder.glob("*.pcap"))], key_ring(keys)), rules, SITE)
    told = [judge(rules, SITE, one) for one in found]
    monkeypatch.setattr(judging, "may_begin", lambda *asked: True)
    monkeypatch.setattr(judging, "may_learn", lambda *asked: True)
    assert told == [judge(rules, SITE, one) for one in found]
