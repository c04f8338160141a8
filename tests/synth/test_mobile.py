"""Runs of MCIM provisioning and of others with a choice of messages: Wireshark reads them, and no view of them errs."""

import shutil
import subprocess

import pytest

from flowcheck.check import judged, key_ring
from flowcheck.observe.observation import observe
from flowcheck.rulebook.loader import load_rules
from flowcheck.rulebook.site import load_site
from flowcheck.synth.choices import Choice, kind_of, variants
from flowcheck.synth.mutants import mutants
from flowcheck.synth.plan import plan
from flowcheck.synth.score import is_found, judge, said, write
from flowcheck.synth.stage import play

BOOK = load_rules()
RULES = {rule.procedure: rule for rule in BOOK}
MCIM, MSGIN5G, UPLOAD, DOWNLOAD = "tr33.812-5.1.3.7.3.x", "tr23.700-24-6.x.1.3", "ts32.583-5.6.2", "ts32.583-5.3.1"
RUNS = (  # rule, variant, what Wireshark calls the protocols of it
    (MCIM, "", {"NAS-EPS", "DIAMETER", "GTPv2", "HTTP/JSON", "S1AP"}),
    (MCIM, "with gmm", {"RANAP", "DIAMETER"}),
    (MCIM, "with map", {"GSM MAP", "M3UA (RFC 4666)"}),
    (MCIM, "with gtp", {"GTP"}),
    (MCIM, "with coap", {"CoAP"}),
    (MSGIN5G, "with coap", {"CoAP/JSON"}),
    (DOWNLOAD, "by-sftp", {"SSHv2"}),
)


@pytest.mark.parametrize("procedure, variant, protocols", RUNS)
def test_wireshark_reads_every_protocol(procedure, variant, protocols, tmp_path):
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    folder = write(play(plan(RULES[procedure], variant)), tmp_path)
    command = ["tshark", "-r", str(folder / "capture.pcap"), "-d", "tcp.port==7547,http", "-T", "fields",
               "-e", "_ws.col.Protocol", "-e", "_ws.expert.message"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    seen = {part for line in out.splitlines() for part in (line.split("\t")[0], *line.split("\t")[0].split("/"))}
    assert protocols <= seen, protocols - seen
    # without keys Wireshark takes some sealed SSH packets for malformed ones
    assert not any("Malformed" in line for line in out.splitlines() if not line.startswith("SSHv2"))


def test_every_message_that_a_step_may_be_is_sent_in_some_run():
    for procedure in (MCIM, MSGIN5G):
        rule = RULES[procedure]
        sent = {(act.step, act.kind) for variant in variants(rule) for act in plan(rule, variant).acts}
        wanted = {(step.step, kind) for step in rule.steps() if not step.forbidden for kind in step.messages}
        # who asks in JSON is answered in JSON: one more way for each kind of document is enough
        assert wanted - sent == set()


def test_an_answer_is_of_the_kind_that_its_request_calls_for():
    step = RULES["ts32.583-5.2.1"].step("read-answer")
    run = plan(RULES["ts32.583-5.2.1"], "with cwmp.GetParameterNames")
    assert next(act.kind for act in run.acts if act.step == "read-answer") == "cwmp.GetParameterNamesResponse"
    assert kind_of(step, Choice()) == step.messages[0]


def test_a_condition_on_a_value_gives_a_run_in_which_it_is_said(tmp_path):
    run = plan(RULES[MCIM], "with validation = failure")
    steps = [act.step for act in run.acts]
    assert steps[-1] == "validation-result" and run.acts[-1].content["body"]["result"] == "failure"
    wrong = [mutant for mutant in mutants(run) if mutant.kinds == {"forbidden"}]
    assert {name for mutant in wrong for name in mutant.steps} == {"object-all-the-same", "download-all-the-same"}
    for mutant in wrong:
        assert is_found(mutant, judge(play(run, 1, mutant.acts), RULES[MCIM], BOOK, tmp_path / "run")), mutant.name


def test_what_runs_inside_ssh_settles_nothing(tmp_path):
    run = plan(RULES[UPLOAD], "by-sftp")
    assert run.verdict == "inconclusive" and [act.step for act in run.acts if act.sealed] == ["sftp-file"]
    attempt, = judge(play(run), RULES[UPLOAD], BOOK, tmp_path / "run")
    assert attempt.verdict == "inconclusive" and not attempt.findings


@pytest.mark.parametrize("with_keys", (True, False))
@pytest.mark.parametrize("with_profile", (True, False))
def test_less_knowledge_makes_no_verdict_wrong(with_keys, with_profile, tmp_path):
    """Each rule's conforming run without its keys or its profile: nothing fails."""
    nothing = tmp_path / "nothing.yaml"
    nothing.write_text("site: nothing\n")
    for rule in BOOK:
        capture = play(plan(rule))
        folder = write(capture, tmp_path / "run")
        keys = key_ring([str(folder / "keys")]) if capture.keys and with_keys else None
        profile = load_site(folder / "site.yaml" if with_profile else nothing)
        result = judged(observe([str(folder / "capture.pcap")], keys), BOOK, profile)
        attempts = [a for device in result.devices for a in device.attempts if a.procedure == rule.procedure]
        assert "fail" not in {a.verdict for a in attempts}, (rule.procedure, said(attempts))


@pytest.mark.parametrize("procedure", ("ts32.583-5.1.1", MCIM))
def test_no_mutant_passes_without_a_profile(procedure, tmp_path):
    nothing = tmp_path / "nothing.yaml"
    nothing.write_text("site: nothing\n")
    run = plan(RULES[procedure])
    for mutant in mutants(run):
        if mutant.severity != "error":
            continue
        capture = play(run, 1, mutant.acts)
        folder = write(capture, tmp_path / "run")
        keys = key_ring([str(folder / "keys")]) if capture.keys else None
        result = judged(observe([str(folder / "capture.pcap")], keys), BOOK, load_site(nothing))
        attempts = [a for device in result.devices for a in device.attempts if a.procedure == procedure]
        assert not attempts or {a.verdict for a in attempts} != {"pass"}, mutant.name
