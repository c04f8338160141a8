"""DTLS: records and fragments in every order, lost, cut, and among noise."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import dtls
from flowcheck.model import Context, Endpoint, FrameRef, Message, Opaque

CLIENT, SERVER = Endpoint("198.51.100.11", 54013), Endpoint("203.0.113.20", 5684)


def u16(number):
    return number.to_bytes(2, "big")


def vector(size, data):
    return len(data).to_bytes(size, "big") + data


def fragment(kind, body, sequence=0, offset=0, size=None):
    part = body[offset:] if size is None else body[offset:offset + size]
    return (bytes([kind]) + len(body).to_bytes(3, "big") + u16(sequence) + offset.to_bytes(3, "big")
            + len(part).to_bytes(3, "big") + part)


def record(kind, data, sequence=0, epoch=0, version=0xFEFD):
    return bytes([kind]) + u16(version) + u16(epoch) + sequence.to_bytes(6, "big") + vector(2, data)


SNI = u16(0) + vector(2, vector(2, b"\0" + vector(2, b"prov.example")))
HELLO = (u16(0xFEFD) + bytes(range(32)) + b"\0" + vector(1, b"cookie") + vector(2, u16(0xC0A8)) + vector(1, b"\0")
         + vector(2, SNI))
ANSWER = u16(0xFEFD) + bytes(32) + b"\0" + u16(0xC0A8) + b"\0"
VERIFY = u16(0xFEFF) + vector(1, b"cookie")
EXPECTED = {"version": "DTLS 1.2", "sni": "prov.example", "cookie": b"cookie".hex(),
            "cipher_suites": ["TLS_PSK_WITH_AES_128_CCM_8"]}


class Talk:
    def __init__(self):
        self.number, self.out = 0, []
        self.flow = dtls.Flow(self.place(CLIENT, SERVER))

    def place(self, src, dst):
        return Context(self.number * 1000, (FrameRef(0, self.number),), src, dst, ("eth", "ip", "udp"), 9)

    def send(self, side, *records):
        self.number += 1
        ends = (CLIENT, SERVER) if side == 0 else (SERVER, CLIENT)
        self.out += self.flow.datagram(b"".join(records), self.place(*ends))
        return self

    def close(self):
        self.out += self.flow.end()
        return self

    @property
    def messages(self):
        return [item for item in self.out if isinstance(item, Message)]


def test_a_handshake():
    talk = Talk().send(0, record(22, fragment(1, HELLO))).send(1, record(22, fragment(3, VERIFY)))
    talk.send(0, record(22, fragment(1, HELLO, 1), 1)).send(
        1, record(22, fragment(2, ANSWER, 1), 1), record(22, fragment(12, vector(2, b"hint"), 2), 2),
        record(22, fragment(14, b"", 3), 3))
    talk.send(0, record(22, fragment(16, vector(2, b"ue-0001"), 2), 2), record(20, b"\1", 3),
              record(22, bytes(40), 0, 1))
    talk.send(1, record(20, b"\1", 4), record(22, bytes(40), 0, 1)).send(1, record(21, bytes(18), 1, 1))
    assert [m.kind for m in talk.messages] == [
        "dtls.client_hello", "dtls.hello_verify_request", "dtls.client_hello", "dtls.server_hello",
        "dtls.server_key_exchange", "dtls.server_hello_done", "dtls.client_key_exchange", "dtls.change_cipher_spec",
        "dtls.encrypted_handshake", "dtls.change_cipher_spec", "dtls.encrypted_handshake", "dtls.encrypted_alert"]
    fields = {m.kind: m.fields for m in talk.messages}
    assert EXPECTED.items() <= fields["dtls.client_hello"].items()
    assert fields["dtls.server_hello"]["cipher_suite"] == "TLS_PSK_WITH_AES_128_CCM_8"
    assert fields["dtls.server_key_exchange"]["psk_identity_hint"] == "hint"
    assert fields["dtls.client_key_exchange"]["psk_identity"] == "ue-0001"
    assert not any(m.problems for m in talk.messages)
    assert all(set(m.fields) <= set(dtls.KINDS[m.kind]) for m in talk.messages)


@pytest.mark.parametrize("size", [1, 7, 30, 60])
def test_fragments_in_any_order_overlapping_and_repeated(size):
    pieces = [record(22, fragment(1, HELLO, 0, at, size), at) for at in range(0, len(HELLO), max(1, size - 3))]
    random.Random(size).shuffle(pieces)
    talk = Talk()
    for piece in pieces + pieces[:1]:
        talk.send(0, piece)
    message, = talk.messages
    assert EXPECTED.items() <= message.fields.items() and len(message.frames) <= len(pieces)


def test_a_retransmission_comes_out_again():
    talk = Talk().send(0, record(22, fragment(1, HELLO))).send(0, record(22, fragment(1, HELLO), 1))
    assert [m.kind for m in talk.messages] == ["dtls.client_hello"] * 2


def test_sealed_data_is_counted():
    talk = Talk().send(0, record(22, fragment(1, HELLO)))
    for number in range(20):
        talk.send(0, record(23, bytes(50), number, 1)).send(1, record(23, bytes(80), number, 1))
    up, down = [item for item in talk.close().out if isinstance(item, Opaque)]
    assert (up.kind, up.src, up.size, up.packets) == ("dtls", CLIENT, 1000, 20)
    assert (down.src, down.size, down.fields["records"]) == (SERVER, 1600, 20)


def test_an_alert_in_clear():
    message, = Talk().send(1, record(21, b"\2\x73")).messages
    assert message.fields == {"side": "server", "level": "fatal", "description": "unknown_psk_identity"}


def test_cut_at_every_length():
    datagram = record(22, fragment(1, HELLO)) + record(21, b"\2\x28", 1)
    for size in range(len(datagram)):
        for message in Talk().send(0, datagram[:size]).close().messages:
            if message.incomplete:
                assert all(EXPECTED.get(key, value) == value or EXPECTED[key][:len(value)] == value
                           for key, value in message.fields.items())
            else:
                assert EXPECTED.items() <= message.fields.items()


def test_many_unfinished_messages_stay_bounded():
    talk = Talk()
    for number in range(500):
        talk.send(0, record(22, fragment(1, bytes(9000), number, 10, 20), number))
    assert len(talk.flow.partial[0]) <= 16


def test_likely():
    hello = record(22, fragment(1, HELLO))
    assert dtls.likely(hello) and dtls.likely(hello + record(20, b"\1")) and dtls.likely(record(23, bytes(30), 1, 1))
    assert dtls.likely(hello[:60])
    for other in (b"", b"GET /", hello[1:], hello + b"junk", record(23, bytes(30)), record(22, b"\x63" * 30),
                  bytes(20), b"\x00\x01\x00\x00" * 5, hello.replace(b"\xfe\xfd", b"\x03\x03", 1)):
        assert not dtls.likely(other)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.one_of(st.binary(max_size=60), st.builds(
    lambda kind, body, epoch, number: record(22, fragment(kind, body, number), number, epoch),
    st.integers(0, 26), st.binary(max_size=60), st.integers(0, 1), st.integers(0, 3)))), max_size=8))
def test_noise(datagrams):
    talk = Talk()
    for side, data in datagrams:
        talk.send(side, data)
    assert all(m.kind in dtls.KINDS for m in talk.close().messages)
