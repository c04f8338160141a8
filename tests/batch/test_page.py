"""The page over a batch: what it tells, that it runs nothing of a capture's, and that it can be filtered and sorted."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from flowcheck.batch import rows, tables
from flowcheck.batch.page import page
from flowcheck.batch.tables import harmless

CAUSE = "ts32.583-5.1.1/segw-address/refused:NXDOMAIN"
EVIL = "<img src=x onerror=alert(1)>\x1b[31m\udce9"
COLUMNS = {"captures": (*rows.CAPTURES, "site"), "attempts": rows.ATTEMPTS, "findings": rows.FINDINGS, "steps": rows.STEPS}


def capture(path, verdict="fail", site="north"):
    return [path, "00", 100, 7, 1_700_000_000 * 10**9, 1_700_000_060 * 10**9, "done", "", "good", verdict, site]


def attempt(path, verdict="fail", cause=CAUSE, group="#1", version="1.0", started=1_700_000_000):
    return [path, f"device of {path}", *[""] * 10, version, "ts32.583-5.1.1", verdict, started * 10**9, started * 10**9,
            cause if verdict == "fail" else None, "network", cause + group if verdict == "fail" else ""]


def made(captures, attempts, words=(), undecided=(), reports=()):
    held = {"captures": captures, "attempts": attempts, "findings": [], "steps": []}
    return page(COLUMNS, held, dict(reports), dict(words), dict(undecided))


def test_a_cause_is_told_once_with_what_it_means_and_when_it_was_seen():
    shown = made([capture("/lab/a.pcap"), capture("/lab/b.pcap")],
                 [attempt("/lab/a.pcap", started=1_700_000_000), attempt("/lab/b.pcap", group="#2", started=1_700_086_400),
                  attempt("/lab/b.pcap", "pass")],
                 {CAUSE: ["2.2", "3GPP TS 32.583 5.1.1", "an address", "Is it published?"]}, {}, {"/lab/a.pcap": "reports/a.html"})
    table = re.search(r'<table class="sortable causes".*?</table>', shown, re.S)[0]
    assert table.count("<tr>") == 2 and "Step 2.2 of 3GPP TS 32.583 5.1.1: an address. Is it published?" in table
    assert "2023-11-14 22:13:20" in table and "2023-11-15 22:13:20" in table and "the network" in table
    assert '<a href="reports/a.html">a.pcap</a><br>b.pcap' in table                # one of each course of steps
    assert "paths are below /lab" in shown and "1.0: 2 of 3" in shown              # failures of a firmware, of its attempts


def test_rare_causes_open_on_demand():
    shown = made([capture("a.pcap")], [attempt("a.pcap", cause=f"p/step{n}/missing") for n in range(15)])
    assert "<details><summary>3 rarer causes</summary>" in shown


def test_an_open_verdict_says_what_kept_it_open():
    assert "step 3: keys are missing" in made([capture("a.pcap", "inconclusive")], [attempt("a.pcap", "inconclusive")],
                                              undecided={"a.pcap": ["step 3: keys are missing"]})


def test_nothing_of_a_capture_becomes_markup():
    shown = made([capture(f"/{EVIL}/a.pcap", site=EVIL), capture(f"/{EVIL}/b.pcap")],
                 [attempt(f"/{EVIL}/a.pcap", cause=EVIL, version=EVIL)], {EVIL: [EVIL] * 4}, {f"/{EVIL}/a.pcap": [EVIL]})
    assert "<img" not in shown and "\x1b" not in shown and "\udce9" not in shown and "\\x1b[31m" in shown


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium; apt-get install chromium")
def test_a_link_to_a_filtered_table(tmp_path):
    path = tmp_path / "index.html"
    path.write_text(made([capture("/lab/a.pcap"), capture("/lab/b.pcap", "pass"), capture("/lab/c.pcap")], []))
    dom = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                          f"file://{path}#verdict=fail&text=c.pcap"], capture_output=True, text=True, timeout=60).stdout
    assert ">1 shown<" in dom and dom.count('data-verdict="fail" hidden') == 1


@pytest.mark.parametrize(("value", "cell"), [
    ("=HYPERLINK(A1)", "'=HYPERLINK(A1)"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
    ("plain = text", "plain = text"), (-1, -1), (None, None), ("", "")])
def test_no_cell_of_csv_is_a_formula(value, cell):
    assert harmless(value) == cell


def test_csv_of_hostile_names_and_parquet_as_it_was(tmp_path):
    tables._csv(tmp_path / "a.csv", ("path",), [["=1+1"]])
    assert (tmp_path / "a.csv").read_text().split() == ["path", "'=1+1"]


def test_names_that_are_no_utf_8(archive, batch, tmp_path):
    odd = archive / "caf\udce9.pcap"
    shutil.copy(archive / "tls-unknown-ca" / "fw1.2-outer.pcap", odd)
    first, again = batch(archive), batch(archive)
    assert first.returncode == 1 == again.returncode, first.stderr
    assert " 0 done in " in f" {again.stdout.splitlines()[1]}" and "caf\\udce9.pcap" in (tmp_path / "out/captures.csv").read_text()
    assert "caf\\udce9.pcap" in (tmp_path / "out/index.html").read_text()
    recheck = batch("--recheck")
    assert recheck.returncode == 1 and "Traceback" not in recheck.stderr
