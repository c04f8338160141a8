"""SSH: banners and key exchange in clear, the rest counted."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import ssh
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, FrameRef, Opaque

UP = Context(5, (FrameRef(0, 1),), Endpoint("10.0.0.1", 4000), Endpoint("10.0.0.2", 22), ("eth", "ip", "tcp"), 3)
DOWN = replace(UP, src=UP.dst, dst=UP.src)
SECOND = 10**9


def packet(body, padding=5):
    return struct.pack(">IB", len(body) + padding + 1, padding) + body + bytes(padding)


LISTS = [b"curve25519-sha256,ext-info-c", b"ssh-ed25519", *[b"aes128-ctr"] * 2, *[b"hmac-sha2-256"] * 2, *[b"none"] * 2,
         b"", b""]
KEXINIT = packet(b"\x14" + bytes(16) + b"".join(struct.pack(">I", len(x)) + x for x in LISTS) + bytes(5))
NEWKEYS = packet(b"\x15")
CLEAR = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" + KEXINIT + packet(b"\x1e" + bytes(40)) + NEWKEYS


def talk(pieces, step=None):
    conversation, tapes, found = ssh.Conversation(UP), (Tape(UP), Tape(DOWN)), []
    for number, (side, data, time) in enumerate(pieces, 1):
        for i in range(0, len(data), step or len(data)):
            tapes[side].append(data[i:i + (step or len(data))], FrameRef(0, number), time)
            found += conversation.feed(side, tapes[side]) or ()
    return found + list(conversation.end(0)) + list(conversation.end(1))


@pytest.mark.parametrize("step", [None, 1, 9])
def test_session(step):
    found = talk([(0, CLEAR, 1), (1, b"Welcome\r\n" + CLEAR, 2), (0, bytes(300), SECOND), (0, bytes(200), SECOND + 5),
                  (0, bytes(100), 9 * SECOND)], step)
    assert [m.kind for m in found] == ["ssh.version", "ssh.kexinit", "ssh.newkeys"] * 2 + ["ssh"]
    assert found[0].fields == {"version": "2.0", "software": "OpenSSH_9.2p1", "comments": "Debian-2",
                               "banner": "SSH-2.0-OpenSSH_9.2p1 Debian-2"}
    assert found[1].fields["kex_algorithms"] == ("curve25519-sha256", "ext-info-c")
    assert found[1].fields["languages_client_to_server"] == ()
    sealed = found[-1]
    assert isinstance(sealed, Opaque) and sealed.size == 600 and (sealed.start, sealed.end) == (SECOND, 9 * SECOND)
    assert [burst["size"] for burst in sealed.fields["bursts"]] == [500, 100]
    assert sealed.frames == (FrameRef(0, 3), FrameRef(0, 5))


def test_cut_at_every_length():
    whole = [m.kind for m in talk([(0, CLEAR, 1)])]
    for size in range(1, len(CLEAR)):
        found = talk([(0, CLEAR[:size], 1)])
        assert [m.kind for m in found] == whole[:len(found)] and not any(m.problems for m in found)


def test_disconnect_and_lying_length():
    banner = b"SSH-2.0-x\n"
    found = talk([(0, banner + packet(b"\x01" + struct.pack(">II", 2, 3) + b"bad"), 1)])
    assert found[1].fields == {"reason_code": 2, "reason": "PROTOCOL_ERROR", "description": "bad"}
    found = talk([(0, banner + packet(b"\x14" + bytes(16) + b"\xff\xff\xff\xff"), 1)])
    assert found[1].problems
    assert isinstance(talk([(0, banner + b"\xff" * 50, 1)])[-1], Opaque)


def test_lost_bytes_leave_only_counting():
    conversation, tape = ssh.Conversation(UP), Tape(UP)
    list(conversation.lost(0, 70))
    tape.append(bytes(30), FrameRef(0, 2), 1)
    assert not list(conversation.feed(0, tape)) and not len(tape)
    (sealed,) = conversation.end(0)
    assert sealed.size == 30 and sealed.fields["lost"] == 70


def test_bursts_are_bounded():
    found = talk([(0, CLEAR, 1)] + [(0, b"x", i * 2 * SECOND) for i in range(1, 200)])
    assert len(found[-1].fields["bursts"]) == 64 and found[-1].size == 199


def test_likely():
    assert ssh.likely(b"SSH-2.0-OpenSSH")
    assert ssh.likely(b"SSH-1.99-x\n", (2222, 1))
    assert not ssh.likely(b"SSH\r\n")
    assert not ssh.likely(b"")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=60), max_size=5))
def test_noise(pieces):
    talk([(0, data, 1) for data in pieces])
    talk([(1, b"SSH-2.0-x\r\n" + data, 1) for data in pieces], 3)
