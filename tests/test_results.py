"""Results as tables: every attempt and finding once, times to the nanosecond, nothing heavy before it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

import flowcheck
from flowcheck.errors import UsageError
from flowcheck.report import as_json
from flowcheck.results import ATTEMPTS, FINDINGS

SAMPLE = Path(__file__).parent.parent / "samples" / "ts32.583" / "5.1.1" / "segw-refuses-authentication"


@pytest.fixture(scope="module")
def result():
    return flowcheck.judge(sorted(SAMPLE.glob("*.pcap")), site=SAMPLE / "site.yaml", keys=[SAMPLE / "keys"])


@pytest.fixture
def loaded(result, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(as_json.dumps(result))
    return flowcheck.load_result(path)


def test_a_row_per_attempt(loaded, result):
    table = loaded.to_frame()
    assert tuple(table.columns) == ATTEMPTS and len(table) == sum(len(d.attempts) for d in result.devices) == 1
    row, attempt = table.iloc[0], result.devices[0].attempts[0]
    assert (row.verdict, row.procedure, row.cause, row.side) == ("fail", "ts32.583-5.1.1", attempt.cause, "network")
    assert row.started.value == attempt.started and str(row.started.tz) == "UTC"
    assert row.seconds == pytest.approx((attempt.ended - attempt.started) / 1e9)
    assert loaded.verdict == "fail"


def test_a_row_per_finding(loaded, result):
    table = loaded.findings_frame()
    findings = result.devices[0].attempts[0].findings
    assert tuple(table.columns) == FINDINGS and list(table.code) == [f.code for f in findings]
    assert table.iloc[0].frames.startswith("hnb_outer.pcap:") and table.iloc[0].kind == "refused"


def test_an_empty_result_has_the_columns_all_the_same(tmp_path):
    from flowcheck.model import Result
    path = tmp_path / "r.json"
    path.write_text(as_json.dumps(Result((), (), {})))
    loaded = flowcheck.load_result(path)
    assert loaded.verdict is None and list(loaded.to_frame().columns) == list(ATTEMPTS) and loaded.findings_frame().empty


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"schema": "flowcheck/result/99"}'])
def test_what_is_no_result(content, tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"r\.json"):
        flowcheck.load_result(path)
    with pytest.raises(UsageError, match="No such file"):
        flowcheck.load_result(tmp_path / "absent.json")


def test_importing_the_package_imports_nothing_else():
    code = "import sys, flowcheck; print(sorted(m for m in sys.modules if m.startswith('flowcheck.') or m == 'pandas'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
