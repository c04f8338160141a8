import json
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from flowcheck.errors import UsageError
from flowcheck.report import write
from flowcheck.report.whole import write_whole


def options(**given):
    names = dict.fromkeys(("html", "json", "junit", "sarif", "output_dir"))
    return SimpleNamespace(**{**names, "show_secrets": False, "quiet": True, "verbose": False,
                              "color": "never", **given})


def test_everything_into_the_output_directory_under_the_first_capture(refused, tmp_path):
    written = write.reports(refused, options(output_dir=str(tmp_path / "out")))
    assert [path.name for path in written] == ["hnb_outer.html", "hnb_outer.json", "hnb_outer.junit.xml",
                                               "hnb_outer.sarif"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in written)


def test_no_format_lets_a_secret_out(secret, secrets, tmp_path, capsys):
    written = write.reports(secret, options(output_dir=str(tmp_path), quiet=False, verbose=True))
    texts = [path.read_text() for path in written] + [capsys.readouterr().out]
    assert len(texts) == 5 and all(texts)
    assert [planted for planted in secrets for text in texts if planted in text] == []


def test_secrets_are_shown_when_asked_for(secret, secrets, tmp_path):
    written = write.reports(secret, options(json=str(tmp_path / "r.json"), show_secrets=True))
    assert secrets[0] in written[0].read_text()


def test_standard_output_holds_data_only(refused, capsys):
    assert write.reports(refused, options(json="-", quiet=False)) == []
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "fail"
    assert "FAIL" in err


def test_two_reports_cannot_share_standard_output(refused):
    with pytest.raises(UsageError):
        write.reports(refused, options(json="-", html="-"))


def test_what_cannot_be_written_is_said(refused, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write.reports(refused, options(json=str(tmp_path / "file" / "r.json")))


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("as it was")

    def pieces():
        yield b"half of"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        write_whole(path, pieces())
    assert path.read_text() == "as it was" and list(tmp_path.iterdir()) == [path]
    write_whole(path, [b"the ", b"new one"])
    assert path.read_text() == "the new one" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("environment", "coloured"), [
    ({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_on_a_terminal_that_wants_it(refused, tmp_path, capsys, monkeypatch, environment, coloured):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    write.reports(refused, options(json=str(tmp_path / "r.json"), quiet=False, color="auto"))
    assert ("\x1b[31m" in capsys.readouterr().out) is coloured


def test_a_pipe_is_written_to_and_stays_one(refused, tmp_path):
    """As with `/dev/null`, which may not become a file, and `--json >(jq .)`."""
    for form in ("json", "html"):
        pipe = tmp_path / form
        os.mkfifo(pipe)
        with ThreadPoolExecutor() as others:
            read = others.submit(pipe.read_text)
            write.reports(refused, options(**{form: str(pipe)}))
            assert "refused" in read.result(10)
        assert pipe.is_fifo() and [path.name for path in tmp_path.iterdir() if path.name.startswith(form)] == [form]


def test_a_link_stays_one(refused, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "r.json").symlink_to(tmp_path / "elsewhere" / "real.json")
    write.reports(refused, options(json=str(tmp_path / "r.json")))
    assert (tmp_path / "r.json").is_symlink() and json.loads((tmp_path / "elsewhere/real.json").read_text())
