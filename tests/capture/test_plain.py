"""Plain packets: the reader in Python, the one in C and the general path find the same."""

import importlib.util
import random
import struct
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.capture import network, plain
from flowcheck.capture.network import Network
from flowcheck.capture.reader import open_capture
from flowcheck.errors import CaptureError
from flowcheck.model import Frame, Packet

READERS = [plain, *([network.compiled] if network.COMPILED else [])]
A4, B4 = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 2])
A6, B6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")
UDP = struct.pack("!4H", 1234, 53, 13, 0) + b"hello"
IP4 = b"\x08\0" + struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(UDP), 0xFEDC, 0x4000, 64, 17, 0) + A4 + B4 + UDP
IP6 = b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(UDP), 17, 64) + A6 + B6 + UDP
TAG = b"\x81\0\0\5"
PLAIN = {"ip": bytes(12) + IP4, "vlan ip": bytes(12) + TAG + IP4, "padded": bytes(12) + IP4 + bytes(9),
         "ipv6": bytes(12) + IP6, "vlan ipv6": bytes(12) + TAG + IP6, "padded ipv6": bytes(12) + IP6 + bytes(9)}
PUBLIC = sorted(Path(__file__).parents[3].joinpath("shared/captures/public").rglob("*.*cap*"))


def frame(data, link=1, number=7, time=1_700_000_000_123_456_789, interface=0):
    return Frame(number, time, link, data, len(data), interface)


def read(module, frame):
    return module.Plain(Packet, network._Addresses(), plain.LAYERS, plain.UPON_IPV4, plain.UPON_IPV6).packet(frame)


def agreed(frame):
    """What all readers find in it, which then is what the general path finds."""
    first, *others = (read(module, frame) for module in READERS)
    assert all(other == first and type(other) is type(first) for other in others)
    if first is not None:
        general = Network()
        general._plain = lambda frame: None
        assert general.packets(frame) == [first]
    return first


@pytest.mark.parametrize("reader", READERS, ids=lambda module: module.__name__.rpartition(".")[2])
@pytest.mark.parametrize("name", PLAIN)
def test_what_a_plain_packet_is(reader, name):
    packet = read(reader, frame(PLAIN[name], number=1 << 40 | 7, interface=3))
    six = "ipv6" in name
    layers = (*(("eth", "vlan") if "vlan" in name else ("eth",)), "ipv6" if six else "ip")
    ends = ("2001:db8::1", "2001:db8::2") if six else ("192.0.2.1", "198.51.100.2")
    assert type(packet) is Packet and hash(packet)
    assert packet == Packet(1_700_000_000_123_456_789, (1 << 40 | 7,), 3, layers, *ends, 17, UDP, 0,
                            -1 if six else 0xFEDC)


@pytest.mark.parametrize("name", PLAIN)
def test_cut_at_every_length(name):
    whole = PLAIN[name]
    needed = len(whole) - (9 if "padded" in name else 0)
    assert [agreed(frame(whole[:size])) is not None for size in range(len(whole) + 1)] == [
        size >= needed for size in range(len(whole) + 1)]


@pytest.mark.parametrize("name", PLAIN)
def test_every_value_of_every_octet_of_the_headers(name):
    for at in range(12, len(PLAIN[name]) - len(UDP)):
        for value in {*range(0, 256, 7), *range(18), 44, 47, 50, 51, 58, 60, 97, 132, 137, 0x45, 0x60, 0x81, 0x86, 255}:
            data = bytearray(PLAIN[name])
            data[at] = value
            agreed(frame(bytes(data)))


@pytest.mark.parametrize("change", [
    dict(link=113), dict(link=1 << 40), dict(link=-1), dict(data=b""), dict(data=bytes(12) + TAG + TAG + IP4)])
def test_what_is_left_to_the_general_path(change):
    assert agreed(frame(**{"data": PLAIN["ip"], **change})) is None


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(PLAIN)), st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=5),
       st.integers(0, 100))
def test_noise(name, changes, size):
    data = bytearray(PLAIN[name])
    for at, value in changes:
        data[at % len(data)] = value
    agreed(frame(bytes(data[:size])))
    agreed(frame(bytes(data)))


@pytest.mark.skipif(not PUBLIC, reason="the public captures of ../shared are not there")
def test_public_captures_as_they_are_and_damaged():
    chance, plain_ones = random.Random(5), 0
    for path in PUBLIC:
        try:
            for number, one in enumerate(open_capture(path)):
                if number >= 300:
                    break
                plain_ones += agreed(one) is not None
                data = bytearray(one.data[:200])
                for _ in range(2):
                    if data:
                        data[chance.randrange(min(60, len(data)))] = chance.randrange(256)
                        agreed(one._replace(data=bytes(data[:chance.randint(0, len(data))])))
        except CaptureError:
            continue                           # some are no captures
    assert plain_ones > 1000


@pytest.mark.parametrize("reader", READERS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_nothing_is_held_of_packets_that_are_gone(reader):
    one, other = frame(PLAIN["ip"], number=1 << 41), frame(PLAIN["ipv6"], number=1 << 42)
    things = [Packet, plain.LAYERS[0], plain.LAYERS[2], one.data, other.data, one.time, one.number]
    before = [sys.getrefcount(thing) for thing in things]
    for _ in range(100):
        assert read(reader, one) and read(reader, other) and not read(reader, one._replace(data=b""))
    assert [sys.getrefcount(thing) for thing in things] == before


@pytest.mark.skipif(not network.COMPILED, reason="the reader in C was not compiled")
def test_what_is_no_frame_is_refused():
    good = (Packet, {}, plain.LAYERS, plain.UPON_IPV4, plain.UPON_IPV6)
    for wrong in ((int, *good[1:]), (*good[:2], plain.LAYERS[:3], *good[3:]), (*good[:4], b"short")):
        with pytest.raises((TypeError, ValueError)):
            network.compiled.Plain(*wrong)
    reader = network.compiled.Plain(*good)
    for wrong in (None, (), (1, 2), (1, 2, "link", b"", 0, 0), (1, 2, 1, "text", 0, 0), (1, 2, 1, bytearray(60), 0, 0)):
        with pytest.raises(TypeError):
            reader.packet(wrong)
    with pytest.raises(KeyError):              # of an address whose text nobody knows
        reader.packet(frame(PLAIN["ip"]))


def test_without_the_compiled_reader_or_with_an_older_one_python_does_it(monkeypatch):
    for stand_in in (None, ModuleType("older")):
        monkeypatch.setitem(sys.modules, "flowcheck.capture._plain", stand_in)
        monkeypatch.delattr("flowcheck.capture._plain", raising=False)
        found = importlib.util.spec_from_file_location("flowcheck.capture.network_again", network.__file__)
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        assert not module.COMPILED and module.Plain is plain.Plain
