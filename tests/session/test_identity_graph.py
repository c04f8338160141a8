"""What keeps a device one, what makes two of it, and what belongs to nobody."""

from hashlib import sha1
from ipaddress import ip_address

import pytest
from literals import ADDRESSES, SECOND, end, message, sealed

from flowcheck.session.devices import assign
from flowcheck.session.timeline import timelines

UDP = ("eth", "ip", "udp")


def inform(at, src, serial, stream=1, **more):
    return message("cwmp.Inform", at, src, "acs", stream=stream, layers=("eth", "ip", "tcp", "http"),
                   DeviceId__OUI="00AA11",
                   DeviceId__ProductClass="HNB", DeviceId__SerialNumber=serial, **more)


def init(at, src, spi, nonce="n", dst="segw", **more):
    return message("ike.sa_init.request", at, src, dst, spi_i=spi, spi_r="0" * 16, nonce=nonce, layers=UDP,
                   version="2.0",
                   initiator=True, response=False, **more)


def ike(at, src, spi, spi_r="r1", kind="auth.request", dst="segw:4500", **more):
    return message(f"ike.{kind}", at, src, dst, spi_i=spi, spi_r=spi_r, layers=UDP, version="2.0", initiator=True,
                   response=False, **more)


def answer(at, dst, spi, spi_r="r1", kind="auth.response", given=None, **more):
    if given:
        more["configuration"] = {"type": "REPLY", "attributes": {"INTERNAL_IP4_ADDRESS": [given]}}
    return message(f"ike.{kind}", at, "segw:4500", dst, spi_i=spi, spi_r=spi_r, layers=UDP, version="2.0",
                   response=True, **more)


def tunnel(at, src, spi, spi_r="r1", nonce="n", identity=None, given=None, port=""):
    """An IKE SA, with keys where an identity or an address is told."""
    told = {"id_i": identity} if identity else {}
    return [init(at, f"{src}{port and ':' + port[0]}", spi, nonce),
            answer(at + 0.1, f"{src}{port and ':' + port[0]}", spi, spi_r, "sa_init.response"),
            ike(at + 0.2, f"{src}:{port[1] if port else 4500}", spi, spi_r, **told),
            answer(at + 0.3, f"{src}:{port[1] if port else 4500}", spi, spi_r, given=given)]


def lease(at, address, mac):
    return message("dhcp.ack", at, "198.51.100.67:67", f"{address}:68", layers=UDP, mac=mac, your_address=address)


def spoke(at, mac, address, gratuitous=False):
    return message("arp.request", at, address, "192.0.2.254", layers=("eth",), sender_mac=mac, sender_ip=address,
                   gratuitous=gratuitous)


def lookup(at, src, stream=90):
    return message("dns.query", at, src, "dns", stream=stream, layers=UDP, qname="segw.example", qtype="A", id=stream)


def owners(messages, **more):
    whose = assign(messages, **more)
    return [[device.id for device in whose.owners(m)] for m in messages]


def ids(*messages):
    return [device.id for device in assign(messages).devices]


# ------------------------------------------------------------------------------------------------ one device

def test_a_reboot():
    """Another tunnel, the same inner address or another one, the same serial number."""
    first = [*tunnel(0, "hnb", "a", given="10.0.0.1"), inform(1, "10.0.0.1", "S1")]
    second = [*tunnel(100, "hnb", "b", "r2", given="10.0.0.2"), inform(101, "10.0.0.2", "S1", 2)]
    assert set(map(tuple, owners([*first, *second]))) == {("00AA11-HNB-S1",)}


def test_a_new_outer_address_with_the_same_sa():
    """MOBIKE (RFC 4555), or a NAT with another address."""
    messages = [*tunnel(0, "hnb", "a"), ike(50, "other:4500", "a", kind="informational.request")]
    device, = assign(messages).devices
    assert device.outer == (ADDRESSES["hnb"], ADDRESSES["other"])


