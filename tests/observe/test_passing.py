"""What passes by in lanes is found as if every packet had been looked at: each capture is read with lanes and without."""

import importlib.util
import random
import struct
import sys
from ipaddress import ip_address
from types import ModuleType

import pytest

from flowcheck.capture import bypass, lanes
from flowcheck.capture.bypass import Bypass
from flowcheck.decode import _http_body, tls
from flowcheck.observe import observation

SECOND = 1_000_000_000
SCANNERS = [lanes, *([bypass.compiled] if bypass.COMPILED else [])]


@pytest.fixture(params=SCANNERS, ids=lambda module: module.__name__.rpartition(".")[2])
def scanner(request, monkeypatch):
    """Both the scanner in Python and, where it could be compiled, the one in C."""
    monkeypatch.setattr(bypass, "Scanner", request.param.Scanner)
    monkeypatch.setattr("flowcheck.observe.passing.Lane", request.param.Lane)
    return request.param


# ---------------------------------------------------------------------------------------------------- packets

def ip(src, dst, protocol, data, identification=7, fragment=0):
    a, b = ip_address(src), ip_address(dst)
    if a.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(data), protocol, 64) + a.packed + b.packed + data
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), identification, fragment, 64, protocol,
                       0) + a.packed + b.packed + data


def udp(src, sport, dst, dport, data):
    return ip(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data)


def tcp(src, sport, dst, dport, seq, ack, flags=0x10, data=b""):
    return ip(src, dst, 6, struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, 0x50, flags, 9000,
                                       0, 0) + data)


def esp(src, dst, spi, sequence, size=200, carried=True):
    data = struct.pack("!II", spi, sequence) + random.Random(sequence).randbytes(size)
    return udp(src, 4500, dst, 4500, data) if carried else ip(src, dst, 50, data)


def gtp(inner, flags=0x30, src="10.7.0.1", dst="10.7.0.2"):
    more = b"\0\x09\0\0" if flags & 2 else b""
    return udp(src, 2152, dst, 2152, struct.pack("!BBHI", flags, 255, len(inner) + len(more), 77) + more + inner)


