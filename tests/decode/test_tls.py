"""TLS in clear: messages written out octet by octet, fed whole, in pieces, cut, with holes, and among noise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import tls
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, FrameRef, Message, Opaque

CLIENT, SERVER = Endpoint("198.51.100.21", 40000), Endpoint("192.0.2.80", 8443)
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def u16(*numbers):
    return b"".join(n.to_bytes(2, "big") for n in numbers)


def vector(size, data):
    return len(data).to_bytes(size, "big") + data


def extension(number, data):
    return u16(number) + vector(2, data)


def handshake(number, body):
    return bytes([number]) + vector(3, body)


def record(kind, data, version=0x0303):
    return bytes([kind]) + u16(version) + vector(2, data)


SNI = extension(0, vector(2, b"\0" + vector(2, b"HMS.example")))
ALPN = extension(16, vector(2, vector(1, b"h2") + vector(1, b"http/1.1")))
VERSIONS = extension(43, vector(1, u16(0x7A7A, 0x0304, 0x0303)))
SHARE = extension(51, vector(2, u16(29) + vector(2, bytes(32))))


def client_hello(*extensions, version=0x0303, session=b"", suites=(0x1301, 0xC02F, 0x0A0A, 0xEEEE)):
    return handshake(1, u16(version) + bytes(range(32)) + vector(1, session) + vector(2, u16(*suites))
                     + vector(1, b"\0")
                     + (vector(2, b"".join(extensions)) if extensions else b""))


def server_hello(*extensions, version=0x0303, suite=0xC02F, session=b"", random=bytes(32)):
    return handshake(2, u16(version) + random + vector(1, session) + u16(suite) + b"\0"
                     + (vector(2, b"".join(extensions)) if extensions else b""))


HELLO = client_hello(SNI, ALPN, VERSIONS, SHARE, extension(35, b""), extension(65000, b"?"))
CASES = [   # (octets from the client, octets from the server, [(kind, fields that must be there)])
    (record(22, HELLO, 0x0301), b"", [("tls.client_hello", {
        "version": "TLS 1.3", "legacy_version": "TLS 1.2", "sni": "HMS.example", "alpn": ["h2", "http/1.1"],
        "cipher_suites": ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "GREASE", "SUITE_0xEEEE"],
        "supported_versions": ["GREASE", "TLS 1.3", "TLS 1.2"], "key_share": ["x25519"], "ticket": False,
        "extensions": ["server_name", "application_layer_protocol_negotiation", "supported_versions", "key_share",
                       "session_ticket", "EXTENSION_65000"]})]),
    (record(22, client_hello(version=0x0300), 0x0300), b"", [("tls.client_hello", {"version": "SSL 3.0"})]),
    (record(22, HELLO), record(22, server_hello(extension(43, u16(0x0304)), extension(51, u16(29) + vector(2, bytes(32))),
                                                suite=0x1303)),
     [("tls.client_hello", {}), ("tls.server_hello", {"version": "TLS 1.3", "cipher_suite": "TLS_CHACHA20_POLY1305_SHA256",
                                                      "hello_retry": False, "resumed": False, "key_share": "x25519"})]),
    (b"", record(22, server_hello(extension(43, u16(0x0304)), extension(51, u16(24)), random=RETRY)),
     [("tls.server_hello", {"hello_retry": True, "key_share": "secp384r1"})]),
    (record(22, client_hello(session=b"s" * 32)), record(22, server_hello(session=b"s" * 32)) + record(20, b"\1"),
     [("tls.client_hello", {}), ("tls.server_hello", {"resumed": True, "version": "TLS 1.2"}),
      ("tls.change_cipher_spec", {"side": "server", "resumed": True})]),
    (b"", record(22, server_hello() + handshake(12, b"\x03" + u16(23) + bytes(60)) + handshake(
        13, vector(1, b"\x01\x40") + vector(2, u16(0x0403)) + vector(2, b"")) + handshake(14, b"")),
     [("tls.server_hello", {}), ("tls.server_key_exchange", {"group": "secp256r1"}),
      ("tls.certificate_request", {"certificate_types": ["rsa_sign", "ecdsa_sign"], "authorities": [],
                                   "signature_algorithms": ["ecdsa_secp256r1_sha256"]}),
                                   ("tls.server_hello_done", {})]),
    (record(21, b"\x02\x30"), b"", [("tls.alert", {"level": "fatal", "description": "unknown_ca", "side": "client"})]),
    (b"", record(21, b"\x01\xee"), [("tls.alert", {"level": "warning", "description": "ALERT_238", "side": "server"})]),
    (b"", record(21, bytes(26)), [("tls.encrypted_alert", {"side": "server"})]),
    (record(20, b"\1") + record(22, b"\x5a" * 40), b"",
     [("tls.change_cipher_spec", {"side": "client"}), ("tls.encrypted_handshake", {"size": 40})]),
    (bytes.fromhex("802e0103010015000000100000390000380000350100800700c003") .ljust(27, b"\0")
     + bytes(5) + b"c" * 16, b"",
     [("tls.client_hello", {"version": "TLS 1.0", "sslv2": True, "cipher_suites": [
         "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", "TLS_DHE_DSS_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_AES_256_CBC_SHA",
         "TLS_NULL_WITH_NULL_NULL"]})]),
]


class Stream:
    """A Conversation and its two tapes."""

    def __init__(self, midway=False):
        self.context = Context(0, (), CLIENT, SERVER, ("eth", "ip", "tcp"), 3)
        self.tapes = (Tape(self.context), Tape(Context(0, (), SERVER, CLIENT, ("eth", "ip", "tcp"), 3)))
        self.speaker = tls.Conversation(self.context)
        self.number = 0
        self.out = []

    def send(self, side, data):
        self.number += 1
        self.tapes[side].append(data, FrameRef(0, self.number), self.number * 1_000_000)
        self.out += self.speaker.feed(side, self.tapes[side])
        return self

    def lose(self, side, size):
        self.out += self.speaker.lost(side, size)
        self.tapes[side].skip(len(self.tapes[side]))
        return self

    def close(self):
        for side in (0, 1):
            self.out += self.speaker.end(side)
        return self

    @property
    def messages(self):
        return [item for item in self.out if isinstance(item, Message)]

    @property
    def opaque(self):
        return [item for item in self.out if isinstance(item, Opaque)]


def agrees(messages, expected):
    assert [m.kind for m in messages] == [kind for kind, _ in expected]
    for message, (_, fields) in zip(messages, expected):
        assert {key: message.fields.get(key) for key in fields} == fields
        assert not message.incomplete
        assert set(message.fields) <= set(tls.KINDS[message.kind])


@pytest.mark.parametrize("client, server, expected", CASES)
def test_whole(client, server, expected):
    stream = Stream()
    for side, data in ((0, client), (1, server)):
        if data:
            assert tls.likely(data, (40000, 8443))
            stream.send(side, data)
    agrees(stream.close().messages, expected)
    assert not any(m.problems for m in stream.messages)


@pytest.mark.parametrize("client, server, expected", CASES)
def test_byte_by_byte(client, server, expected):
    stream = Stream()
    for side, data in ((0, client), (1, server)):
        for i in range(len(data)):
            stream.send(side, data[i:i + 1])
    agrees(stream.close().messages, expected)
    for message in stream.messages:
        assert len(message.frames) > 1 and message.time == message.frames[-1].number * 1_000_000


@pytest.mark.parametrize("client, server, expected", CASES)
def test_cut_at_every_length(client, server, expected):
    whole = Stream().send(0, client or b"").send(1, server or b"").close().messages
    for side, data in ((0, client), (1, server)):
        for size in range(len(data)):
            stream = Stream()
            if side == 1 and client:
                stream.send(0, client)
            for message in stream.send(side, data[:size]).lose(side, 0).close().messages:
                if not message.incomplete:
                    assert any(message.kind == m.kind and message.fields == m.fields for m in whole)
                    continue
                like = next(m for m in whole if m.kind == message.kind)
                assert not message.problems
                for key, value in message.fields.items():
                    full = like.fields.get(key)
                    assert value == full or (isinstance(value, list) and value == full[:len(value)])


def test_a_client_hello_cut_by_the_snap_length_gives_its_name():
    stream = Stream().send(0, record(22, HELLO)[:90]).lose(0, len(HELLO) - 85)
    message, = stream.messages
    assert message.incomplete and message.fields["sni"] == "HMS.example" and "version" not in message.fields
    stream.send(0, record(21, b"\2\x28"))
    assert stream.messages[-1].fields["description"] == "handshake_failure"


def test_a_message_over_several_records_has_the_frames_of_all():
    stream = Stream().send(0, record(22, HELLO[:50])).send(0, record(22, HELLO[50:60])).send(0, record(22, HELLO[60:]))
    message, = stream.messages
    assert [frame.number for frame in message.frames] == [1, 2, 3] and message.fields["sni"] == "HMS.example"


def test_application_data_becomes_one_opaque_a_direction():
    stream = Stream().send(0, record(22, HELLO)).send(1, record(22, server_hello()))
    for _ in range(300):
        stream.send(0, record(23, bytes(100))).send(1, record(23, bytes(1000)) * 3)
    up, down = stream.close().opaque
    assert (up.kind, up.src, up.size, up.packets, up.fields["records"]) == ("tls", CLIENT, 30000, 300, 300)
    assert (down.src, down.size, down.packets, down.fields["records"]) == (SERVER, 900000, 300, 900)
    assert down.frames == (FrameRef(0, 4), FrameRef(0, 602)) and down.start == 4_000_000 and down.end == 602_000_000


def test_bursts_stay_bounded_and_cover_all_activity():
    stream, times = Stream(), []
    for i in range(500):
        stream.tapes[0].append(record(23, b"x" * 30), FrameRef(0, i), i * i * 1_000_000_000)
        times.append(i * i * 1_000_000_000)
        stream.out += stream.speaker.feed(0, stream.tapes[0])
    bursts = stream.close().opaque[0].fields["bursts"]
    assert 2 < len(bursts) <= 64
    assert all(any(start <= time <= end for start, end in bursts) for time in times)
    assert all(before[1] < after[0] for before, after in zip(bursts, bursts[1:]))


def test_a_hole_within_a_record_leaves_the_next_boundary_known():
    data = record(23, bytes(range(200)) * 5)
    stream = Stream().send(1, data[:300]).lose(1, 400).send(1, data[700:]).send(1, record(21, b"\2\x50"))
    assert [m.kind for m in stream.messages] == ["tls.alert"]


def test_after_a_hole_reading_goes_on_at_a_trustworthy_header():
    noise = bytes(range(24)) * 40 + b"\x17\x03\x03\x00\x10" + b"?" * 30
    stream = Stream().send(1, record(23, bytes(40))).lose(1, 5000).send(1, noise).send(
        1, record(23, b"x" * 50) + record(21, b"\2\x28"))
    assert [m.fields.get("description") for m in stream.messages] == ["handshake_failure"]


def test_half_a_message_before_a_hole_is_not_joined_with_what_follows():
    stream = Stream().send(0, record(22, HELLO[:60])).lose(0, 2000).send(0, record(22, HELLO[60:120])).send(
        0, record(22, client_hello(SNI)))
    assert [m.incomplete for m in stream.messages] == [True, False]


def test_sealed_handshake_records_of_an_unseen_change_cipher_spec_are_no_messages():
    """Explicit nonces count from 0: such a record begins like a HelloRequest."""
    stream = Stream().send(0, record(22, bytes(8) + b"\x9c" * 32)).send(0, record(23, bytes(60)))
    assert stream.close().messages == [] and stream.opaque[0].fields["records"] == 1


def test_the_role_is_that_of_the_hello_even_where_the_driver_guessed_otherwise():
    stream = Stream().send(1, record(22, HELLO)).send(0, record(22, server_hello())).send(0, record(21, b"\2\x28"))
    assert stream.messages[-1].fields["side"] == "server"


def test_a_second_client_hello_after_a_retry_is_read_in_clear():
    stream = Stream().send(0, record(22, HELLO)).send(1,
                                                      record(22, server_hello(extension(43, u16(0x0304)), random=RETRY))
                                                      + record(20,
                                                               b"\1")).send(0, record(20, b"\1") + record(22, HELLO))
    assert [m.kind for m in stream.messages].count("tls.client_hello") == 2


def test_a_broken_extension_is_a_problem_and_spares_the_others():
    broken = extension(16, u16(500) + b"h2")
    message, = Stream().send(0, record(22, client_hello(broken, SNI))).messages
    assert message.fields["sni"] == "HMS.example" and message.problems
    short, = Stream().send(0, record(22, handshake(1, u16(0x0303) + bytes(20)))).messages
    assert short.problems and not short.incomplete


@pytest.mark.parametrize("head", [
    b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\x16\x02\x01\x00\x40\x01", b"\x16\x03\x01\x00\x00\x01", b"SSH-2.0-x\r\n",
    b"\x16\x03\x01\x50\x00\x01\x00\x00\x05\x03\x03", b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x09\x09" + bytes(60),
    record(23, bytes(10)) + b"HTTP/", b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x11", b""])
def test_other_protocols_are_not_likely(head):
    assert not tls.likely(head, (40000, 443))


def test_a_huge_handshake_message_is_not_kept():
    stream = Stream().send(0, record(22, HELLO))
    for _ in range(40):
        stream.send(1, record(22, b"\x0b\xff\xff\xff" + bytes(16000)))
    assert all(len(side.handshake.data) <= 1 << 19 for side in stream.speaker.sides)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.one_of(
    st.binary(max_size=80), st.sampled_from([record(22, HELLO), record(22, server_hello()), record(20, b"\1"),
                                             record(23, bytes(40)), record(21, b"\2\x28"), b"\x16\x03\x03"])),
    st.sampled_from([0, 0, 0, 1, 70])), max_size=12))
def test_noise(pieces):
    stream = Stream()
    for side, data, hole in pieces:
        stream.send(side, data)
        if hole:
            stream.lose(side, hole)
    for message in stream.close().messages:
        assert message.kind in tls.KINDS and message.frames


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 25), st.binary(max_size=200), st.sampled_from([0x0303, 0x0304, None]))
def test_noise_in_messages(number, body, version):
    stream = Stream()
    stream.speaker.facts.version, stream.speaker.facts.suite = version, 0xC035
    stream.speaker.sides[1].doubtful = False
    for message in stream.send(1, record(22, handshake(number, body))).close().messages:
        assert message.kind in tls.KINDS


def test_an_alert_of_who_may_have_gone_on_behind_the_handshake_says_so():
    fatal = record(21, b"\x02\x32")

    def alerts(before):
        context = Context(1, (FrameRef(0, 1),), SERVER, CLIENT, ("eth", "ip", "tcp"), 1)
        talk, tape = tls.Conversation(context), Tape(context)
        found = []
        for part in (*before, fatal, fatal):
            if part is None:
                found += talk.lost(1, 400)
            else:
                tape.append(part, FrameRef(0, 1), 1)
                found += talk.feed(1, tape)
        return [m.fields.get("established") for m in found if isinstance(m, Message) and m.kind == "tls.alert"]

    assert alerts([]) == [None, None]
    assert alerts([record(22, server_hello())]) == [None, None]
    assert set(alerts([record(22, server_hello()), None])) == {True}       # who knows what is missing