def test_a_new_outer_address_by_dhcp():
    mac = "02:00:00:00:00:07"
    messages = [lease(0, "192.0.2.1", mac), *tunnel(1, "hnb", "a"), lease(500, "192.0.2.2", mac),
                *tunnel(501, "other", "b", "r2")]
    device, = assign(messages).devices
    assert device.identity == {"mac": mac} and device.addresses == ("192.0.2.1", "192.0.2.2")
    assert {len(o) for o in owners(messages)} == {1}, "DHCP's own messages are the client's"


def test_a_nat_that_rebinds():
    """The SA goes on from another port; another device runs from the same address all the while."""
    messages = [*tunnel(0, "nat", "a", port=("1001", "1002")), *tunnel(1, "nat", "b", "r2", port=("2001", "2002")),
                ike(200, "nat:3002", "a", kind="informational.request"),
                ike(201, "nat:2002", "b", "r2", kind="informational.request")]
    found = owners(messages)
    assert found[:4] == [found[0]] * 4 and found[8] == found[0] and found[9] == found[4] != found[0]
    assert len(assign(messages).devices) == 2
    after = sealed(205, 300, src="nat:3002")
    assert [d.id for d in assign(messages, opaque=[after]).owners_of_opaque(after)] == found[0]


@pytest.mark.parametrize("port", ["", ("500", "4500")])
def test_a_second_tunnel_beside_the_first(port):
    serving = [init(10, "hnb", "b", dst="198.51.100.99"), ike(10.2, "hnb:4500", "b", "r2", dst="198.51.100.99:4500")]
    assert ids(*tunnel(0, "hnb", "a", port=port), *serving) == [ADDRESSES["hnb"]]


def test_a_second_tunnel_behind_a_nat_by_its_identity():
    messages = [*tunnel(0, "nat", "a", identity="hnb7.example", port=("1001", "1002")),
                *tunnel(1, "nat", "c", "r3", identity="hnb8.example", port=("2001", "2002")),
                *tunnel(30, "nat", "b", "r2", identity="hnb7.example", port=("3001", "3002"))]
    assert ids(*messages) == ["hnb7.example", "hnb8.example"]


def test_a_rekeyed_sa_behind_a_nat():
    """The new SA has new SPIs and no IKE_SA_INIT: what was negotiated names it, else the port it goes on from."""
    begun = [*tunnel(0, "nat", "a", port=("1001", "1002")), *tunnel(1, "nat", "b", "r2", port=("2001", "2002"))]
    asked = ike(40, "nat:1002", "a", kind="create_child_sa.request", transaction=7,
                proposals=[{"protocol": "IKE", "spi": "a2"}])
    told = answer(40.1, "nat:1002", "a", kind="create_child_sa.response", answers=7,
                  proposals=[{"protocol": "IKE", "spi": "rr"}])
    for rekeying in ([asked, told], []):
        found = owners([*begun, *rekeying, ike(41, "nat:1002", "a2", "rr", kind="informational.request")])
        assert found[-1] == found[0] != found[4]


def test_an_hnb_identity_names_the_serial_number_or_the_imsi():
    registered = message("hnbap.HNBRegisterRequest", 2, "other", "gw", stream=5, HNB__Identity="x")
    registered.fields["HNB-Identity"] = "100AA11-S1@hnb.example"
    device, = assign([inform(1, "hnb", "S1"), registered]).devices
    assert device.identity["hnb_id"] == "100AA11-S1@hnb.example" and device.addresses == ("192.0.2.1", "192.0.2.2")
    registered.fields["HNB-Identity"] = "0001010000000001@hnb.example"
    device, = assign([registered, *tunnel(0, "hnb", "a", identity="0001010000000001@nai.example")]).devices
    assert device.identity["imsi"] == "001010000000001" and set(device.addresses) == {"192.0.2.1", "192.0.2.2"}


