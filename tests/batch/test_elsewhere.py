"""Captures that lie elsewhere, and work done elsewhere: a local S3 server, and a Dask cluster of two on loopback."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(port)


def verdicts(folder: Path) -> dict[str, str]:
    with open(folder / "captures.csv", newline="", encoding="utf-8") as file:
        return {row["path"]: row["verdict"] or row["status"] for row in csv.DictReader(file)}


def test_an_object_store(archive, batch, tmp_path):
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -r tests/s3.txt)")
    moto = pytest.importorskip("moto.server", reason="moto is not installed (pip install -r tests/s3.txt)",
                               exc_type=ImportError)
    server = moto.ThreadedMotoServer("127.0.0.1", free_port())
    server.start()
    try:
        where = "http://{}:{}".format(*server.get_host_and_port())
        environment = {**os.environ, "AWS_ENDPOINT_URL": where, "AWS_ACCESS_KEY_ID": "test",
                       "AWS_SECRET_ACCESS_KEY": "test",
                       "AWS_DEFAULT_REGION": "us-east-1"}
        put = ("import sys, s3fs; fs = s3fs.S3FileSystem(); fs.mkdir('lab'); "
               "fs.put(sys.argv[1], 'lab/runs', recursive=True)")
        subprocess.run([sys.executable, "-c", put, str(archive)], env=environment, check=True, capture_output=True)
        done = batch("s3://lab/runs/", env=environment)
        assert done.returncode == 1, done.stderr
        found = {path.removeprefix("s3://lab/runs/").removeprefix("captures/"): word
                 for path, word in verdicts(tmp_path / "out").items()}
        assert found == {"tls-unknown-ca/fw1.2-outer.pcap": "fail", "tls-protocol-version/fw1.2-outer.pcap": "fail",
                         "pass/fw1.2-outer.pcap": "inconclusive", "broken.pcap": "unreadable"}
        assert "0 done" in batch("s3://lab/runs/", env=environment).stdout
    finally:
        server.stop()


def test_a_store_that_does_not_let_one_in(batch):
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -r tests/s3.txt)")
    without = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    refused = batch("s3://lab/runs/", env={**without, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"})
    assert refused.returncode == 3 and "Traceback" not in refused.stderr
    assert refused.stderr.startswith("flowcheck: s3://lab/runs/: ") and "credentials" in refused.stderr


def test_a_cluster_that_loses_a_worker(archive, batch, tmp_path):
    pytest.importorskip("distributed")
    wanted = 0
    for number in range(20):
        shutil.copy(archive / "tls-unknown-ca" / "fw1.2-outer.pcap", archive / f"more{number}.pcap")
        with open(archive / f"more{number}.pcap", "r+b") as file:
            file.truncate(2500 + 50 * number)
        wanted += 1
    port = free_port()
    script = {"scheduler": "from distributed.cli.dask_scheduler import main; main()",
              "worker": "from distributed.cli.dask_worker import main; main()"}
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "5"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": tmp_path}
    started = [subprocess.Popen([sys.executable, "-c", script["scheduler"], "--host", "127.0.0.1", "--port", str(port),
                                 "--no-dashboard"], **quiet)]
    try:
        wait_for(port)
        address = f"tcp://127.0.0.1:{port}"
        started += [subprocess.Popen([sys.executable, "-c", script["worker"], address, "--nthreads", "1", "--no-nanny",
                                      "--no-dashboard"], **quiet)
                    for _ in range(2)]
        from distributed import Client
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        run = subprocess.Popen([sys.executable, "-c", "import sys; from flowcheck.cli import main; sys.exit(main())",
                                "batch", str(archive),
                                "--dask", address, "--output-dir", str(tmp_path / "out")], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 60
        while time.monotonic() < until and run.poll() is None and recorded(tmp_path / "out" / "ledger.sqlite") < 4:
            time.sleep(0.01)
        started[1].send_signal(signal.SIGKILL)           # half way
        said, wrong = run.communicate(timeout=120)
        assert run.returncode == 1 and "Traceback" not in wrong, wrong
        found = verdicts(tmp_path / "out")
        assert len(found) == wanted + 4 and "crashed" not in found.values()
        assert len(list((tmp_path / "out" / "index").rglob("*.mpz"))) == wanted + 3
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert "0 done" in batch(archive).stdout              # the ledger is the same as that of local processes


def recorded(ledger: Path) -> int:
    import sqlite3
    try:
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM observations").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
