import shutil
import time
import tomllib
from pathlib import Path

import pytest

from flowcheck.errors import RuleError
from flowcheck.rulebook import loader
from flowcheck.rulebook.rule import Binding, Check, Condition, Deadline, Group, Reference, Repeat
from flowcheck.rulebook.site import load_site

REPOSITORY = Path(__file__).resolve().parents[2]


def mistakes(path, kinds, **more):
    with pytest.raises(RuleError) as caught:
        loader.load_rules([path], kinds, **more)
    return str(caught.value).splitlines()


# --------------------------------------------------------------------------------------------- a rule without mistakes

def test_header_becomes_the_rule(discovery, kinds):
    rule = loader.load_rule(discovery, kinds)
    assert (rule.procedure, rule.citation, rule.status) == ("ts32.583-5.1.1", "3GPP TS 32.583 5.1.1", "mandatory")
    assert rule.describe.startswith("A powered-up HNB") and rule.then == ("ts32.583-5.2.1",)
    assert rule.path == str(discovery) and len(rule.digest) == 64
    assert [sample.verdict for sample in rule.samples] == ["pass", "pass", "fail", "fail", "inconclusive"]
    assert rule.samples[2].findings == ("inform/field-absent:DeviceId.OUI",)


def test_roles_and_attempt(discovery, kinds):
    rule = loader.load_rule(discovery, kinds)
    segw = rule.role("segw_initial")
    assert segw.hosts == (Reference(("site", "hosts", "segw_initial")), Reference(("device", "segw")))
    assert segw.title == "SeGW (initial)"
    assert segw.infer[0].before.messages == ("dns.query",) and segw.infer[0].before.dst == "dns_inner"
    assert segw.infer[1].name_from == "qname" and segw.infer[1].unless_known == ("hms_initial",)
    assert rule.attempt.opens_at == ("ask-segw", "sa-init") and rule.attempt.resumes_at == ("inform",)
    assert rule.attempt.quiet == Reference(("site", "timers", "quiet")) and rule.attempt.key == "id"
    assert rule.attempt.requires[0].messages == ("ike.sa_init.request", "dns.query")
    assert (rule.attempt.unless[0].src, rule.attempt.unless[0].dst) == ("hnb", "hms_serving")


def test_step_in_full(discovery, kinds):
    step = loader.load_rule(discovery, kinds).step("segw-address")
    assert (step.cite, step.messages, step.src, step.dst) == ("2.2", ("dns.response",), "dns_outer", "hnb")
    assert step.answers == "ask-segw" and step.bind == (Binding("segw_initial.address", "field", ("answers.address",)),)
    assert step.within == Deadline("ask-segw", Reference(("site", "timers", "dns")), "engineering")
    first, second = step.expect
    assert (first.target, first.names, first.test, first.value, first.severity) == ("field", ("rcode",), "equals",
                                                                                    "NOERROR", "error")
    assert first.hint.startswith("The outer DNS") and (second.test, second.value) == ("at_least", 1)
    assert discovery.read_text().splitlines()[step.place.line - 1].strip() == "- step: segw-address"


def test_extensions_of_a_step(discovery, kinds):
    rule = loader.load_rule(discovery, kinds)
    assert rule.step("ask-segw").title == "Query for the name of the SeGW"
    assert rule.step("ask-segw").repeat == Repeat(1, 5)
    assert rule.step("lan-up").unchecked.startswith("LAN attachment") and rule.step("lan-up").evidence[0].src == "hnb"
    one, other = rule.step("auth-answer").refused_by
    assert one.side == "device" and other.messages == ("ike.auth.response", "ike.delete") and other.hint
    assert rule.step("set-values").remember == (
        Binding("segw", "parameter", Reference(("site", "parameters", "segw_serving")), "host"),)
    assert rule.step("set-values").bind[2] == Binding("assigned", "field", ("ParameterList",))
    tool = rule.step("foreign-tool")
    assert (tool.wireshark, tool.perhaps_inside, tool.forbidden, tool.messages) == (
        "isakmp.notify.msgtype == 24", "tls", True, ("wireshark.isakmp.notify.msgtype == 24",))
    by_site = rule.step("inform").expect[3]
    assert by_site.value == Reference(("site", "bindings", "msgin5g_path")) and by_site.side == "device"
    assert rule.step("inform").expect[2].when == Condition("known", ("device.segw",),
                                                           rule.step("inform").expect[2].when.place)