LINKS = {"ethernet": (1, lambda p: bytes(12) + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\0") + p),
         "vlan": (1, lambda p: bytes(12) + b"\x81\0\0\x05" + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\0") + p),
         "two tags": (1, lambda p: bytes(12) + b"\x88\xa8\0\x05\x81\0\0\x06"
                      + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\0") + p),
         "raw": (101, lambda p: p),
         "cooked": (113, lambda p: b"\0\0\0\1\0\6" + bytes(8) + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\0") + p)}


def pcap(frames, link=1, order="<"):
    return struct.pack(order + "IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 0, link) + b"".join(
        struct.pack(order + "IIII", time // SECOND, time % SECOND // 1000, len(data), max(original, len(data))) + data
        for time, data, original in frames)


def pcapng(frames, link=1, order="<", options=b""):
    out = [struct.pack(order + "IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28),
           struct.pack(order + "IIHHII", 1, 20, link, 0, 0, 20)]
    for time, data, original in frames:
        padded = data + bytes(-len(data) % 4)
        size = 32 + len(padded) + len(options)
        ticks = time // 1000
        out.append(struct.pack(order + "7I", 6, size, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data),
                               max(original, len(data))) + padded
                   + options + struct.pack(order + "I", size))
    return b"".join(out)


def with_flags(frames, link=1, order="<"):
    """Every packet says in which direction it went."""
    return pcapng(frames, link, order, struct.pack(order + "HHIHH", 2, 4, 1, 0, 0))


WRITERS = {"pcap": pcap, "pcapng": pcapng, "pcapng with flags": with_flags}


# ---------------------------------------------------------------------------------------------------- flows

def download(number, size=400_000, media="application/octet-stream", v6=False, wrap=lambda p: p, chunked=0,
             start=5_000):
    """A connection that fetches a file, as a list of packets."""
    client, server = (f"2001:db8::{number:x}", "2001:db8::ffff") if v6 else (f"10.1.0.{number}", "10.1.1.1")
    ask = b"GET /image HTTP/1.1\r\nHost: files.example\r\n\r\n"
    body = random.Random(number).randbytes(size)
    if chunked:
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part)
                        for part in (body[i:i + chunked] for i in range(0, size, chunked))) + b"0\r\n\r\n"
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n\r\n" % (media.encode(), length) + body
    mine, theirs, port = start, 2**32 - 100_000, 33000 + number

    def up(flags=0x10, data=b""):
        return wrap(tcp(client, port, server, 8080, mine, theirs if flags != 2 else 0, flags, data))

    def down(flags=0x10, data=b""):
        return wrap(tcp(server, 8080, client, port, theirs, mine, flags, data))
    out = [up(2)]
    mine += 1
    out.append(down(0x12))
    theirs += 1
    out += [up(), up(0x18, ask)]
    mine += len(ask)
    for at in range(0, len(reply), 1300):
        out.append(down(data=reply[at:at + 1300]))
        theirs += len(reply[at:at + 1300])
        if at % 2600:
            out.append(up())
    out.append(up())
    out.append(down(0x11))
    theirs += 1
    out += [up(0x11), down()]
    return out


def records(number, count=12, size=16_000):
    """A connection of TLS that was established before the capture began: application data in large and small records."""
    port, theirs, out = 46000 + number, 7_000, []
    chance = random.Random(number)
    data = b"".join(b"\x17\x03\x03" + struct.pack("!H", length) + chance.randbytes(length)
                    for length in (size if at % 3 else 300 for at in range(count)))
    for at in range(0, len(data), 1300):
        out.append(tcp("10.6.1.1", 443, "10.6.0.1", port, theirs + at, 1, 0x10, data[at:at + 1300]))
        if at % 2600:
            out.append(tcp("10.6.0.1", port, "10.6.1.1", 443, 1, theirs + at))
    return [*out, tcp("10.6.1.1", 443, "10.6.0.1", port, theirs + len(data), 1, 0x11),
            tcp("10.6.0.1", port, "10.6.1.1", 443, 1, theirs + len(data) + 1, 0x11)]


def sealed(number, count=300, carried=True, v6=False, step=1):
    src, dst = (f"2001:db8:1::{number:x}", "2001:db8:1::ffff") if v6 else (f"10.2.0.{number}", "10.2.1.1")
    return [esp(*((src, dst) if way else (dst, src)), 0x10000 + number * 2 + way, 1 + at * step, carried=carried)
            for at in range(count) for way in (0, 1)]


def unread(number, count=100, wrap=lambda p: p, v6=False):
    src, dst = (f"2001:db8:2::{number:x}", "2001:db8:2::ffff") if v6 else (f"10.3.0.{number}", "10.3.1.1")
    return [wrap(udp(*((src, 40000, dst, 40002) if at % 2 else (dst, 40002, src, 40000)),
                     b"\x11" * 60 + bytes([at & 255]))) for at in range(count)]


def unread_stream(number, count=200):
    port = 44000 + number
    talk = [tcp("10.4.0.1", port, "10.4.1.1", 9999, 0, 0, 2), tcp("10.4.1.1", 9999, "10.4.0.1", port, 0, 1, 0x12),
            tcp("10.4.0.1", port, "10.4.1.1", 9999, 1, 1)]
    for at in range(count):
        talk.append(tcp("10.4.1.1", 9999, "10.4.0.1", port, 1 + 700 * at, 1, 0x10, b"\xaa" * 700))
        talk.append(tcp("10.4.0.1", port, "10.4.1.1", 9999, 1, 1 + 700 * (at + 1)))
    return [*talk, tcp("10.4.1.1", 9999, "10.4.0.1", port, 1 + 700 * count, 1, 0x11),
            tcp("10.4.0.1", port, "10.4.1.1", 9999, 1, 2 + 700 * count, 0x11)]


def question(number):
    name = b"\x04host\x07example\0"
    return udp(f"10.5.0.{number}", 5353, "10.5.1.1", 53, struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + name
               + b"\0\1\0\1")


FLOWS = {
    "esp": lambda: sealed(1), "bare esp": lambda: sealed(2, carried=False), "esp, ipv6": lambda: sealed(3, v6=True),
    "esp of which most is missing": lambda: sealed(4, step=3), "unread": lambda: unread(1),
    "unread, ipv6": lambda: unread(2, v6=True),
    "gtp": lambda: unread(3, wrap=gtp), "gtp with numbers": lambda: unread(4, wrap=lambda p: gtp(p, 0x32)),
    "gtp, ipv6 inside": lambda: unread(5, v6=True, wrap=gtp),
    "gtp, ipv6 outside": lambda: unread(6, wrap=lambda p: gtp(p, src="2001:db8:7::1", dst="2001:db8:7::2")),
    "download": lambda: download(1), "download, ipv6": lambda: download(2, v6=True),
    "download in gtp": lambda: download(3, wrap=gtp),
    "chunks": lambda: download(4, chunked=150_000), "small chunks": lambda: download(5, chunked=9_000),
    "a wanted body": lambda: download(6, media="text/xml"), "two on the same ports": lambda: download(7)
    + download(7, start=90_000_000),
    "unread stream": lambda: unread_stream(1), "tls": lambda: records(1),
}


def stamped(packets, step=1_000_000, begin=1_700_000_000 * SECOND):
    return [(begin + at * step, packet) for at, packet in enumerate(packets)]


def mixed(flows, chance):
    """All flows, interleaved, each in its own order; lookups in between."""
    waiting, out = [list(flow) for flow in flows], []
    while any(waiting):
        flow = chance.choice([flow for flow in waiting if flow])
        out += [flow.pop(0) for _ in range(min(len(flow), chance.randint(1, 40)))]
        if chance.random() < 0.1:
            out.append(question(chance.randrange(250)))
    return out


def look_at_everything(patch):
    """No lane is opened, and no decoder leaves anything out."""
    patch.setattr(Bypass, "open", lambda self, key, lane: False)
    patch.setattr(_http_body, "_WORTH", lanes.ENDLESS << 1)
    patch.setattr(tls, "_WORTH", lanes.ENDLESS << 1)


def facts(path, everything=False):
    """What is observed, and how many packets passed by."""
    taps = []
    tap_for = observation._tap_for
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observation, "_tap_for", lambda *given: taps.append(tap_for(*given)) or taps[-1])
        if everything:
            look_at_everything(patch)
        seen = observation.observe([str(path)])
    infos = [(c.packets, c.first, c.last, c.grade, c.remarks, dict(c.undecoded)) for c in seen.captures]
    return (infos, seen.messages, seen.opaque, seen.gaps,
            seen.window), sum({id(t): t.dissector.bypass.scanner.passed for t in taps}.values())


def compared(tmp_path, content):
    path = tmp_path / "capture"
    path.write_bytes(content)
    passed, count = facts(path)
    looked_at, none = facts(path, everything=True)
    assert none == 0
    for one, other in zip(passed, looked_at, strict=True):
        assert one == other
    return count


@pytest.mark.parametrize("name", FLOWS)
def test_each_kind_of_flow(name, scanner, tmp_path):
    packets = [question(1)] * 300 + FLOWS[name]()            # the first packets of a file always take the full way
    frames = [(time, LINKS["ethernet"][1](packet), 0) for time, packet in stamped(packets)]
    count = compared(tmp_path, pcap(frames))
    assert count > 0.5 * (len(packets) - 300) or name in ("a wanted body", "small chunks")


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", WRITERS)
def test_each_link_and_format(link, order, kind, scanner, tmp_path):
    packets = mixed([sealed(1, 200), unread(3, 100, gtp), download(1, 200_000), sealed(3, 80, v6=True)],
                    random.Random(1))
    number, framed = LINKS[link]
    frames = [(time, framed(packet), 0) for time, packet in stamped([question(1)] * 256 + packets)]
    assert compared(tmp_path, WRITERS[kind](frames, number, order)) > 0.3 * len(packets)


def damaged(packets, chance):
    """Packets lost, twice, swapped, with other times, cut, in fragments, with octets changed."""
    frames, time = [], 1_700_000_000 * SECOND
    packets = list(packets)
    for _ in range(len(packets) // 40):
        at = chance.randrange(len(packets) - 1)
        what = chance.randrange(4)
        if what == 0:
            del packets[at]
        elif what == 1:
            packets.insert(at, packets[at])
        elif what == 2:
            packets[at], packets[at + 1] = packets[at + 1], packets[at]
        else:
            changed = bytearray(packets[at])
            changed[chance.randrange(len(changed))] = chance.randrange(256)
            packets[at] = bytes(changed)
    for packet in packets:
        time += chance.choice((1000, 1_000_000, 1_000_000, 1_000_000, 40_000_000))
        step = chance.random()
        if step < 0.002:
            time += chance.choice((-3, 2, 70, 500)) * SECOND
        frame = LINKS["vlan" if step > 0.99 else "ethernet"][1](packet)
        original = len(frame)
        if 0.01 < step < 0.014:
            frame = frame[:chance.randrange(20, len(frame))]
        elif step < 0.018:
            frame += b"\0" * chance.randrange(1, 9)
        frames.append((time, frame, original))
    return frames


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_to_packets(seed, scanner, tmp_path):
    chance = random.Random(seed)
    names = chance.sample(sorted(FLOWS), 6)
    frames = damaged(mixed([FLOWS[name]() for name in names], chance), chance)
    count = compared(tmp_path, chance.choice(list(WRITERS.values()))(frames))
    assert count > 0


def ike_with_the_spi_of(packet):
    """An IKE message that begins with the SPI and the next sequence number of an ESP packet; each part of it fits."""
    header = packet[28:36] + b"\7" * 8
    nonce = struct.pack("!BBH", 0, 0, 36) + b"n" * 32
    ends = [str(ip_address(end)) for end in (packet[12:16], packet[16:20])]
    return udp(ends[0], 4500, ends[1], 4500, header + struct.pack("!BBBBII", 40, 0x20, 34, 8, 0, 28 + len(nonce))
               + nonce)


def surprises(packet):
    """What may come in the place of this packet, in a flow of which nothing is wanted."""
    protocol, source, target = packet[9], packet[12:16], packet[16:20]
    yield "fragment", packet[:6] + b"\x20\0" + packet[8:], 0
    yield "rest of a fragment", packet[:6] + b"\0\x09" + packet[8:], 0
    yield "option", b"\x46" + packet[1:2] + struct.pack("!H",
                                                        len(packet) + 4) + packet[4:20] + b"\1\1\1\0" + packet[20:], 0
    yield "cut", packet[:60], len(packet)
    yield "cut behind its end", packet, len(packet) + 6
    yield "shorter than it says", packet[:-9], 0
    yield "no octets", packet[:2] + b"\0\x14" + packet[4:20], 0
    if protocol == 6:
        sequence, acknowledged = struct.unpack_from("!II", packet, 24)
        for name, flags in (("syn", 2), ("fin", 0x11), ("rst", 4), ("rst and ack", 0x14)):
            yield name, packet[:20] + struct.pack("!HHIIBBHHH", *struct.unpack_from("!HH", packet, 20), sequence,
                                                   acknowledged, 0x50, flags, 9000, 0, 0), 0
        yield "header length", packet[:32] + b"\x40" + packet[33:], 0
    elif packet[20:22] == b"\x11\x94":
        yield "ike", ike_with_the_spi_of(packet), 0
        yield "keepalive", ip(str(ip_address(source)), str(ip_address(target)), 17,
                              struct.pack("!HHHH", 4500, 4500, 9, 0) + b"\xff"), 0


@pytest.mark.parametrize("name", ["esp", "bare esp", "unread", "download", "unread stream", "gtp", "tls"])
def test_surprises(name, scanner, tmp_path):
    packets = [question(1)] * 256 + FLOWS[name]()
    middle = 256 + (len(packets) - 256) * 2 // 3
    of_ways = (middle, middle + 1)                  # one packet of each direction, or two of one
    counts = set()
    for place in of_ways:
        for _, packet, original in surprises(packets[place]):
            framed = [(LINKS["ethernet"][1](p), 0) for p in packets]
            framed[place] = LINKS["ethernet"][1](packet), original + 14 if original else 0
            counts.add(compared(tmp_path, pcap([(time, *rest) for time, rest in stamped(framed)])) > 20)
    assert counts == {True}


def test_a_new_sa_of_the_same_hosts_and_a_rest_without_an_end(scanner, tmp_path):
    again = [esp("10.2.0.1", "10.2.1.1", 0x7777, 1 + at) for at in range(200)]
    alternating = [esp("10.2.0.1", "10.2.1.1", 0x7777 + at % 2, 201 + at // 2) for at in range(40)]
    packets = [*sealed(1, 200), *again, *alternating, *download(9, 300_000)[:180]]
    frames = [(time, LINKS["ethernet"][1](packet), 0) for time, packet in stamped([question(1)] * 256 + packets)]
    assert compared(tmp_path, pcap(frames)[:-7]) > 400


def test_drops_told_in_packets_are_counted(scanner, tmp_path):
    frames = [(time, LINKS["ethernet"][1](packet), 0) for time, packet in stamped([question(1)] * 256 + sealed(1, 200))]
    dropped = struct.pack("<HHQ", 4, 8, 3)
    compared(tmp_path, pcapng(frames, options=dropped))
    infos = facts(tmp_path / "capture")[0][0]
    assert any(f"dropped {3 * len(frames)} packets" in remark for remark in infos[0][4])


def test_what_passed_is_counted_in_the_files_it_was_in(scanner, tmp_path):
    """Rotated files: lanes go on from one to the next."""
    frames = [(time, LINKS["ethernet"][1](packet), 0) for time, packet in stamped(mixed([sealed(1, 900), unread(1, 900)], random.Random(3)))]
    parts = [frames[:900], frames[900:1800], frames[1800:]]
    paths = []
    for number, part in enumerate(parts):
        paths.append(tmp_path / f"{number}.pcap")
        paths[-1].write_bytes(pcap(part))
    passed = observation.observe([str(p) for p in paths])
    with pytest.MonkeyPatch.context() as patch:
        look_at_everything(patch)
        looked_at = observation.observe([str(p) for p in paths])
    assert passed.taps == (0, 0, 0)
    assert passed == looked_at
    assert [c.packets for c in passed.captures] == [len(part) for part in parts]


def test_without_the_compiled_scanner_or_with_an_older_one_python_does_it(monkeypatch):
    for stand_in in (None, ModuleType("older")):
        monkeypatch.setitem(sys.modules, "flowcheck.capture._lanes", stand_in)
        monkeypatch.delattr("flowcheck.capture._lanes", raising=False)
        found = importlib.util.spec_from_file_location("flowcheck.capture.bypass_again", bypass.__file__)
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        assert not module.COMPILED and module.Scanner is lanes.Scanner and module.Lane is lanes.Lane