def test_the_first_packet_inside_tells_the_inner_address_where_ike_hides_it():
    """Keys of ESP alone: each tunnel's port says whose the packet is."""
    def carried(at, port, inner):
        told = message("esp.inside", at, f"nat:{port}", "segw:4500", layers=(*UDP, "esp"), spi="0x01")
        told.fields.update(src=inner, dst="198.51.100.80")
        return told

    messages = [*tunnel(0, "nat", "a", port=("1001", "1002")), *tunnel(1, "nat", "b", "r2", port=("2001", "2002")),
                carried(2, 1002, "10.0.0.1"), inform(2, "10.0.0.1", "S1"), carried(3, 2002, "10.0.0.2"),
                inform(3, "10.0.0.2", "S2", 2),
                *tunnel(90, "nat", "c", "r3", port=("3001", "3002")), carried(91, 3002, "10.0.0.1"),
                inform(92, "10.0.0.1", "S3", 3)]
    found = owners(messages)
    assert found[:8] == [["00AA11-HNB-S1"]] * 4 + [["00AA11-HNB-S2"]] * 4
    assert found[12:16] == [["00AA11-HNB-S3"]] * 4, "the pool gave the first one's address to a third"


def test_an_enb_id():
    setup = message("s1ap.S1SetupRequest", 2, "hnb", "gw", stream=5)
    setup.fields["Global-ENB-ID"] = {"pLMNidentity": "00101", "type": "homeENB-ID", "eNB-ID": 257}
    device, = assign([setup]).devices
    assert device.identity == {"enb_id": "00101-257"} and device.id == "00101-257"
    other = message("s1ap.S1SetupRequest", 3, "other", "gw", stream=6)
    other.fields.update(setup.fields)
    assert len(assign([setup, other]).devices) == 1


# ------------------------------------------------------------------------------------------------ two devices

def test_an_spi_used_again_by_another_device():
    messages = [*tunnel(0, "hnb", "a"), *tunnel(600, "other", "a", "r2", nonce="m")]
    assert owners(messages) == [[ADDRESSES["hnb"]]] * 4 + [[ADDRESSES["other"]]] * 4


def test_one_spi_of_two_devices_at_once_behind_one_nat():
    first, second = (tunnel(at, "nat", "a", f"r{at}", nonce=f"n{at}", port=(f"{at}001", f"{at}002")) for at in (1, 2))
    messages = sorted((*first, *second), key=lambda m: m.time)
    found = dict(zip(map(id, messages), owners(messages)))
    assert len({tuple(found[id(m)]) for m in first}) == len({tuple(found[id(m)]) for m in second}) == 1
    assert found[id(first[0])] != found[id(second[0])]


def test_a_retry_with_a_cookie_or_another_group_is_the_same_sa():
    """The initiator keeps its SPI (RFC 7296 2.6, 1.2), and the first answers have none of the responder's."""
    refused = answer(0.1, "nat:1001", "a", "0" * 16, "sa_init.response", payloads=["N"], notify=["INVALID_KE_PAYLOAD"])
    messages = [init(0, "nat:1001", "a", "n1"), refused, *tunnel(0.2, "nat", "a", nonce="n2", port=("1001", "1002")),
                *tunnel(1, "nat", "b", "r2", port=("2001", "2002"))]
    found = owners(messages)
    assert found[:6] == [found[0]] * 6 and len(assign(messages).devices) == 2


def test_the_gateway_hands_an_inner_address_to_another_device():
    messages = [*tunnel(0, "hnb", "a", identity="hnb1.example", given="10.0.0.1"), lookup(1, "10.0.0.1"),
                *tunnel(100, "other", "b", "r2", identity="hnb2.example", given="10.0.0.1"),
                lookup(101, "10.0.0.1", 91)]
    assert owners(messages) == [["hnb1.example"]] * 5 + [["hnb2.example"]] * 5
    first, second = assign(messages).devices
    handed = next(link for link in first.links if "handed out" in link.why)
    assert handed.since == round(0.3 * SECOND) and handed.until == round(100.3 * SECOND), "until the other one got it"
    assert next(link for link in second.links if "handed out" in link.why).until is None


