import base64
import hashlib
import re
import zlib
from dataclasses import replace

import pytest
from lxml import html as lxml_html

from flowcheck.model import Endpoint, Opaque
from flowcheck.report import as_html, as_json, view_page

T0 = 1_777_636_800_000_000_000
ALL = ["refused", "several", "hidden", "passed", "hostile", "secret", "empty"]


def parsed(text):
    return lxml_html.document_fromstring(text.encode())


def words(element):
    return " ".join(" ".join(element.itertext()).split())


@pytest.mark.parametrize("name", ALL)
def test_one_file_without_network(name, request):
    text = as_html.html(request.getfixturevalue(name))
    page = parsed(text)
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        inline = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        assert len(inline) == 1
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not page.xpath("//img | //iframe | //object | //embed | //link | //base | //*[@style] | //*[@src] | //*[@*[starts-with(name(), 'on')]]")
    for href in page.xpath("//@href"):
        assert href.startswith("#"), href


@pytest.mark.parametrize("name", ALL)
def test_ids_are_unique_and_every_link_arrives(name, request):
    page = parsed(as_html.html(request.getfixturevalue(name)))
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.xpath("//@href")} <= set(ids)
    assert {target for labels in page.xpath("//@aria-labelledby") for target in labels.split()} <= set(ids)


@pytest.mark.parametrize("name", ALL)
def test_the_same_result_gives_the_same_bytes(name, request):
    result = request.getfixturevalue(name)
    assert as_html.html(result) == as_html.html(result)
    if name not in ("hostile", "secret"):
        assert as_html.html(as_json.loads(as_json.dumps(result))) == as_html.html(result)


def test_the_first_screen_says_cause_side_frame_and_quality(refused):
    hero = words(parsed(as_html.html(refused)).get_element_by_id("summary"))
    for text in ("✗ Fail ts32.583-5.1.1", "The SeGW (initial) refused IKE_AUTH", "Who should act the network",
                 "hnb_outer.pcap frames 9, 10, 11",
                 "00193B-HNB-U21-LF21A000101", "Furthest step reached 2.3", "fair", "frame.number in {9,10,11}",
                 "certificate chain"):
        assert text in hero, text


def test_inconclusive_says_what_would_decide(hidden):
    hero = words(parsed(as_html.html(hidden)).get_element_by_id("summary"))
    assert "? Inconclusive" in hero and "What would decide it" in hero and "ip xfrm state" in hero


def test_failures_stand_open_and_passes_closed(several):
    attempts = parsed(as_html.html(several)).xpath("//details[contains(@class, 'attempt')]")
    assert [(a.get("data-verdict"), "open" in a.attrib) for a in attempts] == [
        ("fail", True), ("fail", True), ("inconclusive", True), ("pass", False)]


def test_every_step_has_frames_or_a_reason(several):
    rows = parsed(as_html.html(several)).xpath("//table[contains(@class, 'steps')]/tbody/tr")
    assert len(rows) > 30
    for row in rows:
        cells = [words(cell) for cell in row]
        assert cells[3] or cells[5], cells


def test_the_deviating_field_is_marked(several):
    page = parsed(as_html.html(several))
    inform = page.get_element_by_id("d1.a2.m9")
    marked = [words(row) for row in inform.xpath(".//tr[@class='marked']") if not row.xpath(".//tr[@class='marked']")]
    assert marked == ["DeviceId.SerialNumber absent ✗ field-absent: expected DeviceId.SerialNumber present",
                      "Device.FAP.GPS.LockedLatitude 999999999 ⚠ field-wrong: expected Device.FAP.GPS.LockedLatitude at most 90000000"]


