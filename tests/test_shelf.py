"""What is packed is the same as what is not, but for the room it takes."""

import pickle
import tracemalloc
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from flowcheck import shelf
from flowcheck.check import check
from flowcheck.commands import check as command
from flowcheck.model import AttemptResult, DeviceResult, Endpoint, Event, FrameRef, Message, StepResult
from flowcheck.observe.dissect import Dissector
from flowcheck.report import as_json
from flowcheck.shelf import Shelf, Shelved, opened, packed, together

SAMPLES = Path(__file__).parent.parent / "samples"
ENDS = Endpoint("192.0.2.1", 1000), Endpoint("192.0.2.2", 53)


def message(number: int, kind: str = "dns.query", **fields) -> Message:
    return Message(kind, number, (FrameRef(0, number),), *ENDS, number,
                   fields={"qname": f"device{number}.example", "id": number, "questions": [{"qtype": "A"}], **fields})


def shelved(*messages: Message, kept: int = 0) -> Shelf:
    """A shelf that packs each of them at once."""
    found = Shelf()
    found.extend(messages)
    found.extend(message(10_000 + number, "tcp.fin") for number in range(max(1, kept)))
    found.tidy()
    return found


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(Shelf, "KEPT", 1)
    monkeypatch.setattr(shelf, "BLOCK", 2)


def test_a_packed_message_is_the_same():
    plain = [message(1),
             message(2, nested={"octets": b"\0\xff", "none": None, "pair": ("a", 1.5), "set": frozenset("x")})]
    on = shelved(*[one.but() for one in plain])
    for one, same in zip(on, plain):
        assert type(one) is Shelved and isinstance(one, Message)
        assert one.fields == same.fields and type(one.fields) is dict and one.protocol == "dns"
        assert one == same and same == one and not one != same and one != message(3)
        assert pickle.loads(pickle.dumps(one)) == same
        with pytest.raises(FrozenInstanceError):
            one.time = 5
    assert type(on[1].fields["nested"]["pair"]) is tuple


def test_it_is_changed_like_any_other():
    one, _, _ = shelved(message(1), message(2))
    other = one.but(time=7, transaction=3)
    assert (other.time, other.transaction, other.fields) == (7, 3, one.fields) and type(other) is Shelved
    assert one.but(fields={"id": 9}).fields == {"id": 9}
    assert one.but(fields={"id": 9}).adding(x=1).fields == {"id": 9, "x": 1}
    more = other.adding(session_events=("1 BOOT",)).adding(again=1)
    assert more.fields == {**message(1).fields, "session_events": ("1 BOOT",), "again": 1} and more.time == 7
    assert one.fields == message(1).fields and message(1).adding(x=1).fields == {**message(1).fields, "x": 1}


def test_the_latest_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(Shelf, "KEPT", 3)
    on = Shelf()
    for number in range(9):
        on.append(message(number))
        on.tidy()
    assert [type(one) is Shelved for one in on] == [True] * 6 + [False] * 3
    assert [one.time for one in on] == list(range(9)) and [one.fields["id"] for one in on] == list(range(9))


def test_kinds_lie_apart():
    on = shelved(message(1), message(2, "http.request"), message(3), message(4, "http.request"))
    blocks = [one.stored[0] for one in on[:4]]
    assert blocks[0] is blocks[2] and blocks[1] is blocks[3] and blocks[0] is not blocks[1]


def test_fields_of_a_type_of_its_own_are_left_alone():
    class Own:
        pass

    on = shelved(message(1, own=Own()), message(2))
    assert [type(one) for one in on[:2]] == [Message, Message] and on[1].fields == message(2).fields


def test_together_puts_what_has_one_key_into_one_block(monkeypatch):
    monkeypatch.setattr(shelf, "BLOCK", 4)
    on = shelved(*[message(number) for number in range(8)])
    together([(one.time % 2, one.but() if one.time == 3 else one) for one in on[:8]])
    assert len({one.stored[0] for one in on[0:8:2]}) == 1
    assert [one.fields["id"] for one in on[:8]] == list(range(8))