def test_dhcp_leases_an_address_to_another_device():
    messages = [lease(0, "192.0.2.1", "02:00:00:00:00:07"), *tunnel(1, "hnb", "a"),
                lease(900, "192.0.2.1", "02:00:00:00:00:08"), *tunnel(901, "hnb", "b", "r2")]
    first, second = assign(messages).devices
    assert [d.identity["mac"] for d in (first, second)] == ["02:00:00:00:00:07", "02:00:00:00:00:08"]
    assert [o[0] for o in owners(messages)] == [first.id] * 5 + [second.id] * 5


def test_an_outer_address_used_again_without_dhcp_in_the_capture():
    """Two tunnels from one address whose identities name two devices: they are parted at the silence between them."""
    messages = [lookup(0, "hnb"), *tunnel(1, "hnb", "a", identity="00AA11-S1.example", given="10.0.0.1"),
                inform(2, "10.0.0.1", "S1"),
                lookup(100, "hnb", 91), *tunnel(101, "hnb", "b", "r2", identity="00AA11-S2.example", given="10.0.0.2"),
                inform(102, "10.0.0.2", "S2", 2)]
    assert owners(messages) == [["00AA11-HNB-S1"]] * 6 + [["00AA11-HNB-S2"]] * 6


def test_a_port_of_the_nat_used_again_by_another_device():
    messages = [*tunnel(0, "nat", "a", identity="hnb1.example", port=("1001", "1002")),
                *tunnel(1, "nat", "b", "r2", identity="hnb2.example", port=("2001", "2002")),
                *tunnel(500, "nat", "c", "r3", identity="hnb3.example", port=("1001", "1002"))]
    early, late = sealed(10, 60, src="nat:1002"), sealed(510, 560, src="nat:1002")
    whose = assign(messages, opaque=[early, late])
    assert [[d.id for d in whose.owners_of_opaque(o)] for o in (early, late)] == [["hnb1.example"], ["hnb3.example"]]


def test_two_devices_behind_a_nat_without_keys():
    """The first keeps the well-known ports, the second gets others, as with a Linux router."""
    messages = [*tunnel(0, "nat", "a", port=("500", "4500")), *tunnel(5, "nat", "b", "r2", port=("107", "13836"))]
    assert ids(*messages) == ["203.0.113.99:13836", "203.0.113.99:4500"]
    hours_later = [*tunnel(0, "nat", "a", port=("500", "4500")), *tunnel(9000, "nat", "b", "r2", port=("107", "13836"))]
    assert ids(*hours_later) == [ADDRESSES["nat"]], "by then the NAT gives the same device another port"


def test_two_names_on_one_link_are_kept_apart_and_say_so():
    """An IKE identity that names one device, and the other one's Inform from the address it was given."""
    messages = [*tunnel(0, "hnb", "a", identity="00AA11-S1.example", given="10.0.0.1"), inform(1, "10.0.0.1", "S2"),
                inform(50, "10.0.0.9", "S1", 2)]
    found = {device.id: device for device in assign(messages).devices}
    assert list(found) == ["00AA11-HNB-S1", "00AA11-HNB-S2"]
    for device in found.values():
        assert any("handed out 10.0.0.1" in text and "kept apart" in text for text in device.evidence)
    assert found["00AA11-HNB-S2"].outer == (), "the tunnel stays with the device it names"


def test_a_router_s_mac_joins_nobody():
    router = "02:00:00:00:00:01"
    one_for_all = [spoke(0, router, "192.0.2.1"), inform(1, "hnb", "S1"), spoke(2, router, "192.0.2.2"),
                   inform(3, "other", "S2", 2)]
    assert all("mac" not in device.identity for device in assign(one_for_all).devices)
    assert len(assign(one_for_all).devices) == 2