def test_groups_and_conditions(discovery, kinds):
    rule = loader.load_rule(discovery, kinds)
    leave = next(item for item in rule.items if isinstance(item, Group) and item.group == "leave-initial")
    assert leave.order == "any" and leave.when.test == "all"
    different, some = leave.when.arguments
    assert different.test == "not" and different.arguments[0].arguments == ("hms_serving", "hms_initial")
    assert [part.test for part in some.arguments] == ["seen", "needs_lookup", "equals"]
    assert some.arguments[2].arguments == (Reference(("segw_initial", "name")), Reference(("segw_serving", "name")))
    assign = next(item for item in rule.items if isinstance(item, Group) and item.group == "assign")
    assert assign.repeat == Repeat(1, 10) and assign.expect[0].names == Reference(("site", "parameters",
                                                                                   "segw_serving"))
    assert len(list(rule.steps())) == 20


def test_a_dollar_in_a_regular_expression_is_its_end(broken, kinds):
    path, _ = broken('{field: qname, equals: $segw_initial.name}', '{field: qname, matches: "^a\\\\.b$"}')
    check: Check = loader.load_rule(path, kinds).step("ask-segw").where[0]
    assert (check.test, check.value) == ("matches", r"^a\.b$")


def test_two_dollars_write_one(broken, kinds):
    path, _ = broken("equals: NOERROR", "equals: $$NOERROR")
    assert loader.load_rule(path, kinds).step("segw-address").expect[0].value == "$NOERROR"


# --------------------------------------------------------------------------------------------- mistakes, one at a time
# What is changed, into what, where the complaint stands (the text that begins there), and what it says.

