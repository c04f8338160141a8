"""A recheck with changed rules says what a fresh run with them says, and leaves alone what they cannot touch."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flowcheck.batch import memory
from flowcheck.batch.ledger import Known
from flowcheck.check import joined, judged, key_ring
from flowcheck.observe.observation import observe
from flowcheck.rulebook.loader import default_rules_dir, load_rules
from flowcheck.rulebook.rule import Place, Step
from flowcheck.rulebook.site import load_site

SAMPLES = Path(__file__).parents[2] / "samples" / "ts32.583"
COMMAND = [sys.executable, "-c", "import sys; from flowcheck.cli import main; sys.exit(main())"]
RULES, SITE = load_rules(), load_site()
NAMES = ("5.1.1/segw-servfail-then-pass", "5.2.1/hnb-gw-never-provided", "5.2.2/not-notified", "5.5.2/queued-passive",
         "5.6.1/upload-while-off")


def steps_with(items, change):
    """The items of a rule with every step changed."""
    return tuple(change(item) if isinstance(item, Step) else replace(item, items=steps_with(item.items, change))
                 for item in items)


# what may happen to a rule: what it is called, when it applies, what it asks, and what it leaves behind
CHANGES = {
    "titles": lambda rule: replace(rule, title="now " + rule.title,
                                   items=steps_with(rule.items, lambda s: replace(s, title="now " + s.title))),
    "quiet": lambda rule: replace(rule, attempt=replace(rule.attempt, quiet=0.5)),
    "asks less": lambda rule: replace(rule, items=steps_with(rule.items, lambda s: replace(s, expect=(), within=None))),
    "severity": lambda rule: replace(rule, items=steps_with(rule.items, lambda s: replace(s, severity="warning"))),
    "learns nothing": lambda rule: replace(rule, facts=()),
    "remembers nothing": lambda rule: replace(rule, items=steps_with(rule.items, lambda s: replace(s, remember=()))),
    "followed by none": lambda rule: replace(rule, then=()),
    "another clause": lambda rule: replace(rule, clause="99.9"),
    "nobody inferred": lambda rule: replace(rule, roles=tuple(replace(role, infer=()) for role in rule.roles)),
    "the same": lambda rule: replace(rule, describe="other words", samples=(), path="elsewhere",
                                     items=steps_with(rule.items, lambda s: replace(s, place=Place("elsewhere", 1, 1),
                                                      expect=tuple(replace(c, place=None) for c in s.expect)))),
    "gone": lambda rule: None,
}


def changed(rules, place, how):
    """The rules with one of them changed, under another digest as another file would have it."""
    made = CHANGES[how](rules[place])
    return tuple(r for r in (*rules[:place], made and replace(made, digest="0" * 64), *rules[place + 1:]) if r)


def observed(paths, keys=()):
    return observe([str(path) for path in paths], key_ring([str(key) for key in keys]))


class Archived:
    """An observation judged once, with what is kept of that."""

    def __init__(self, observation, rules=RULES):
        self.observation, self.rules = observation, rules
        self.found = joined(observation, rules, SITE)
        gathered = memory.Recollection(memory.book_of(rules), None)
        self.devices = self.judge(rules, gathered).devices
        kept = gathered.memory("context", gathered.shows(replace(self.judge(rules), devices=self.devices)))
        self.known = Known("content", "key", memory.book_of(rules), kept, None, "", True)

    def judge(self, rules, recollection=None):
        return judged(self.observation, rules, SITE, found=self.found, memory=recollection and recollection.of)

    def again(self, rules):
        """Devices as they are judged with what is known, and how: "untouched", "confirmed" or "judged"."""
        book = memory.book_of(rules)
        if not memory.Change(self.known.book, book, rules).touches(memory.unpacked(self.known.memory.data)):
            return self.devices, "untouched", self.known.memory.shows, self.known.memory.data
        recollection = memory.Recollection(book, self.known)
        result = self.judge(rules, recollection)
        if recollection.confirmed():
            return self.devices, "confirmed", self.known.memory.shows, recollection.memory("context", "").data
        if recollection.partial():
            result = self.judge(rules, recollection.whole())
        return result.devices, "judged", recollection.shows(result), recollection.memory("context", "").data

    def concerned(self):
        """The places of the rules that say or leave anything here, and of one that does not."""
        said = {name for kept in memory.unpacked(self.known.memory.data).values() for name in kept.said}
        silent = [place for place, rule in enumerate(self.rules) if rule.procedure not in said]
        return [place for place, rule in enumerate(self.rules) if rule.procedure in said] + silent[:1]

    def check(self, rules):
        """How the change was dealt with. Fails where that gave anything else than judging afresh."""
        afresh = Archived.__new__(Archived)
        afresh.observation, afresh.found = self.observation, self.found
        gathered = memory.Recollection(memory.book_of(rules), None)
        result = afresh.judge(rules, gathered)
        devices, how, shows, data = self.again(rules)
        assert devices == result.devices
        assert shows == gathered.shows(result)
        assert memory.unpacked(data) == memory.unpacked(gathered.memory("", "").data)
        return how


@pytest.fixture(scope="module")
def archived():
    return [Archived(observed(sorted((SAMPLES / name).glob("*.pcap")), [SAMPLES / name / "keys"])) for name in NAMES]


@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_rule_is_judged_as_afresh(archived, how):
    dealt = {one.check(changed(RULES, place, how)) for one in archived for place in one.concerned()}
    if how == "the same":
        assert dealt == {"untouched"}
    elif how in ("titles", "gone", "remembers nothing", "another clause"):
        assert "judged" in dealt


def test_each_rule_in_turn(archived):
    dealt = set()
    for place, rule in enumerate(RULES):
        for one in archived[place % 2::2]:
            dealt.add(one.check(changed(RULES, place, "titles")))
            without = Archived(one.observation, tuple(r for r in RULES if r is not rule))
            without.check(RULES)
    assert dealt == {"untouched", "confirmed", "judged"}


# ------------------------------------------------------------------------------------------------- the command

@pytest.fixture
def copied(tmp_path):
    """Samples under names of their own, and a copy of the rules to change."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for name in (*NAMES, "5.3.1/file-not-found", "5.1.2/hms-certificate-expired"):
        for path in sorted((SAMPLES / name).glob("*.pcap")):
            shutil.copy(path, folder / f"{name.replace('/', '-')}.{path.name}")
    shutil.copytree(default_rules_dir(), tmp_path / "rules")
    return folder