def test_a_mac_on_the_public_side_of_a_nat_is_the_router_s():
    """NAT_DETECTION_SOURCE_IP tells that the address is not the device's own (RFC 7296 2.23)."""
    def hashed(address, port):
        return sha1(bytes.fromhex("00" * 7 + "0a" + "00" * 8) + ip_address(address).packed
                    + port.to_bytes(2, "big")).hexdigest()

    for told, expected in ((hashed("192.0.2.1", 500), "02:00:00:00:00:07"), (hashed("192.168.1.20", 500), None)):
        begun = init(1, "hnb:500", "00" * 7 + "0a", notifies=[{"type": "NAT_DETECTION_SOURCE_IP", "data": told}])
        device, = assign([spoke(0, "02:00:00:00:00:07", "192.0.2.1"), begun]).devices
        assert device.identity.get("mac") == expected


def test_an_address_that_two_macs_claim_at_once_is_neither_s():
    messages = [spoke(0, "02:00:00:00:00:07", "192.0.2.1"), inform(1, "hnb", "S1"),
                spoke(2, "02:00:00:00:00:08", "192.0.2.1"),
                spoke(3, "02:00:00:00:00:07", "192.0.2.1")]
    device, = assign(messages).devices
    assert "mac" not in device.identity


# ------------------------------------------------------------------------------------------------ nobody

def answered(at, dst, stream, address):
    return message("dns.response", at, "dns", dst, stream=stream, layers=UDP, qname="segw.example", qtype="A",
                   id=stream, rcode="NOERROR",
                   answers__address=[address] if address else [])


def test_lookups_behind_a_nat_are_whose_tunnel_follows_and_the_others_nobody_s():
    segw = ADDRESSES["segw"]
    messages = [lookup(0, "nat:6001", 61), answered(0.01, "nat:6001", 61, segw), lookup(0.02, "nat:6002", 62),
                answered(0.03, "nat:6002", 62, ""),
                *tunnel(0.1, "nat", "a", port=("1001", "1002")), lookup(0.5, "nat:6003", 63),
                answered(0.6, "nat:6003", 63, segw),
                *tunnel(0.7, "nat", "b", "r2", port=("2001", "2002"))]
    lines = {line.device.id: line for line in timelines(messages, (), (), (0, 99 * SECOND), (0,))}
    assert [m.frames[-1].number for m in lines["203.0.113.99:1002"].messages][:2] == [0, 0]
    assert {name: sum(m.protocol == "dns" for m in line.messages) for name, line in lines.items()} == {
        "203.0.113.99:1002": 2, "203.0.113.99:2002": 2, "unknown": 2}
    assert lines["203.0.113.99:1002"].nobodys == {"dns"}, "whose lookups were whose is not certain"


def test_what_a_shared_address_sends_without_a_name_is_nobody_s():
    messages = [inform(1, "nat:1001", "S1"), inform(2, "nat:1002", "S2", 2), inform(3, "nat:1001", "S1", 3),
                message("ftp.command", 4, "nat:1003", "acs", stream=9, layers=("eth", "ip", "tcp"))]
    lines = timelines(messages, [sealed(5, 6, "tls", src="nat:1004")], (), (0, 99 * SECOND), (0,))
    assert [line.device.id for line in lines] == ["00AA11-HNB-S1", "00AA11-HNB-S2", "unknown"]
    assert [m.kind for m in lines[-1].messages] == ["ftp.command"] and len(lines[-1].opaque) == 1
    assert lines[0].nobodys == lines[1].nobodys == {"ftp", "tls"} and lines[0].device.shared == (ADDRESSES["nat"],)


def test_clients_of_dhcp_without_an_address_are_no_device():
    asked = message("dhcp.discover", 0, "0.0.0.0:68", "255.255.255.255:67", layers=UDP, mac="02:00:00:00:00:07")
    assert ids(asked) == [] and owners([asked]) == [[]]


