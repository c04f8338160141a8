"""Rules drafted from good captures load, judge their own capture pass, and see what is missing in another."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowcheck.check import judged, key_ring
from flowcheck.errors import CaptureError
from flowcheck.observe.observation import observe
from flowcheck.rulebook.loader import load_rule, load_rules
from flowcheck.rulebook.site import load_site
from flowcheck.synth.draft import draft
from flowcheck.synth.mutants import mutants
from flowcheck.synth.plan import plan
from flowcheck.synth.score import write
from flowcheck.synth.stage import play

SAMPLES = Path(__file__).parents[2] / "samples"
GOOD = ("ts32.583/5.1.1/pass", "ts32.583/5.1.2/pass", "ts32.583/5.2.1/pass", "ts32.583/5.1.1/pass-ipv6")


def files(folder: Path) -> tuple[list[str], list[str], str]:
    return [str(p) for p in sorted(folder.glob("*.pcap*"))], [str(folder / "keys")], str(folder / "site.yaml")


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("with_site", (True, False))
def test_a_draft_loads_and_judges_its_capture_pass(name, with_site, tmp_path):
    captures, keys, site = files(SAMPLES / name)
    text = draft(captures, "drafted", site if with_site else None, keys)
    assert text.startswith("procedure: drafted\n")  # no remark before it: it loads and passes
    path = tmp_path / "drafted.yaml"
    path.write_text(text)
    rule = load_rule(path)
    assert rule.samples[0].verdict == "pass" and rule.samples[0].captures == tuple(captures)
    assert {"device", "dns_server"} <= {role.kind for role in rule.roles}
    assert all(step.cite for step in rule.steps())


def test_a_draft_finds_what_is_wrong_in_another_capture(tmp_path):
    original = next(r for r in load_rules() if r.procedure == "ts32.583-5.1.1")
    run = plan(original)
    good = write(play(run), tmp_path / "good")
    captures, keys, site = files(good)
    path = tmp_path / "drafted.yaml"
    path.write_text(draft(captures, "drafted", site, keys))
    rule = load_rule(path)
    for name, code in (
        ("values-set: refused by cwmp.Fault", "set-parameter-values-response/refused"),
        ("inform: DeviceId.OUI absent", "inform/field-absent"),
        ("hms-address: no answer", "dns-response-2/no-answer"),
    ):
        mutant = next(m for m in mutants(run) if m.name == name)
        bad = write(play(run, 1, mutant.acts), tmp_path / "bad")
        captures, keys, site = files(bad)
        result = judged(observe(captures, key_ring(keys)), [rule], load_site(site))
        codes = [f.code for d in result.devices for a in d.attempts for f in a.findings]
        assert any(code in c for c in codes), (name, codes)


def test_nothing_to_draft_from(tmp_path):
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000065000000"))
    with pytest.raises(CaptureError, match="no device"):
        draft([str(empty)])
