import pytest

from flowcheck.errors import RuleError
from flowcheck.rulebook.lint import lint, samples_dir


@pytest.fixture
def remarks(broken, kinds, tmp_path):
    """`remarks(old, new)`: what lint says about the changed rule and does not say about the whole one."""
    (tmp_path / "samples").mkdir()

    def of(old, new):
        before, _ = broken("\n", "\n", "before.yaml")
        usual = {remark.text for remark in lint([before], kinds)}
        before.unlink()
        path, text = broken(old, new)
        return [(remark.severity, remark.text, text.splitlines()[remark.line - 1].strip())
                for remark in lint([path], kinds) if remark.text not in usual]
    return of


def one(found, severity, text, line):
    assert len(found) == 1 and found[0][0] == severity and text in found[0][1] and line in found[0][2], found


def test_unused_role(remarks):
    one(remarks("  hms_serving:  {kind: acs} ", "  spare: {kind: acs}\n  hms_serving:  {kind: acs} "),
        "warning", "role 'spare' takes no part in any step", "spare:")


def test_step_without_hint(remarks):
    one(remarks("        hint: The HNB rejected", "        # The HNB rejected"), "notice",
        "step 'values-set' has no hint", "step: values-set")


def test_answer_that_is_tied_to_nothing(remarks):
    found = remarks("        answers: ask-hms\n", "")
    one(found, "warning", "step 'hms-address' is an answer and does not say which step it 'answers'",
        "message: dns.response")


def test_answer_from_somebody_else(remarks):
    found = remarks("from: dns_outer\n", "from: dns_inner\n")
    assert ("warning",
            "step 'segw-address' goes from dns_inner to hnb, but the request it answers went from hnb to dns_outer",
            "answers: ask-segw") in found


def test_a_specifications_number_is_not_the_sites(remarks):
    one(remarks("seconds: $site.timers.dns, basis: engineering", "seconds: $site.timers.dns, basis: spec"),
        "warning", "'basis: spec' for '$site.timers.dns'", "within:")


def test_no_sample_of_a_verdict(remarks):
    found = remarks("verdict: fail, findings: [\"inform/field-absent:DeviceId.OUI\"]", "verdict: pass")
    assert found == []                            # one failing sample is left
    found = remarks("verdict: pass}\n  - {capture: ts32.583/5.1.1/pass-same-hms.pcap, verdict: pass}",
                    "verdict: inconclusive}\n  - {capture: ts32.583/5.1.1/pass-same-hms.pcap, verdict: inconclusive}")
    one(found, "warning", "no sample with 'verdict: pass'", "samples:")


def test_samples_that_are_not_there(discovery, kinds, tmp_path):
    directory = tmp_path / "rules" / "ts32.583"
    directory.mkdir(parents=True)
    rule = directory / "rule.yaml"
    rule.write_text(discovery.read_text())
    assert samples_dir(rule) == tmp_path / "samples"
    missing = [remark for remark in lint([rule], kinds) if remark.text.startswith("sample '")]
    assert len(missing) == 5 and {remark.severity for remark in missing} == {"error"}
    capture = tmp_path / "samples" / "ts32.583" / "5.1.1" / "pass.pcap"
    capture.parent.mkdir(parents=True)
    capture.write_bytes(b"")
    assert len([remark for remark in lint([rule], kinds) if remark.text.startswith("sample '")]) == 4
    rule.write_text(discovery.read_text().partition("\nsamples:")[0] + "\n")
    texts = [remark.text for remark in lint([rule], kinds)]
    assert "no sample with 'verdict: pass'" in texts and "no sample with 'verdict: fail'" in texts


@pytest.mark.parametrize("when, reason", [
    ("{equals: [a, b]}", "'a' never equals 'b'"),
    ("{seen: tunnel-released}", "step 'tunnel-released' comes later"),
    ("{all: [{is_name: hms_initial}, {equals: [1, 2]}]}", "1 never equals 2"),
])
def test_item_that_cannot_be_reached(remarks, when, reason):
    one(remarks("when: {is_name: hms_initial}", f"when: {when}"), "warning",
        f"'resolve-hms' can never be reached: {reason}", "when:")


@pytest.mark.parametrize("when", ["{any: [{is_name: hms_initial}, {equals: [1, 2]}]}", "{seen: ask-segw}",
                                  "{equals: [1, 1]}"])
def test_item_that_can_be_reached(remarks, when):
    assert remarks("when: {is_name: hms_initial}", f"when: {when}") == []


def test_branch_hidden_by_an_earlier_one(remarks):
    branch = "{{step: {}, cite: '3', message: tls.client_hello, from: hnb, to: hms_initial, optional: true}}"
    group = "  - group: choice\n    order: one_of\n    steps:\n"
    group += "".join(f"      - {branch.format(name)}\n" for name in ("one", "two"))
    one(remarks("  - group: secure-session\n", group + "  - group: secure-session\n"),
        "warning", "'two' can never be reached: 'one' before it waits for the same", "step: two")


@pytest.mark.parametrize("old, new, severity, text", [
    ("parameters: $site.parameters.location", "parameters: ['*.X_VENDOR_Place']", "warning",
     "is one vendor's parameter"),
    ("parameters: $site.parameters.location", "parameters: ['GPS.LockedLatitude']", "warning", "matches no parameter"),
    ("host: $site.hosts.hms_initial", "host: hms.lab.example", "notice", "names the host 'hms.lab.example'"),
    ("then: ts32.583-5.2.1", "then: ts32.583-9.9.9", "warning", "no rule describes this procedure"),
    ("        from: hnb\n        to: dns_outer\n", "        to: dns_outer\n", "notice",
     "step 'ask-segw' does not say from"),
    ("assigned: ParameterList", "allotted: ParameterList", "notice", "binds 'allotted', which nothing uses"),
    ("severity: notice, basis: engineering", "basis: engineering", "notice", "a check of ours is an error"),
])
def test_other_remarks(remarks, old, new, severity, text):
    found = remarks(old, new)
    assert any(have[0] == severity and text in have[1] for have in found), found


def test_mistakes_of_the_loader_are_errors(broken, kinds):
    path, _ = broken("message: dns.response", "message: dns.respnse")
    errors = [remark for remark in lint([path], kinds) if remark.severity == "error"]
    assert len(errors) == 1 and str(errors[0]).endswith("error: step 'segw-address': unknown message 'dns.respnse' "
                                                        "(did you mean "
                                                        "'dns.response'?)")


def test_a_path_that_is_not_there(kinds, tmp_path):
    with pytest.raises(RuleError):
        lint([tmp_path / "absent"], kinds)
