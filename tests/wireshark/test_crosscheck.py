"""Wireshark's second opinion: facts from literals, the comparison, key tables, and tshark itself where it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowcheck.errors import CaptureError, UsageError
from flowcheck.model import Endpoint, FrameRef, Message
from flowcheck.wireshark import crosscheck
from flowcheck.wireshark.facts import Fact, ours, theirs

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"
NEEDS_TSHARK = pytest.mark.skipif(crosscheck.unavailable() is not None, reason=crosscheck.unavailable() or "")


def message(kind: str, fields: dict, *frames: int, layers: tuple[str, ...] = ("eth", "ip", "udp"),
            port: int = 53) -> Message:
    refs = tuple(FrameRef(0, n) for n in frames or (1,))
    ends = Endpoint("192.0.2.1", 4000), Endpoint("192.0.2.2", port)
    return Message(kind, 0, refs, *ends, layers=layers, fields=fields)


PAIRS = {
    "a DNS answer": (
        message("dns.response", {"id": 7, "rcode": "NXDOMAIN", "qname": "segw.example", "qtype": "A", "answers": []}),
        ("dns", {"dns.id": "0x0007", "dns.flags_tree": {"dns.flags.response": "1", "dns.flags.rcode": "3"},
                 "Queries": {"Segw.example: type A": {"dns.qry.name": "Segw.example", "dns.qry.type": "1"}}})),
    "its addresses": (
        message("dns.response", {"id": 7, "rcode": "NOERROR", "qname": "a.example", "qtype": "AAAA",
                                 "answers": [{"type": "AAAA", "data": "2001:db8::1"}]}),
        ("dns", {"dns.id": "0x0007", "dns.flags_tree": {"dns.flags.response": "True", "dns.flags.rcode": "0"},
                 "Queries": {"q": {"dns.qry.name": "a.example", "dns.qry.type": "28"}},
                 "Answers": {"x": {"dns.resp.type": "28", "dns.aaaa": "2001:db8::1"}}})),
    "IKE": (
        message("ike.auth.response", {"version": "2.0", "exchange": "IKE_AUTH", "spi_i": "b64ef32131a48952",
                                      "spi_r": "86babd3904886955", "message_id": 1, "response": True}),
        ("isakmp", {"isakmp.ispi": "b6:4e:f3:21:31:a4:89:52", "isakmp.rspi": "86:ba:bd:39:04:88:69:55", 
                    "isakmp.version": "0x20", "isakmp.exchangetype": "35", "isakmp.flags": "0x20",
                    "isakmp.messageid": "0x00000001"})),
    "a ClientHello deep in a record": (
        message("tls.client_hello", {"sni": "hms.example"}),
        ("tls", {"tls.record": [{"tls.handshake": {"tls.handshake.type": "1", "tls.handshake.extension": [
            {"x": {"tls.handshake.extensions_server_name": "hms.example"}}]}}]})),
    "a certificate by its subject, not its issuer": (
        message("tls.certificate", {"chain": [{"subject_cn": "Hms.example"}]}),
        ("tls", {"tls.handshake": {"tls.handshake.type": "11", "tls.handshake.certificates": {
            "tls.handshake.certificate_tree": {
            "x509af.issuer_tree": {"a": {"x509if.oid": "2.5.4.3", "b": {"x509sat.printableString": "Example CA"}}},
            "x509af.subject_tree": {"a": {"x509if.oid": "2.5.4.3", "b": {"x509sat.uTF8String": "hms.example"}}}}}}})),
    "HTTP": (
        message("http.response", {"status": 204}), ("http", {"HTTP/1.1 204": {"http.response.code": "204"}})),
    "RANAP inside RUA": (
        message("ranap.ResetResourceAcknowledge", {"procedure_code": 9, "pdu": "successful"}),
        ("rua", {"inner": {"ranap.RANAP_PDU": "1", "ranap.RANAP_PDU_tree": {
            "ranap.successfulOutcome_element": {"ranap.procedureCode": "9"}}}})),
    "EMM inside S1AP": (
        message("emm.AttachRequest", {"message_type": 65}),
        ("s1ap", {"x": [{"nas-eps": {"nas_eps.nas_msg_emm_type": "0x41"}}]})),
    "CoAP": (
        message("coap.response", {"code": "2.05", "message_id": 9}), ("coap", {"coap.code": "69", "coap.mid": "9"})),
}


@pytest.mark.parametrize("case", PAIRS)
def test_both_views_of_a_message_give_one_fact(case):
    mine, layer = PAIRS[case]
    assert list(ours(mine)) == list(theirs([layer])) != []


def test_user_data_of_gtp_is_no_message():
    assert list(theirs([("gtp", {"gtp.message": "0xff"})])) == []
    assert len(list(theirs([("gtp", {"gtp.message": "0x01"})]))) == 1


def test_a_reply_of_several_lines_is_one():
    reply = Fact("ftp", (("code", 211),))
    found = crosscheck.compare([((17, 19), reply)], [(17, reply), (19, reply)])
    assert (found.agreed, found.disagreements) == ({"ftp": 1}, ())
    assert len(crosscheck.compare([((17, 19), reply)], [(17, reply), (21, reply)]).disagreements) == 1


def test_what_the_capture_cut_is_not_compared():
    from dataclasses import replace
    assert not list(ours(replace(PAIRS["CoAP"][0], incomplete=True)))


def fact(**values) -> Fact:
    return Fact("dns", tuple(values.items()))


def test_equal_facts_at_one_frame_agree_one_to_one():
    found = crosscheck.compare([((3,), fact(id=1)), ((3,), fact(id=1)), ((1, 2), fact(id=2))],
                              [(3, fact(id=1)), (3, fact(id=1)), (2, fact(id=2))])
    assert (found.agreed, found.disagreements) == ({"dns": 3}, ())


def test_a_differing_field_is_named_with_both_values():
    found = crosscheck.compare([((3,), fact(id=1, rcode="NXDOMAIN"))], [(3, fact(id=1, rcode="NOERROR"))])
    assert [str(each) for each in found.disagreements] == ["frame 3: dns.rcode: flowcheck NXDOMAIN; Wireshark NOERROR"]


def test_what_one_alone_sees_is_a_disagreement_of_either():
    found = crosscheck.compare([((4, 5), fact(id=1))], [(9, fact(id=1))])
    assert [(d.frame, d.flowcheck, d.wireshark) for d in found.disagreements] == [
        (5, "sees id=1", "sees nothing"), (9, "sees nothing", "sees id=1")]


def test_http_on_a_port_of_its_own_is_pointed_out_to_wireshark():
    clear = message("http.request", {}, layers=("eth", "ip", "tcp"), port=7547)
    inside = message("http.request", {}, layers=("eth", "ip", "tcp", "tls"), port=7548)
    assert crosscheck.decode_as([clear, inside]) == {"tcp.port==7547": "http", "tls.port==7548": "http"}


def test_tls_is_pointed_out_where_nothing_is_in_clear():
    tcp = ("eth", "ip", "tcp")
    upgraded = [message("ftp.command", {}, layers=tcp, port=21), message("tls.client_hello", {}, layers=tcp, port=21)]
    data = message("tls.client_hello", {}, layers=tcp, port=40053)
    assert crosscheck.decode_as([*upgraded, data]) == {"tcp.port==40053": "tls"}


def test_only_lines_in_formats_of_wireshark_go_to_it(tmp_path):
    (tmp_path / "a").write_text('"IPv4","192.0.2.1","192.0.2.2","0x01","AES-GCM-16 [RFC4106]","0xaa","NULL",""\n'
                                'src 192.0.2.1 dst 192.0.2.2\n\tproto esp spi 0x1 mode tunnel\n')
    (tmp_path / "b").write_text("CLIENT_RANDOM " + "ab" * 32 + " " + "cd" * 48 + "\n")
    tables = crosscheck.key_tables([str(tmp_path)])
    assert set(tables) == {"esp_sa", "tls_keylog"}
    assert "AES-GCM with 16 octet ICV [RFC4106]" in tables["esp_sa"][0]


# ---------------------------------------------------------------------------------------------------- with tshark

SAMPLE = SAMPLES / "ts32.583/5.1.1/segw-nxdomain/hnb_outer.pcap"


@NEEDS_TSHARK
def test_packets_that_a_filter_selects():
    seen = crosscheck.ask(str(SAMPLE), "dns.flags.rcode == 3")
    assert seen and all(any(name == "dns" for name, _ in packet.layers) for packet in seen)
    assert crosscheck.ask(str(SAMPLE), "gtpv2") == []


@NEEDS_TSHARK
def test_a_wrong_filter_is_the_users_to_correct():
    with pytest.raises(UsageError, match="does not take the display filter 'dns.id =='"):
        crosscheck.ask(str(SAMPLE), "dns.id ==")


@NEEDS_TSHARK
def test_a_cut_capture_is_read_up_to_the_cut_and_text_not_at_all(tmp_path):
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(SAMPLE.read_bytes()[:-7])
    assert crosscheck.ask(str(cut), "dns")
    text = tmp_path / "text.pcap"
    text.write_text("no capture\n")
    with pytest.raises(CaptureError, match="tshark cannot read it"):
        crosscheck.ask(str(text), "dns")


def test_without_tshark_one_line_says_what_it_costs(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "apt-get install tshark" in crosscheck.unavailable()
    with pytest.raises(UsageError, match="tshark is not installed"):
        crosscheck.ask(str(SAMPLE), "dns")


def spread(count: int) -> list[Path]:
    """A few samples with packets from all over; `python -m flowcheck crosscheck --recursive samples` compares all."""
    header = 24                                       # a pcap file of that size holds no packet
    found = sorted(path for path in SAMPLES.rglob("*.pcap*") if header < path.stat().st_size < 200_000)
    return found[::max(1, len(found) // count)][:count]


@NEEDS_TSHARK
@pytest.mark.parametrize("path", spread(8), ids=lambda path: "/".join(path.parts[-3:]))
def test_wireshark_agrees_about_the_samples(path):
    from flowcheck.check import key_ring
    from flowcheck.observe.observation import observe
    keys = [str(path.parent / "keys")] if (path.parent / "keys").is_dir() else []
    found = crosscheck.crosscheck(str(path), observe([str(path)], key_ring(keys)), keys=keys)
    assert found.agreed and not found.disagreements, [str(each) for each in found.disagreements]
