"""The command as its users run it: what it writes, what it does not do twice, and that nothing stops it."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "import sys; from flowcheck.cli import main; sys.exit(main())"]

CAPTURES = "path sha256 bytes packets first last status reason quality verdict".split()
FINDINGS = "path device procedure code kind severity step cite frames waived".split()


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_tables_hold_a_row_for_everything(archive, batch, tmp_path):
    done = batch(archive, tmp_path / "missing.pcap", "--tag-from-name", r"fw(?P<firmware>[\d.]+)")
    assert done.returncode == 1, done.stderr
    out = tmp_path / "out"
    captures = {row["path"]: row for row in table(out, "captures")}
    assert list(next(iter(captures.values()))) == [*CAPTURES, "firmware"]
    assert {Path(p).parent.name + "/" + Path(p).name: (r["status"], r["verdict"]) for p, r in captures.items()} == {
        "tls-unknown-ca/fw1.2-outer.pcap": ("done", "fail"), "tls-protocol-version/fw1.2-outer.pcap": ("done", "fail"),
        "pass/fw1.2-outer.pcap": ("done", "inconclusive"),                 # without its keys
        "captures/broken.pcap": ("unreadable", ""), f"{tmp_path.name}/missing.pcap": ("unreadable", "")}
    assert captures[str(tmp_path / "missing.pcap")]["reason"] == "no such file or directory"
    assert {row["firmware"] for row in captures.values()} == {"1.2", ""}
    causes = {row["cause"] for row in table(out, "attempts") if row["verdict"] == "fail"}
    assert causes == {"ts32.583-5.1.2/secured/refused:unknown_ca",
                      "ts32.583-5.1.2/server-hello/refused:protocol_version"}
    findings = table(out, "findings")
    assert list(findings[0]) == FINDINGS and all(row["path"] in captures for row in findings)
    assert "1 file is no capture" in done.stderr and "notes.txt" in done.stderr
    assert len(list((out / "reports").glob("*.html"))) == 3
    page = (out / "index.html").read_text()
    assert "secured/refused:unknown_ca" in page and "<svg" in page and "reports/" in page


def test_parquet_holds_what_csv_holds(archive, batch, tmp_path):
    batch(archive)
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("captures", "attempts", "findings"):
        rows, text = parquet.read_table(tmp_path / "out" / f"{name}.parquet").to_pylist(), table(tmp_path / "out", name)
        assert [list(row) for row in rows] == [list(row) for row in text]
        assert [str(row["path"]) for row in rows] == [row["path"] for row in text]
    first = parquet.read_table(tmp_path / "out" / "captures.parquet").column("first")
    assert str(first.type) == "timestamp[ns, tz=UTC]"


def test_nothing_is_done_twice(archive, batch, tmp_path):
    assert "4 done" in batch(archive).stdout
    again = batch(archive)
    assert "0 done" in again.stdout and "4 known already" in again.stdout and again.returncode == 1
    shutil.copy(archive / "pass" / "fw1.2-outer.pcap", archive / "copy.pcap")            # the same content elsewhere
    moved = batch(archive)
    assert "0 done" in moved.stdout and "5 known already" in moved.stdout
    assert len({row["path"] for row in table(tmp_path / "out", "captures")}) == 5
    with open(archive / "pass" / "fw1.2-outer.pcap", "r+b") as file:                     # cut: another content
        file.truncate(4000)
    assert "1 done" in batch(archive).stdout


def test_a_changed_site_judges_again_without_the_captures(archive, batch, tmp_path):
    batch(archive)
    site = tmp_path / "site.yaml"
    site.write_text("waive:\n  - {finding: '*/secured/refused:unknown_ca', reason: lab certificates}\n")
    shutil.rmtree(archive / "tls-unknown-ca")
    done = batch("--recheck", "--site", site)
    assert "3 done" in done.stdout, done.stderr
    waived = [row for row in table(tmp_path / "out", "findings") if row["waived"]]
    assert waived and {row["waived"] for row in waived} == {"lab certificates"}
    verdicts = {row["path"]: row["verdict"] for row in table(tmp_path / "out", "captures")}
    assert verdicts[str(archive / "tls-unknown-ca" / "fw1.2-outer.pcap")] != "fail"


def test_files_of_one_group_are_one_observation(archive, batch, tmp_path):
    shutil.copy(archive / "tls-unknown-ca" / "fw1.2-outer.pcap", archive / "tls-unknown-ca" / "second-tap.pcap")
    batch(archive / "tls-unknown-ca", "--group-by", "folder")
    rows = table(tmp_path / "out", "captures")
    assert len(rows) == 2 and len(table(tmp_path / "out", "attempts")) == 2          # not twice two
    assert ":" in next(row["frames"] for row in table(tmp_path / "out", "findings") if row["frames"])


def test_files_from_a_list_and_a_glob(archive, batch, tmp_path):
    names = tmp_path / "list"
    names.write_text(f"# archived\n{archive}/**/fw*.pcap\n")
    assert "3 observations" in batch("--files-from", names).stdout


def test_exit_statuses(archive, batch, tmp_path):
    assert batch().returncode == 2
    assert batch(archive / "pass").returncode == 5
    assert batch(archive / "broken.pcap").returncode == 3
    assert batch(archive, "--fail-on", "never").returncode == 3
    assert batch(archive, "--group-by", "(").returncode == 2
    assert batch(archive, "--procedure", "no-such").returncode == 2


def test_killed_at_any_moment_it_goes_on(archive, batch, tmp_path):
    for number in range(12):
        shutil.copy(archive / "pass" / "fw1.2-outer.pcap", archive / f"more{number}.pcap")
        with open(archive / f"more{number}.pcap", "r+b") as file:
            file.truncate(3000 + 100 * number)
    ledger = tmp_path / "out" / "ledger.sqlite"
    run = subprocess.Popen([*COMMAND, "batch", str(archive), "--output-dir", str(tmp_path / "out"), "--jobs", "1"],
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and run.poll() is None and not (ledger.exists() and recorded(ledger) >= 3):
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = recorded(ledger)
    assert before >= 3
    rest = batch(archive)
    done, kept = (int(part.split()[0]) for part in rest.stdout.splitlines()[1].replace(";", ",").split(", ")
                  if "done" in part or "known" in part)
    assert (kept, done) == (before, 16 - before)
    assert recorded(ledger) == 16 and len(table(tmp_path / "out", "captures")) == 16


def test_two_runs_at_once(archive, tmp_path):
    runs = [subprocess.Popen([*COMMAND, "batch", str(archive), "--output-dir", str(tmp_path / "out"), "--quiet"])
            for _ in range(2)]
    assert [run.wait(120) for run in runs] == [1, 1]
    with sqlite3.connect(tmp_path / "out" / "ledger.sqlite") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert recorded(tmp_path / "out" / "ledger.sqlite") == 4 == len(table(tmp_path / "out", "captures"))


def test_ctrl_c_ends_cleanly(archive, batch, tmp_path):
    os.mkfifo(archive / "silent.pcap")                   # nobody ever writes to it: the worker waits
    run = subprocess.Popen([*COMMAND, "batch", str(archive), str(archive / "silent.pcap"), "--output-dir",
                            str(tmp_path / "out"), "--jobs", "2"],
                           stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and not ((tmp_path / "out" / "ledger.sqlite").exists()
                                            and recorded(tmp_path / "out" / "ledger.sqlite") >= 4):
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert run.returncode == 130 and "Traceback" not in said
    assert len(table(tmp_path / "out", "captures")) == 4


def test_a_hang_and_a_crash_become_rows(archive, tmp_path):
    """In a process of its own: reading is replaced by something that hangs, dies or fills the memory."""
    program = f"""
