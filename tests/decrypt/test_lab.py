"""Recorded tunnels: everything in ESP opens, and what comes out is what the tap inside the tunnel saw."""

import struct
from collections import Counter
from pathlib import Path

import pytest

from flowcheck.decode import ike
from flowcheck.decrypt.keys import KeyRing
from flowcheck.model import Context, Endpoint, FrameRef, Message, Opaque, Payload

LAB = Path(__file__).parents[3] / "shared" / "captures" / "lab"
FOREIGN_KEYS = "A90_511_keys_of_another_run"
PAIRED = sorted(d.name for d in LAB.glob("*") if (d / "keys" / "esp_sa").exists() and (d / "hnb_inner.pcap").exists())

pytestmark = pytest.mark.skipif(not LAB.is_dir(), reason="the lab captures are not beside this repository")


def packets(path):
    """(number, time, IP packet) of a classic pcap with Ethernet or raw IP frames; enough for these files."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link, at, number = struct.unpack_from(order + "I", data, 20)[0], 24, 0
    while at + 16 <= len(data):
        seconds, part, size, _ = struct.unpack_from(order + "IIII", data, at)
        frame, at, number = data[at + 16:at + 16 + size], at + 16 + size, number + 1
        if link == 1 and frame[12:14] not in (b"\x08\x00", b"\x86\xdd"):
            continue
        ip = frame[14:] if link == 1 else frame
        if ip[0] >> 4 in (4, 6):
            yield number, seconds * 10**9 + part, ip[:_length(ip)]


def _length(ip):
    return int.from_bytes(ip[2:4], "big") if ip[0] >> 4 == 4 else 40 + int.from_bytes(ip[4:6], "big")


def dissect(path, ring):
    """What the IKE decoder makes of the IPv4 UDP flows of the file."""
    flows, out = {}, []
    for number, time, ip in packets(path):
        if ip[0] >> 4 != 4 or ip[9] != 17:
            continue
        body = ip[4 * (ip[0] & 15):]
        src, dst = (Endpoint(".".join(map(str, ip[at:at + 4])), int.from_bytes(body[port:port + 2], "big")) for at,
                    port in ((12, 0), (16, 2)))
        context = Context(time, (FrameRef(0, number),), src, dst, ("eth", "ip", "udp"), 1, secrets=ring)
        key = tuple(sorted((src, dst)))
        if key not in flows:
            if not ike.likely(body[8:], (src.port, dst.port)):
                continue
            flows[key] = ike.Flow(context)
        out += flows[key].datagram(body[8:], context)
    for flow in flows.values():
        out += flow.end()
    return out


SOME = [name for name in PAIRED if name[0] in "AB"][::4] + [name for name in PAIRED if name.startswith(("C4", "B06"))]


@pytest.mark.parametrize("name", SOME)
def test_the_tunnel_opens_to_what_was_inside(name):
    ring = KeyRing()
    ring.load(LAB / name / "keys")
    found = dissect(LAB / name / "hnb_outer.pcap", ring)
    outer = Counter(item.data for item in found if isinstance(item, Payload))
    if not outer:
        pytest.skip("no ESP over IPv4 in this one")
    inner = Counter(ip for _, _, ip in packets(LAB / name / "hnb_inner.pcap"))
    assert outer == inner and not [item for item in found if isinstance(item, Opaque)] and not ring.rejected
    sealed = [m for m in found if isinstance(m, Message) and "decrypted" in m.fields and "fragment" not in m.fields]
    assert all(m.fields["decrypted"] for m in sealed)


def test_keys_of_another_run_open_nothing():
    ring = KeyRing()
    ring.load(LAB / FOREIGN_KEYS / "keys")
    found = dissect(LAB / FOREIGN_KEYS / "hnb_outer.pcap", ring)
    assert not [item for item in found if isinstance(item, Payload)]
    opaque = [item for item in found if isinstance(item, Opaque)]
    assert opaque and all(item.fields["keys"] == "do not fit" for item in opaque) and ring.rejected
    sealed = [m for m in found if isinstance(m, Message) and "decrypted" in m.fields]
    assert sealed and all(m.fields["keys"] == "do not fit" for m in sealed)