def test_together_holds_few_at_once(monkeypatch):
    monkeypatch.setattr(shelf, "_UNDER_WAY", 5)
    on = shelved(*[message(number) for number in range(40)])
    together((one.time % 10, one) for one in on[:40])
    assert [one.fields for one in on[:40]] == [message(number).fields for number in range(40)]
    plain = message(99)
    together([("x", plain)])
    assert type(plain) is Message


def test_together_keeps_what_was_added():
    one, other, _ = shelved(message(1), message(2))
    more = one.adding(extra=1)
    together([("a", more), ("a", other)])
    assert more.fields == {**message(1).fields, "extra": 1} and more.stored[2] is None


def test_opened_messages_are_plain_for_a_while():
    one, other, last = shelved(message(1), message(2))
    stored = one.stored
    with pytest.raises(KeyError), opened([one, other, last]):
        assert type(one) is type(other) is Message and one.fields is one.fields and one.fields == message(1).fields
        raise KeyError
    assert type(one) is type(other) is Shelved and one.stored == stored and type(last) is Message


def test_packed_messages_take_a_fraction():
    def room(kept: int) -> int:
        Shelf.KEPT, shelf.BLOCK = kept, 128
        tracemalloc.start()
        on = Shelf()
        for number in range(4000):
            on.append(message(number, headers={"host": "acs.example", "user-agent": f"unit/{number % 7}"}))
            on.tidy()
        shelf._opened.cache_clear()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    assert room(1) < room(10_000) / 2


def test_a_packed_result_is_the_same(attempt_of_many):
    kept = packed(attempt_of_many)
    assert kept == attempt_of_many and attempt_of_many == kept
    one, same = kept.attempts[0], attempt_of_many.attempts[0]
    assert len(one.events) == 3 and one.events[1:] == same.events[1:] and one.events[-1].fields == {"id": 2}
    assert list(reversed(one.steps)) == list(reversed(same.steps)) and hash(one.steps) == hash(same.steps)
    assert one.steps != () and bool(one.steps) and kept.attempts[1].events == () and not kept.attempts[1].events


@pytest.fixture
def attempt_of_many() -> DeviceResult:
    events = tuple(Event(number, "dns.query", "device", "server", (FrameRef(0, number),), (), ("udp",), "asks",
                         {"id": number}) for number in range(3))
    steps = (StepResult("a", "1", "seen"), StepResult("b", "2", "missing", reason="never"))
    full = AttemptResult("p", "title", "clause", "fail", 0, 2, steps, (), None, None, "stopped", events=events)
    return DeviceResult("d", {}, (), (full, AttemptResult("q", "", "", "pass", 0, 1, (), (), None, None, "")))


@pytest.fixture
def everything_packed(monkeypatch):
    """Every message is packed, and every result."""
    finish = Dissector.finish

    def finished(self: Dissector) -> None:
        finish(self)
        self.messages.tidy()

    monkeypatch.setattr(Dissector, "finish", finished)
    monkeypatch.setattr(shelf, "_UNDER_WAY", 20)
    monkeypatch.setattr(command, "MANY", 0)


@pytest.mark.parametrize("folder", sorted((SAMPLES / "ts32.583").glob("5.1.*")), ids=lambda folder: folder.name)
def test_a_packed_run_says_the_same(folder, everything_packed, monkeypatch):
    captures = sorted(map(str, folder.rglob("*.pcap*")))[:2]
    result, observation = check(captures, spend=True, keep=packed)
    assert shelf._opened.cache_info().hits and observation.messages == ()
    monkeypatch.setattr(Shelf, "KEPT", 10**9)
    plain, observation = check(captures)
    assert observation.messages and {type(one) for one in observation.messages} == {Message}
    assert as_json.to_json(result) | {"created": None} == as_json.to_json(plain) | {"created": None}