import os, sys, time
import flowcheck.observe.observation as observation
real = observation.observe
def observe(paths, *rest, **more):
    if "unknown-ca" in paths[0]: time.sleep(60)
    if "protocol-version" in paths[0]: os.abort()
    if "pass" in paths[0]: bytearray(1 << 30)
    return real(paths, *rest, **more)
observation.observe = observe
from flowcheck.cli import main
sys.exit(main(["batch", {str(archive)!r}, "--output-dir", {str(tmp_path / "out")!r}, "--timeout", "1.5", "--memory", "300", "--jobs", "2"]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True).returncode == 3
    rows = {Path(row["path"]).parent.name: (row["status"], row["reason"])
            for row in table(tmp_path / "out", "captures")}
    assert rows["tls-unknown-ca"] == ("timeout", "not finished after 1.5 s (--timeout)")
    assert rows["tls-protocol-version"] == ("crashed", "the process reading it was killed by SIGABRT")
    assert rows["pass"][0] == "crashed" and "--memory" in rows["pass"][1]
    assert rows["captures"][0] == "unreadable"


def test_compare_and_query(archive, batch, tmp_path):
    batch(archive)
    shutil.copytree(tmp_path / "out", tmp_path / "old")
    site = tmp_path / "site.yaml"
    site.write_text("waive:\n  - {finding: '*/secured/refused:unknown_ca', reason: lab certificates}\n")
    batch("--recheck", "--site", site)
    better = subprocess.run([*COMMAND, "batch", "--compare", "old", "out"], cwd=tmp_path,
                            capture_output=True, text=True)
    worse = subprocess.run([*COMMAND, "batch", "--compare", "out", "old"], cwd=tmp_path, capture_output=True, text=True)
    assert (better.returncode, worse.returncode) == (0, 1)
    assert "2 attempts changed: 2 worse than before, 0 better" in worse.stdout and "unknown_ca" in worse.stdout
    assert "2 attempts changed: 0 worse than before, 2 better" in better.stdout
    pytest.importorskip("duckdb")
    ask = [*COMMAND, "archive", "query", "--format", "csv"]
    answer = subprocess.run([*ask, "SELECT verdict, count(*) AS n FROM captures WHERE status = 'done' GROUP BY 1 ORDER BY 1", "old"],
                            cwd=tmp_path, capture_output=True, text=True)
    assert answer.stdout.split() == ["verdict,n", "fail,2", "inconclusive,1"]
    wrong = subprocess.run([*ask, "SELECT * FROM read_text('/etc/passwd')", "old"], cwd=tmp_path,
                           capture_output=True, text=True)
    assert wrong.returncode == 2 and "root:" not in wrong.stdout


def recorded(ledger: Path) -> int:
    try:
        with sqlite3.connect(ledger) as database:
            return database.execute("SELECT count(*) FROM observations").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