def test_no_two_devices_have_one_id():
    messages = [*tunnel(0, "nat", "a", port=("1001", "1002")), *tunnel(1, "nat", "b", "r2", port=("2001", "2002")),
                *tunnel(900, "nat", "c", "r3", port=("1001", "1002"))]
    found = ids(*messages)
    assert len(found) == len(set(found)) == 3
    assert end("nat").address in found[0]


# ------------------------------------------------------------------------------------------------ certificates, DNS

def shown(at, src, stream, subject, side="client"):
    return message("tls.certificate", at, src, "acs", stream=stream, layers=("eth", "ip", "tcp", "tls"), side=side,
                   chain=[{"subject_cn": subject}])


def test_a_client_certificate_names_a_sealed_connection_behind_a_nat():
    """One connection is opened with keys; the certificate that was shown on it names the others of the device."""
    hello = [message("tls.client_hello", at, f"nat:{2000 + stream}", "acs", stream=stream,
                     layers=("eth", "ip", "tcp", "tls"))
             for at, stream in ((0, 1), (10, 2), (20, 3))]
    messages = [hello[0], shown(0.1, "nat:2001", 1, "00AA11-HNB-S1"), inform(0.2, "nat:2001", "S1", 1), hello[1],
                shown(10.1, "nat:2002", 2, "00AA11-HNB-S2"), hello[2], shown(20.1, "nat:2003", 3, "00AA11-HNB-S1")]
    assert owners(messages) == [["00AA11-HNB-S1"]] * 3 + [["00AA11-HNB-S2"]] * 2 + [["00AA11-HNB-S1"]] * 2


def test_a_certificate_of_another_device_makes_the_address_a_shared_one():
    """Its connections stay sealed, and no CWMP session of it is readable."""
    messages = [inform(0, "nat:2001", "S1", 1), shown(5, "nat:2002", 2, "00AA11-HNB-S2")]
    assert owners(messages) == [["00AA11-HNB-S1"], ["00AA11-HNB-S2"]]
    messages[1].fields["chain"][0]["subject_cn"] = "00AA11-HNB-S1"
    assert owners(messages) == [["00AA11-HNB-S1"], ["00AA11-HNB-S1"]]


@pytest.mark.parametrize("subject, side", [("Femto Vendor Device", "client"), ("device.vendor.example", "client"),
                                           ("00AA11-HNB-S1", "server")])
def test_a_certificate_of_many_and_one_of_a_server_name_nobody(subject, side):
    messages = [shown(0, "hnb", 1, subject, side), shown(5, "other", 2, subject, side), *tunnel(6, "hnb", "a"),
                *tunnel(7, "other", "b", "r2")]
    assert ids(*messages) == [ADDRESSES["hnb"], ADDRESSES["other"]]


def test_an_ike_certificate_names_the_serial_number():
    begun = tunnel(0, "hnb", "a", identity="192.0.2.1")
    begun[2].fields["certificates"] = [{"subject_cn": "00AA11-S1.hnb.example"}]
    assert ids(*begun, inform(1, "10.0.0.1", "S1")) == ["00AA11-HNB-S1"]


def test_a_name_in_the_dns_that_is_an_ike_identity():
    found = [*tunnel(0, "hnb", "a", identity="hnb7.example"), inform(1, "10.0.0.1", "S1"),
             inform(1, "10.0.0.2", "S2", 2)]
    told = message("dns.response", 2, "dns", "acs", layers=UDP, qname="HNB7.example.", qtype="A", id=1,
                   answers__address=["10.0.0.1"])
    assert ids(*found, told) == ["00AA11-HNB-S1", "00AA11-HNB-S2"] and len(ids(*found)) == 3
    told.fields["answers.address"] = ["10.0.0.1", "10.0.0.2"]
    assert len(ids(*found, told)) == 3, "a name of several names none of them"