def test_headings_and_landmarks(several):
    page = parsed(as_html.html(several))
    levels = [int(h.tag[1]) for h in page.xpath("//h1 | //h2 | //h3 | //h4 | //h5")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    assert page.xpath("//main") and page.xpath("//header//nav") and page.xpath("//a[@class='skip']")
    assert all(table.xpath(".//th[@scope]") or table.get("class") == "fields" for table in page.xpath("//table"))


def test_hostile_text_stays_text(hostile):
    text = as_html.html(hostile)
    page = parsed(text)
    assert len(page.xpath("//script")) == 1 and not page.xpath("//x | //b")
    assert not set(text) & set("\x00\x1b\u202e\u2066\r") and "49" not in words(page.get_element_by_id("verdict"))
    assert "\\u202e" in text and "\\x1b[31m" in text and "more characters not shown" in text
    assert "{{7*7}}" in words(page.get_element_by_id("summary"))
    assert len(text) < 250_000
    text.encode()


def test_hostile_text_of_many_devices_stays_text(hostile, tmp_path):
    attempt, evil = hostile.devices[0].attempts[0], hostile.command
    finding = replace(attempt.findings[0], kind=evil, also=evil, repair=evil, waived=evil, why=evil, filter=evil)
    # an edited JSON
    saved = replace(finding, severity=evil, waived="", side=evil), replace(attempt.steps[0], state=evil)
    open_ = replace(attempt, verdict="inconclusive", limits=(evil,), findings=(finding, saved[0]), steps=(saved[1],))
    device = replace(hostile.devices[0], attempts=(attempt, open_, replace(attempt, verdict="pass")))
    nobody = replace(device, id="unknown", attempts=())
    opaque = Opaque(evil, T0, T0, Endpoint(evil), Endpoint(hostile.devices[0].addresses[0]), packets=1)
    result = replace(hostile, devices=(device, device, nobody), captures=hostile.captures * 2, opaque=(opaque,))
    pages = [as_html.html(result)]
    pages += [path.read_text() for path in as_html.write_html(result, tmp_path / "<x>'&quot;.html", ceiling=100_000)]
    assert len(pages) == 4
    for text in pages:
        page = parsed(text)
        assert len(page.xpath("//script")) == 1 and len(page.xpath("//style")) == 1
        assert not page.xpath("//x | //b | //img | //*[@onerror] | //*[@src]")
        assert not set(text) & set("\x00\x1b\u202e\u2066\r")
    whole = parsed(pages[0])
    for part in ("summary", "causes", "filters", "devices", "limits", "provenance", "opaque-h", "unknown"):
        assert whole.get_element_by_id(part) is not None
    assert words(whole.get_element_by_id("causes")).count("<script>alert(1)</script>") == 4    # code, clause, words, hint


def test_what_a_device_lacks_for_service_stands_under_its_bring_up(several):
    told = ("Second procedure (clause 5.2): nothing of it was seen",
            "Third <procedure> (clause 5.3): nothing of it was seen")
    device = replace(several.devices[0], lacking=told)
    page = parsed(as_html.html(replace(several, devices=(device,))))
    lacking = page.get_element_by_id("d1-lacking")
    assert lacking.getprevious().get("class") == "bringup"
    assert words(lacking[0]) == "Missing for service:" and tuple(map(words, lacking.xpath("ul/li"))) == told
    assert "Missing for service" not in as_html.html(replace(several, devices=(replace(device, lacking=()),)))


def test_secrets_are_masked_unless_asked_for(secret, secrets):
    text = as_html.html(secret)
    assert [planted for planted in secrets if planted in text or planted.encode().hex() in text] == []
    assert secrets[0] in as_html.html(secret, show_secrets=True)


def test_nothing_judged_is_no_pass(empty):
    hero = words(parsed(as_html.html(empty)).get_element_by_id("summary"))
    assert "Nothing judged" in hero and "Pass" not in hero


def test_many_passes_are_packed(crowd):
    text = as_html.html(replace(crowd, devices=crowd.devices[:180]))
    page = parsed(text)
    packed = page.xpath("//*[@data-packed]")
    assert len(packed) == 170 and len(text) < 2_000_000
    body = zlib.decompress(base64.b64decode(packed[0].get("data-packed"))).decode()
    assert "registers with the HNB-GW" in body
    assert [d.get("id") for d in page.xpath("//section[@class='device']")][:2] == ["d1", "d2"]
    assert "10 fail, 170 pass" in words(page.get_element_by_id("summary"))
    assert words(page.get_element_by_id("causes")).startswith("Causes Attempts Cause Who should act Where 10 ")


def test_of_very_many_all_are_listed_and_examples_shown(crowd):
    page = parsed(as_html.html(crowd))
    assert len(page.xpath("//table[@class='index']/tbody/tr")) == 300
    shown = [attempt.get("data-verdict") for attempt in page.xpath("//details[contains(@class, 'attempt')]")]
    assert shown == ["fail"] * 10 + ["pass"] * 20
    assert "30 of 300 attempts are shown in full" in words(page.get_element_by_id("devices"))
    assert len(page.xpath("//table[@class='index']//span[@data-verdict='pass']")) == 270
    assert {href[1:] for href in page.xpath("//@href")} <= set(page.xpath("//@id"))


def test_every_cause_has_examples_before_failures_fill_up(crowd, refused):
    attempt = refused.devices[0].attempts[0]
    device = crowd.devices[0]
    alike = tuple(replace(device, id=f"same-{n}") for n in range(250))
    other = tuple(replace(device, id=f"other-{n}", attempts=(attempt,)) for n in range(30))
    open_ = tuple(replace(device, id=f"open-{n}", attempts=(replace(attempt, verdict="inconclusive", cause=None, findings=()),)) for n in range(30))
    full = view_page.chosen(replace(crowd, devices=alike + open_ + other + crowd.devices[10:60]))
    kinds = [("same", 250), ("open", 30), ("other", 30), ("pass", 50)]
    names = [name for name, count in kinds for _ in range(count)]
    assert {name: sum(names[number - 1] == name for number, _ in full) for name, _ in kinds} == {
        "same": 200 - 20 - 20 - 30, "open": 20, "other": 30, "pass": 20}


def test_devices_that_fail_come_first_and_keep_their_numbers(crowd):
    turned = replace(crowd, devices=crowd.devices[::-1])
    assert parsed(as_html.html(turned)).xpath("//section[@class='device']/@id")[:2] == ["d291", "d292"]


def test_past_the_ceiling_each_device_has_a_file(crowd, tmp_path):
    ceiling = 300_000
    written = as_html.write_html(replace(crowd, devices=crowd.devices[:30]), tmp_path / "r.html", ceiling=ceiling)
    assert [path.name for path in written[:3]] == ["r.html", "d1.html", "d2.html"] and len(written) == 31
    assert all(path.stat().st_size <= ceiling for path in written)
    index = parsed(written[0].read_text())
    links = {href for href in index.xpath("//@href") if not href.startswith("#")}
    assert len(links) > 30
    for href in links:
        file, _, anchor = href.partition("#")
        assert not anchor or anchor in parsed((tmp_path / file).read_text()).xpath("//@id")
    second = parsed(written[20].read_text())
    assert second.get_element_by_id("d20") is not None and "✓ Pass" in words(second.get_element_by_id("summary"))
    assert "../r.html" in second.xpath("//@href")


def test_a_device_page_lists_the_unread_traffic_of_its_device(crowd, tmp_path):
    devices = tuple(replace(device, addresses=(f"10.0.0.{n}",)) for n, device in enumerate(crowd.devices[:30]))
    opaque = tuple(Opaque("esp", T0, T0 + n, Endpoint(f"10.0.0.{n}"), Endpoint("192.0.2.1", 4500), packets=n + 1)
                   for n in range(30))
    written = as_html.write_html(replace(crowd, devices=devices, opaque=opaque), tmp_path / "r.html", ceiling=300_000)
    hosts = [[words(row[2]) for row in parsed(path.read_text()).xpath("//h3[@id='opaque-h']/following::tbody[1]/tr")]
             for path in written]
    assert len(hosts[0]) == 30
    assert hosts[1:] == [[f"10.0.0.{n} → 192.0.2.1:4500"] for n in range(30)]


def test_one_device_too_large_is_thinned(several, tmp_path):
    attempt = several.devices[0].attempts[1]
    long = replace(several, devices=(replace(several.devices[0],
                                             attempts=(replace(attempt, events=attempt.events * 300),)),))
    written = as_html.write_html(long, tmp_path / "r.html", ceiling=400_000)
    assert len(written) == 1 and written[0].stat().st_size <= 400_000
    assert "left out here" in written[0].read_text()


def test_of_many_that_failed_the_commonest_cause_is_shown_first(refused):
    attempt = refused.devices[0].attempts[0]
    rare = replace(attempt, cause="x/y/missing", diagnosis="the rare one", findings=(
        replace(attempt.findings[0], code="x/y/missing"),))
    devices = tuple(replace(refused.devices[0], id=f"d{n}", attempts=(rare if n == 0 else attempt,)) for n in range(4))
    hero = words(parsed(as_html.html(replace(refused, devices=devices))).get_element_by_id("summary"))
    assert "3 failed for one cause, the first of them: " in hero and "the rare one" not in hero
    hero = words(parsed(as_html.html(replace(refused, devices=devices[:2]))).get_element_by_id("summary"))
    assert "The first that did not pass: the rare one" in hero
    causes = words(parsed(as_html.html(replace(refused, devices=devices))).get_element_by_id("causes"))
    assert f"step {attempt.findings[0].cite} of {attempt.findings[0].clause}: expected {attempt.findings[0].expected}" in causes


def test_a_fleet_is_one_file_with_as_many_examples_as_fit(crowd, tmp_path):
    written = as_html.write_html(crowd, tmp_path / "r.html", ceiling=700_000)
    assert written == [tmp_path / "r.html"] and written[0].stat().st_size < 700_000
    page = parsed(written[0].read_text())
    shown = [attempt.get("data-verdict") for attempt in page.xpath("//details[contains(@class, 'attempt')]")]
    assert 0 < len(shown) < 30 and shown[0] == "fail" and len(page.xpath("//table[@class='index']/tbody/tr")) == 300