MISTAKES = {
    "unknown message": (
        "message: dns.response", "message: dns.respnse", "message: dns.respnse",
        "step 'segw-address': unknown message 'dns.respnse' (did you mean 'dns.response'?)"),
    "unknown protocol": (
        "message: tls.client_hello", "message: quic.initial", "message: quic.initial",
        "step 'client-hello': unknown message 'quic.initial'; no decoder makes it"),
    "unknown role": (
        "to: dns_outer\n", "to: dns_outr\n", "to: dns_outr",
        "step 'ask-segw': 'to: dns_outr': no such role (did you mean 'dns_outer'?); roles are hnb, dns_outer, "
        "segw_initial, "
        "dns_inner, hms_initial, hms_serving, segw_serving"),
    "misspelt required key": (
        "        message: dns.query\n        from", "        mesage: dns.query\n        from", "step: ask-segw",
        "step 'ask-segw' has no 'message' (and a key 'mesage' nobody reads)"),
    "no message at all": (
        "        message: dns.query\n        from", "        from", "step: ask-segw",
        "step 'ask-segw' needs one of message, wireshark, unchecked"),
    "misspelt optional key": (
        "hint: The HNB never", "hnt: The HNB never", "hnt: The HNB",
        "step 'ask-segw': unknown key 'hnt' (did you mean 'hint'?)"),
    "key from nowhere": (
        "optional: true  ", "colour: red\n    optional: true  ", "colour: red",
        "group 'secure-session': unknown key 'colour'; keys here are group, steps, order, optional, repeat, when, "
        "expect, forbidden, one_of_several, "
        "cite, hint"),
    "misspelt step": ("- step: lan-up", "- stp: lan-up", "stp: lan-up",
                      "an entry of 'steps' has no 'step' (and no 'group') (and a key 'stp' nobody reads)"),
    "section missing": ("describe: >", "descibe: >", "procedure: ",
                        "the file has no 'describe' (and a key 'descibe' nobody reads)"),
    "roles missing": ("\nroles:\n", "\nrols:\n", "procedure: ",
                      "the file has no 'roles' (and a key 'rols' nobody reads)"),
    "unknown answered step": (
        "answers: ask-segw", "answers: ask-sgw", "answers: ask-sgw",
        "step 'segw-address': 'answers: ask-sgw': no such step (did you mean 'ask-segw'?)"),
    "answer to a later step": (
        "answers: ask-segw", "answers: sa-init", "answers: sa-init",
        "step 'segw-address': 'answers: sa-init': that is not an earlier step"),
    "answer to an unchecked step": (
        "answers: ask-segw", "answers: lan-up", "answers: lan-up",
        "step 'segw-address': 'answers: lan-up': that step is unchecked and has no message"),
    "deadline after a later step": (
        "{after: ask-segw,", "{after: inform,", "after: inform,",
        "step 'segw-address': 'after: inform': that is not an earlier step"),
    "deadline without begin": (
        "{after: ask-segw, ", "{aftr: ask-segw, ", "{aftr",
        "step 'segw-address': 'within' has no 'after' (and a key 'aftr' nobody reads)"),
    "unknown timer": (
        "$site.timers.dns", "$site.timers.dsn", "seconds: $site.timers.dsn",
        "step 'segw-address': '$site.timers.dsn': no site profile default is called 'dsn' (did you mean 'dns'?)"),
    "not a timer": (
        "$site.timers.dns", "$site.ports.dns", "seconds: $site.ports.dns",
        "step 'segw-address': 'seconds: $site.ports.dns': write a number of seconds, or '$site.timers.x'"),
    "a deadline of nothing": (
        "seconds: $site.timers.dns", "seconds: 0", "seconds: 0",
        "step 'segw-address': 'seconds: 0': must be more than 0"),
    "unknown basis": (
        "basis: engineering", "basis: enginering", "basis: enginering",
        "step 'segw-address': 'basis: enginering': must be spec or engineering (did you mean 'engineering'?)"),
    "unknown opening step": (
        "opens_at: [ask-segw", "opens_at: [ask-seg", "ask-seg,",
        "attempt: 'opens_at: ask-seg': no such step (did you mean 'ask-segw'?)"),
    "opening at an unchecked step": (
        "resumes_at: [inform]", "resumes_at: [lan-up]", "lan-up]",
        "attempt: 'resumes_at: lan-up': an unchecked step has no message an attempt could begin with"),
    "unknown kind of role": (
        "kind: dns_server, path: direct", "kind: dns_sever, path: direct", "kind: dns_sever",
        "role 'dns_outer': 'kind: dns_sever': must be device, dns_server, ike_responder, acs, file_server, "
        "sctp_server or host "
        "(did you mean 'dns_server'?)"),
    "host from nowhere": (
        "host: $site.hosts.hms_initial", "host: $site.host.hms_initial", "host: $site.host.",
        "role 'hms_initial': 'host: $site.host.hms_initial': a host is '$site.hosts.x', '$device.x' or a name"),
    "unknown host": (
        "host: $site.hosts.hms_initial", "host: $site.hosts.hms_inital", "host: $site.hosts.hms_inital",
        "role 'hms_initial': '$site.hosts.hms_inital': no site profile default is called 'hms_inital' (did you mean "
        "'hms_initial'?)"),
    "nothing remembers it": (
        "$device.segw]", "$device.sgw]", "host: [$site.hosts.segw_initial, $device.sgw]",
        "role 'segw_initial': '$device.sgw': no step of any rule remembers it (did you mean 'segw'?)"),
    "unknown field": (
        "{field: qname, equals", "{field: qnme, equals", "field: qnme",
        "step 'ask-segw': 'field: qnme': dns.query has no such field (did you mean 'qname'?)"),
    "field of another message": (
        "{field: Status, in: [0, 1]}", "{field: DeviceId.OUI, present: true}", "field: DeviceId.OUI",
        "step 'values-set': 'field: DeviceId.OUI': cwmp.SetParameterValuesResponse has no such field; its fields are "
        "Status"),
    "unknown field in a list": (
        "DeviceId.SerialNumber]", "DeviceId.SerialNr]", "DeviceId.SerialNr]", None),
    "unknown reference": (
        "equals: $segw_initial.name", "equals: $segw_inital.name", "equals: $segw_inital.name",
        "step 'ask-segw': '$segw_inital.name': no step binds it, and it is no role "
        "(did you mean 'segw_initial.name'?)"),
    "used before it is bound": (
        "equals: $segw_initial.name", "equals: $hms_serving.name", "equals: $hms_serving.name",
        "step 'ask-segw': '$hms_serving.name' is used before it is bound: step 'set-values' binds it later"),
    "never bound": (
        "equals: $hms_initial.name", "equals: $segw_serving.address", "equals: $segw_serving.address",
        "step 'ask-hms': '$segw_serving.address' is used before it is bound: no step binds it, and its role has no "
        "'host' and "
        "no 'infer'"),
    "a role for a value": (
        "equals: $hms_initial.name", "equals: $hms_initial", "equals: $hms_initial",
        "step 'ask-hms': '$hms_initial' is a role; write one of its attributes, such as '$hms_initial.address'"),
    "binding a role that is not there": (
        "hms_serving.name: {", "hms_servin.name: {", "hms_servin.name: {",
        "step 'set-values': 'bind: hms_servin.name': no such role (did you mean 'hms_serving'?); roles are hnb, "
        "dns_outer, "
        "segw_initial, dns_inner, hms_initial, hms_serving, segw_serving"),
    "unknown part of a URL": (
        "take: host", "take: hst", "take: hst",
        "step 'set-values': 'take: hst': must be host, port, path, Notification or outcome (did you mean 'host'?)"),
    "unknown section of the site profile": (
        "$site.bindings.msgin5g_path", "$sites.bindings.x(", "matches: $sites",
        "step 'inform': 'matches: $sites.bindings.x(' is not a regular expression: missing ), unterminated subpattern "
        "at "
        "position 17"),
    "a host for a value": (
        "equals: $hms_initial.name", "equals: $site.hosts.hms_initial", "equals: $site.hosts",
        "step 'ask-hms': '$site.hosts.hms_initial' is a host; write '$site.hosts.hms_initial.names' or "
        "'$site.hosts.hms_initial.addresses'"),
    "part of a host that is not there": (
        "equals: $hms_initial.name", "equals: $site.hosts.hms_initial.address", "equals: $site.hosts",
        "step 'ask-hms': '$site.hosts.hms_initial.address': '$site.hosts.hms_initial' has 'names' and 'addresses' "
        "inside"),
    "part of a list of names": (
        "parameters: $site.parameters.location", "fields: $site.fields.result.first", "fields: $site.fields", None),
    "unknown parameters": (
        "parameters: $site.parameters.location", "parameters: $site.parameters.locaton",
        "parameters: $site.parameters.locaton",
        "step 'inform': '$site.parameters.locaton': no site profile default is called 'locaton' (did you mean "
        "'location'?)"),
    "a name where a list belongs": (
        "parameters: $site.parameters.location", "parameters: Device.X", "parameters: Device.X",
        "step 'inform': 'parameters: Device.X': write a list, [a, b], or '$site.parameters.x' or '$site.fields.x'"),
    "fields for parameters": (
        "parameters: $site.parameters.location", "parameters: $site.fields.result", "parameters: $site.fields.result",
        "step 'inform': 'parameters: $site.fields.result': names come from '$site.parameters.x' or stand here"),
    "reference in a list of names": (
        "parameters: $site.parameters.location", "parameters: [$site.parameters.location]",
        "$site.parameters.location]",
        "step 'inform': '$site.parameters.location': a list of names cannot hold a reference; give it a name of its "
        "own in the "
        "site profile"),
    "unquoted pattern": (
        "parameters: $site.parameters.location", "parameters: *.Location", ".Location",
        "a value that begins with '*' must be in quotes"),
    "two tests": (
        "        present: true\n", "        present: true\n        equals: 1\n", "equals: 1",
        "step 'inform': 'present' and 'equals' exclude each other"),
    "no test": (
        "{field: rcode, equals: NOERROR}", "{field: rcode}", "{field: rcode}",
        "step 'hms-address': an entry of 'expect' needs one of present, equals, in, matches, not, at_least, at_most, "
        "certifies, no_older_than, unique"),
    "no target": (
        "{field: rcode, equals: NOERROR}", "{equals: NOERROR}", "{equals: NOERROR}",
        "step 'hms-address': an entry of 'expect' needs one of field, fields, parameter, parameters, json"),
    "not a regular expression": (
        "{field: Status, in: [0, 1]}", '{field: Status, matches: "(0"}', 'matches: "(0"',
        "step 'values-set': 'matches: (0' is not a regular expression: missing ), unterminated subpattern at position "
        "0"),
    "one value for a list": (
        "{field: Status, in: [0, 1]}", "{field: Status, in: 0}", "in: 0",
        "step 'values-set': 'in' must be a list, not '0'"),
    "min above max": (
        "repeat: {max: 5}", "repeat: {min: 6, max: 5}", "repeat: {min",
        "step 'ask-segw': 'repeat': min 6 is more than max 5"),
    "a number for a repeat": (
        "repeat: {max: 3}", "repeat: 3", "repeat: 3", "group 'sa-init-rounds': 'repeat' must be a mapping, not '3'"),
    "yes is a word": (
        "optional: true  ", "optional: yes  ", "optional: yes",
        "group 'secure-session': 'optional' must be true or false, not 'yes'"),
    "a number for a cite": (
        'cite: "2.4"', "cite: 2.4", "cite: 2.4", "step 'ask-hms': 'cite: 2.4' is read as a number: put it in quotes"),
    "a cite left out": (
        'cite: "2.4"', 'cite: "2.3"', 'cite: "2.5"',
        "step 'hms-address': the cites skip '2.4': '2.3' is followed by '2.5'; a step of the clause that a capture "
        "cannot show "
        "is written as 'unchecked'"),
    "unknown condition": (
        "when: {is_name: segw", "when: {is_nam: segw", "is_nam: segw",
        "group 'resolve-segw': unknown key 'is_nam' (did you mean 'is_name'?)"),
    "condition about no role": (
        "{is_name: segw_initial}", "{is_name: segw}", "is_name: segw}", None),
    "two conditions in one": (
        "{is_name: hms_initial}", "{is_name: hms_initial, seen: inform}", "seen: inform}",
        "group 'resolve-hms': 'when' holds one test, this one has 2: is_name, seen; join them with 'all' or 'any'"),
    "condition on half a pair": (
        "[hms_serving, hms_initial]", "[hms_serving]", "same_host: [hms_serving]",
        "group 'leave-initial': 'same_host' has 1 entry, needs exactly 2"),
    "condition on no step": (
        "{seen: set-values}", "{seen: set-vals}", "seen: set-vals",
        "group 'leave-initial': 'seen: set-vals': no such step (did you mean 'set-values'?)"),
    "condition on nothing known": (
        "{known: device.segw}", "{known: assignd}", "known: assignd",
        "step 'inform': 'known: assignd': neither a role nor a bound name (did you mean 'assigned'?); roles are hnb, "
        "dns_outer, "
        "segw_initial, dns_inner, hms_initial, hms_serving, segw_serving"),
    "a name given twice": (
        "- group: reads", "- group: assign", "group: assign\n    repeat: {max: 10}",
        "the name 'assign' is given to two steps or groups; names are unique in a file"),
    "a key given twice": (
        "describe: >", "title: again\ndescribe: >", "title: again",
        "'title' is given twice; the first stands in line 3"),
    "unchecked with a message": (
        "message: cwmp.session_end", "unchecked: unseen\n        message: cwmp.session_end",
        "message: cwmp.session_end",
        "step 'session-released': 'unchecked' and 'message' exclude each other"),
    "wireshark with a message": (
        "        wireshark: isakmp", "        message: dns.query\n        wireshark: isakmp", "wireshark: isakmp",
        "step 'foreign-tool': 'wireshark' and 'message' exclude each other"),
    "forbidden and optional": (
        "        forbidden: true", "        forbidden: true\n        optional: true", "optional: true\n\nthen",
        "step 'foreign-tool': 'forbidden' and 'optional' exclude each other"),
    "an unknown finding": (
        "field-absent:DeviceId.OUI", "field-absnt:DeviceId.OUI", '"inform/field-absnt',
        "samples: 'inform/field-absnt:DeviceId.OUI': no such kind of finding (did you mean 'field-absent'?)"),
    "a finding of no step": (
        "inform/field-absent", "infrm/field-absent", '"infrm/field-absent',
        "samples: 'findings: infrm': no such step (did you mean 'inform'?)"),
    "unknown verdict": (
        "verdict: inconclusive", "verdict: unsure", "verdict: unsure",
        "'verdict: unsure': must be pass, fail or inconclusive"),
    "an unquoted colon": (
        "hint: The outer DNS", "hint: Attention: the outer DNS", ": the outer DNS",
        "not YAML: a second ': ' on the line; put the text after the first one in quotes"),
    "inference from no role": (
        "unless_known: hms_initial", "unless_known: hms", "unless_known: hms}", None),
    "inference by an unknown field": (
        "name_from: qname", "name_from: name", "name_from: name",
        "role 'segw_initial': 'name_from: name': dns.query has no such field (did you mean 'qname'?)"),
    "a capital in a step's name": (
        "- step: lan-up", "- step: LAN-up", "step: LAN-up",
        "step 'LAN-up': 'step: LAN-up': a name of a step or group has small letters, digits and '-'"),
    "an empty key": ("title: HNB-GW discovery via HMS (initial) on the MNO Intranet", "title:", "title:\n",
                     "'title' is empty, needs a text"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_reported_at_its_place(name, broken, kinds):
    old, new, at, says = MISTAKES[name]
    path, text = broken(old, new)
    lines = mistakes(path, kinds)
    before = text[:text.index(at)]
    place = f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: "
    assert [line for line in lines if line.startswith(place)], f"expected {place}\n" + "\n".join(lines)
    if says is not None:
        assert lines == [place + says]


def test_any_order_of_seven(broken, kinds):
    more = "".join(f"      - {{step: more-{n}, cite: '8', message: cwmp.Inform, from: hnb, to: hms_initial}}\n"
                   for n in range(4))
    path, _ = broken("      - step: foreign-tool", more + "      - step: foreign-tool")
    line, = mistakes(path, kinds)
    assert "group 'leave-initial': 'order: any' over 7 items; at most 6 can be tried" in line


def test_all_mistakes_of_all_files_at_once(broken, kinds, tmp_path):
    one, _ = broken("message: dns.response", "message: dns.respnse", "one.yaml")
    one.write_text(one.read_text().replace("to: dns_outer", "to: dns_oter"))
    two, _ = broken("basis: engineering", "basis: mine", "two.yaml")
    (tmp_path / "three.yaml").write_text("- a list\n")
    lines = mistakes(tmp_path, kinds)
    assert [Path(line.split(":")[0]).name for line in lines] == ["one.yaml", "one.yaml", "three.yaml", "two.yaml"]


def test_one_procedure_in_two_files(broken, kinds, tmp_path):
    broken("\n", "\n", "a.yaml")
    broken("\n", "\n", "b.yaml")
    line, = mistakes(tmp_path, kinds)
    assert "b.yaml:2:1: procedure 'ts32.583-5.1.1' is described in" in line


@pytest.mark.parametrize("content, says", [
    (b"", "a rule file is a mapping that begins with 'procedure:'"),
    (b"- 1\n", "a rule file is a mapping that begins with 'procedure:'"),
    (b"\xff\xfe\x00", "not UTF-8 text"),
    (b"procedure: [", "not YAML"),
    (b"a: &x 1\nb: *x\n", "YAML alias"),
    (b"[" * 3000, "levels deep"),
    (b"a: " + b"x" * (1 << 20), "larger than"),
])
def test_what_is_no_rule_file(content, says, tmp_path, kinds):
    path = tmp_path / "rule.yaml"
    path.write_bytes(content)
    assert says in mistakes(path, kinds)[0]


def test_paths_that_name_nothing(tmp_path, kinds):
    assert "no such file or directory" in mistakes(tmp_path / "absent.yaml", kinds)[0]
    assert "no rule files" in mistakes(tmp_path, kinds)[0]


def test_names_a_site_adds_are_known(broken, kinds, tmp_path):
    profile = tmp_path / "site.yml"
    profile.write_text("parameters: {our_own: ['*.X']}\n")
    path, _ = broken("$site.parameters.location", "$site.parameters.our_own")
    assert "'our_own'" in mistakes(path, kinds)[0]
    assert loader.load_rule(path, kinds, site=load_site(profile)).step("inform")


def test_kinds_too_many_to_list(broken, kinds):
    path, _ = broken("{message: cwmp.Fault}", "{message: http.response, where: [{field: status, at_least: 400}]}")
    assert loader.load_rule(path, kinds).step("inform-accepted").refused_by[0].messages == ("http.response",)


def test_loading_seventeen_rules_is_cheap(discovery, kinds, tmp_path):
    for number in range(17):
        text = discovery.read_text().replace("procedure: ts32.583-5.1.1", f"procedure: rule-{number}")
        (tmp_path / f"{number}.yaml").write_text(text)
    loader.load_rules([tmp_path], kinds)
    begin = time.process_time()
    assert len(loader.load_rules([tmp_path], kinds)) == 17
    assert time.process_time() - begin < 0.5            # some 0.05 s; ten times that for a slow machine


# ------------------------------------------------------------------------------------------------- the rules that ship

def test_default_rules_of_a_source_checkout():
    assert loader.default_rules_dir() == REPOSITORY / "rules"


def test_default_rules_of_an_installed_wheel(tmp_path, monkeypatch):
    package = tmp_path / "flowcheck"
    (package / "rules").mkdir(parents=True)
    (package / "rulebook").mkdir()
    shutil.copy(loader.__file__, package / "rulebook" / "loader.py")
    monkeypatch.setattr(loader, "__file__", str(package / "rulebook" / "loader.py"))
    assert loader.default_rules_dir() == package / "rules"
    (package / "rules").rmdir()
    with pytest.raises(RuleError, match="--rules"):
        loader.default_rules_dir()


def test_the_wheel_holds_every_package_and_the_rules():
    setuptools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {".".join(file.parent.relative_to(REPOSITORY).parts)
                for file in (REPOSITORY / "flowcheck").rglob("__init__.py")}
    assert set(setuptools["packages"]) == packages | {"flowcheck.rules"}
    assert setuptools["package-dir"]["flowcheck.rules"] == "rules"
    assert "**/*.yaml" in setuptools["package-data"]["flowcheck.rules"]
