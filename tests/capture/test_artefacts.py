"""What the opening of a capture tells of how it was taken."""

import pytest
from scapy.all import IP, TCP, UDP, Ether, IPv6, Raw

from flowcheck.capture.artefacts import artefacts
from flowcheck.capture.network import Network
from flowcheck.model import Frame

A, B = "192.0.2.1", "198.51.100.80"
MS = 1_000_000


def pairs(*made):
    """(time in ms, scapy packet) as frames with their packets."""
    network = Network()
    found = []
    for number, (at, packet) in enumerate(made, 1):
        data = bytes(packet)
        frame = Frame(number, round(at * MS), 1, data, len(data))
        found += [(frame, one) for one in network.packets(frame)]
    return found


def segment(src=A, dst=B, number=0, size=40, id=7, **more):
    return Ether() / IP(src=src, dst=dst, id=id) / TCP(sport=40000 if src == A else 80, dport=80 if src == A else 40000,
                                                       seq=number, flags="A", **more) / Raw(bytes(size))


def texts(*made):
    return [a.text for a in artefacts(pairs(*made))]


def test_an_ordinary_capture_has_none():
    assert texts(*[(n * 20, segment(id=n, number=n * 40)) for n in range(1, 20)],
                 *[(n, segment(B, A, id=0)) for n in range(400, 410)]) == []


def test_a_mirror_of_both_ports_shows_packets_twice():
    made = [(n * 20 + d, segment(id=n, number=n * 40)) for n in range(1, 8) for d in (0, 0.01)]
    assert texts(*made) == ["7 of the first 14 packets are there twice: the tap copies them (both ports of a mirror?)"]


# the same again after its timer, or with another identification
@pytest.mark.parametrize("later, id", [(300, 1), (0.01, 2)])
def test_a_retransmission_is_no_copy(later, id):
    assert texts(*[(n * 900 + d, segment(id=10 * n + (id if d else 1), number=n * 40)) for n in range(1, 8)
                   for d in (0, later)]) == []


def test_segments_larger_than_a_frame():
    found, = artefacts(pairs((1, segment(size=4000)), (2, segment())))
    assert "1 of the first 2 packets are larger than a frame (up to 4054 octets)" in found.text and found.hosts == {A} and not found.lossy


@pytest.mark.parametrize("layer", [IP(src=A, dst=B), IPv6(src="2001:db8::1", dst="2001:db8::2")])
@pytest.mark.parametrize("size", [0, 1, 40, 41])
def test_a_right_checksum_is_right(layer, size):
    assert texts(*[(n * 20, Ether() / layer / UDP(sport=5, dport=n) / Raw(bytes(range(size))))
                   for n in range(1, 8)]) == []


def test_checksums_that_the_network_card_was_to_compute():
    wrong = [(n * 20, segment(id=n, number=n * 40, chksum=0x1234)) for n in range(1, 5)]
    right = [(n * 20 + 5, segment(B, A, id=n, number=n * 40)) for n in range(1, 5)]
    found, = artefacts(pairs(*wrong, *right))
    assert f"checksums of packets from {A} are wrong" in found.text and "sending host" in found.text and found.hosts == {A} and not found.lossy
    assert "changed after they were sent" in texts(*wrong)[0]
    assert texts(*wrong[:2], *right) == [], "two may be damage on the way"


def test_a_capture_cut_short_says_nothing_of_checksums():
    frames = [(frame, packet._replace(missing=5)) for frame, packet in pairs(*[(n, segment(chksum=1, id=n)) for n in range(1, 9)])]
    assert artefacts(frames) == []


def test_jumps_of_a_counting_identification():
    ids = [*range(1, 9), 11, *range(12, 20)]                       # 9 and 10 are not there
    found, = artefacts(pairs(*[(n * 20, segment(id=id, number=n * 40)) for n, id in enumerate(ids)]))
    assert found.lossy and "about 2 packets to 198.51.100.80 were lost" in found.text


@pytest.mark.parametrize("ids", [[1, 2, 3, 9], list(range(0, 60, 3)), [7] * 20,
                                 [n * 977 % 65536 for n in range(1, 30)]])
def test_an_identification_that_does_not_count_by_one_says_nothing(ids):
    assert texts(*[(n * 20, segment(id=id, number=n * 40)) for n, id in enumerate(ids)]) == []