def edited(rules, pattern, old, new, where=None):
    """Changes the rule file of that name."""
    path = next(Path(where or rules).rglob(pattern))
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def shown(folder):
    """All that an archive shows: tables and page byte for byte, reports but for their provenance."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".csv", ".parquet", ".html")}
    reports = {path.name: re.sub(r'(?s)<section id="provenance".*?</section>', "", path.read_text(encoding="utf-8"))
               for path in (folder / "reports").iterdir()}
    assert files and reports and not any(name.endswith(".part") for name in reports)
    return files, reports


def afresh(batch, copied, tmp_path):
    """What a run with the rules as they are now shows that knows of nothing."""
    kept = tmp_path / "kept"
    (tmp_path / "out").rename(kept)
    assert batch(copied, "--rules", tmp_path / "rules").returncode == 1
    fresh = shown(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    kept.rename(tmp_path / "out")
    return fresh


def test_a_recheck_shows_what_a_fresh_run_shows(copied, batch, tmp_path):
    rules, out = tmp_path / "rules", tmp_path / "out"
    batch(copied, "--rules", rules)
    before = {path: path.stat().st_mtime_ns for path in (out / "reports").iterdir()}
    edited(rules, "5.3.1*", "title:", "title: now")
    edited(rules, "5.6.1*", "title:", "title: now")
    again = batch("--recheck", "--rules", rules)
    stay = int(re.search(r"\((\d+) of them stay", again.stdout)[1])
    assert again.returncode == 1 and 0 < stay < len(list(copied.iterdir())), again.stdout
    left = {path for path, time in before.items() if path.stat().st_mtime_ns == time}
    assert left and left != set(before)
    assert shown(out) == afresh(batch, copied, tmp_path)
    assert "0 done" in batch("--recheck", "--rules", rules).stdout


def test_comments_change_nothing_and_no_table_is_written_again(copied, batch, tmp_path):
    rules, out = tmp_path / "rules", tmp_path / "out"
    batch(copied, "--rules", rules)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and "ledger" not in path.name}
    for path in rules.rglob("*.yaml"):
        path.write_text("# checked by two\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    count = len(list(copied.iterdir()))
    assert f"{count} done ({count} of them stay what they were)" in batch("--recheck", "--rules", rules).stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_report_that_was_changed_or_lost_is_written_again(copied, batch, tmp_path):
    rules, reports = tmp_path / "rules", tmp_path / "out" / "reports"
    batch(copied, "--rules", rules)
    whole = shown(tmp_path / "out")
    first, second, *_ = sorted(reports.iterdir())
    first.unlink()
    second.write_text("mine")
    edited(rules, "5.5.1*", "procedure:", "# another\nprocedure:")
    batch("--recheck", "--rules", rules)
    assert shown(tmp_path / "out") == whole


def test_rules_that_come_back_bring_their_reports_back(copied, batch, tmp_path):
    rules, out = tmp_path / "rules", tmp_path / "out"
    batch(copied, "--rules", rules)
    before = shown(out)
    edited(rules, "5.6.1*", "title:", "title: now")
    batch("--recheck", "--rules", rules)
    assert shown(out) != before
    edited(rules, "5.6.1*", "title: now", "title:")
    batch("--recheck", "--rules", rules)
    assert shown(out) == before


def test_what_passes_now_has_no_report_any_more(copied, batch, tmp_path):
    rules, out = tmp_path / "rules", tmp_path / "out"
    batch(copied, "--rules", rules)
    next(rules.rglob("5.3.1*")).unlink()
    batch("--recheck", "--rules", rules)
    assert shown(out) == afresh(batch, copied, tmp_path)


def test_killed_in_the_middle_of_a_recheck_it_goes_on(copied, batch, tmp_path):
    rules, out = tmp_path / "rules", tmp_path / "out"
    batch(copied, "--rules", rules)
    for path in rules.rglob("*.yaml"):                                   # visible everywhere: every observation is work
        path.write_text(path.read_text(encoding="utf-8").replace("title:", "title: now"), encoding="utf-8")
    count = recipes(out)
    run = subprocess.Popen([*COMMAND, "batch", "--recheck", "--rules", str(rules), "--output-dir", str(out), "--jobs", "1"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and run.poll() is None and recipes(out) < count + 3:
        time.sleep(0.005)
    run.kill()
    run.wait()
    again = batch("--recheck", "--rules", rules)
    assert re.search(r"[1-9]\d* known already", again.stdout), again.stdout
    assert shown(out) == afresh(batch, copied, tmp_path)


def test_two_rechecks_at_once(copied, batch, tmp_path):
    """With the same rules they share the work; with others the one that comes after them puts everything right."""
    rules, out = tmp_path / "rules", tmp_path / "out"
    batch(copied, "--rules", rules)
    shutil.copytree(rules, tmp_path / "others")
    for path in (tmp_path / "others").rglob("*.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace("title:", "title: other"), encoding="utf-8")
    edited(rules, "5.2.1*", "title:", "title: now")
    runs = [subprocess.Popen([*COMMAND, "batch", "--recheck", "--rules", str(each), "--output-dir", str(out), "--quiet"])
            for each in (rules, tmp_path / "others", rules)]
    assert [run.wait(120) for run in runs] == [1, 1, 1]
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    edited(rules, "5.2.1*", "title: now", "title: then")
    batch("--recheck", "--rules", rules)
    assert shown(out) == afresh(batch, copied, tmp_path)


@pytest.mark.parametrize("damage", ["index", "memory", "no memory"])
def test_what_is_damaged_is_made_again(copied, batch, tmp_path, damage):
    rules, out = tmp_path / "rules", tmp_path / "out"
    batch(copied, "--rules", rules)
    if damage == "index":
        for number, path in enumerate(sorted((out / "index").rglob("*.mpz"))):
            data = path.read_bytes()
            path.write_bytes((data[:50], b"", data[:-1] + b"\0", bytes(len(data)))[number % 4])
    else:
        with sqlite3.connect(out / "ledger.sqlite") as ledger:
            ledger.execute("UPDATE memories SET data = x'789c0102'" if damage == "memory" else "DROP TABLE memories")
    for path in rules.rglob("*.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace("title:", "title: now"), encoding="utf-8")
    assert batch("--recheck", "--rules", rules).returncode == 1
    assert shown(out) == afresh(batch, copied, tmp_path)


def recipes(out):
    """How much work the ledger holds."""
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        return ledger.execute("SELECT count(*) FROM work").fetchone()[0]
