from dataclasses import replace
from xml.etree import ElementTree

import pytest

from flowcheck.model import Event, FrameRef
from flowcheck.report import ladder

NAMES = ("hnb_outer.pcap", "hnb_inner.pcap")


def texts(svg):
    return [t.text for t in ElementTree.fromstring(svg).iter("text") if t.text]


def drawn(attempt):
    return str(ladder.draw(attempt, "d1.a1", NAMES))


def attempt_of(result, number=0):
    return result.devices[0].attempts[number]


def test_lifelines_are_those_that_take_part_in_the_order_of_the_rule(refused):
    attempt = attempt_of(refused)
    assert [role for role, _ in ladder.lifelines(attempt, ladder.lay_out(attempt))] == ["hnb", "dns_outer", "segw_initial", "dns_inner"]
    assert texts(drawn(attempt))[0] == "HNB" and "SeGW (initial)" in texts(drawn(attempt))


def test_the_failing_arrow_has_sign_and_word(refused):
    shown = texts(drawn(attempt_of(refused)))
    assert "✗ cause: refused: AUTHENTICATION_FAILED" in shown
    assert "✗ missing: 2.4 asks the inner DNS for the HMS (initial)" in [" ".join(t.split()) for t in shown]
    assert "… and 6 more steps not seen either: 2.5 to 8" in shown


def test_copies_are_folded_into_their_arrow(refused):
    assert any(text.endswith("×3") for text in texts(drawn(attempt_of(refused))))


def test_a_missing_step_stands_where_it_should_be(refused):
    attempt = attempt_of(refused)
    steps = tuple(replace(step, state="missing", frames=()) if step.step == "segw-address" else step
                  for step in attempt.steps)
    rows = ladder.lay_out(replace(attempt, steps=steps,
                                  events=tuple(e for e in attempt.events if e.step != "segw-address")))
    assert [row.step.step if row.step else row.event.step for row in rows] == [
        "ask-segw", "segw-address", "sa-init", "sa-init-answer", "auth", "auth-answer", "ask-hms"]


def test_hidden_steps_are_one_shaded_stretch(hidden):
    attempt = attempt_of(hidden)
    assert [bool(row.hidden) for row in ladder.lay_out(attempt)] == [False] * 4 + [True]
    assert "? not observable: steps 2.4 to 8" in texts(drawn(attempt))


def test_the_tunnel_is_a_band(several):
    assert texts(drawn(attempt_of(several, 1))).count("in IPsec") == 1
    assert "in IPsec" not in texts(drawn(attempt_of(several, 0)))


def test_uninteresting_runs_are_folded(refused):
    attempt = attempt_of(refused)
    noise = tuple(Event(attempt.started + n, "ntp.message", "hnb", "10.9.9.9", (FrameRef(0, 100 + n),), (), (), "NTP",
                        {}) for n in range(50))
    rows = ladder.lay_out(replace(attempt, events=attempt.events[:2] + noise + attempt.events[2:]))
    assert [row.folded for row in rows if row.folded] == [(2, 51)]


@pytest.mark.parametrize("hosts", [1, 3, 8, 20])
@pytest.mark.parametrize("events", [1, 60, 250, 5_000])
def test_any_size_stays_readable(refused, hosts, events):
    attempt = attempt_of(refused)
    many = tuple(Event(attempt.started + n, f"x.m{n % 7}", f"h{n % hosts}", f"h{(n + 1) % hosts}",
                       (FrameRef(0, n + 1),), (), (), "m", {},
                       step=f"s{n}", finding=attempt.cause if n % 400 == 399 else None) for n in range(events))
    svg = ElementTree.fromstring(drawn(replace(attempt, events=many, steps=(), roles=())))
    arrows = [a for a in svg.iter("a") if a.get("class").startswith("arrow")]
    assert 1 <= len(arrows) <= 2 * ladder.ROWS
    assert int(svg.get("width")) <= 1_500 and int(svg.get("height")) < 30_000
    assert len([a for a in arrows if "cause" in a.get("class")]) == events // 400 if events < 400 else True


def test_texts_stay_inside_the_drawing(hostile, several):
    for attempt in (attempt_of(hostile), *several.devices[0].attempts):
        assert max(map(len, texts(drawn(attempt)))) < 200


def test_hostile_names_are_well_formed(hostile):
    ElementTree.fromstring(drawn(attempt_of(hostile)))


def test_nothing_to_draw(refused):
    assert drawn(replace(attempt_of(refused), events=(), steps=())) == ""
