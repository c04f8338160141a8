"""Which addresses, tunnels and serial numbers are one device. Two are never merged by guess."""

from dataclasses import replace

from literals import ADDRESSES, end, message, sealed

from flowcheck.session.devices import assign
from flowcheck.session.facts import device_key


def inform(at, src, serial, stream, layers=("eth", "ip", "tcp", "http")):
    return message("cwmp.Inform", at, src, "acs", stream=stream, layers=layers, DeviceId__OUI="00AA11",
                   DeviceId__ProductClass="HNB", DeviceId__SerialNumber=serial)


def init(at, src, spi, dst="segw"):
    return message("ike.sa_init.request", at, src, dst, spi_i=spi, layers=("eth", "ip", "udp"), version="2.0")


def auth(at, dst, spi, given=None, **more):
    configuration = {"type": "REPLY", "attributes": {"INTERNAL_IP4_ADDRESS": [given]}} if given else {}
    return message("ike.auth.response", at, "segw", dst, spi_i=spi, layers=("eth", "ip", "udp"),
                   configuration=configuration, **more)


def devices(*messages, aliases=None):
    return {device.id: device for device in assign(messages, aliases or {}).devices}


def test_the_name_of_a_device():
    assert device_key({"DeviceId.OUI": "00AA11", "DeviceId.SerialNumber": "7"}) == "00AA11-7"


def test_an_inform_names_it():
    found = devices(inform(1, "hnb", "S1", 1))
    assert list(found) == ["00AA11-HNB-S1"] and found["00AA11-HNB-S1"].addresses == (ADDRESSES["hnb"],)
    assert found["00AA11-HNB-S1"].identity["serial_number"] == "S1"


def test_the_address_that_ike_handed_out_joins_inside_and_outside():
    told = auth(2, "hnb", "01", ADDRESSES["inner"])
    device, = devices(init(1, "hnb", "01"), told, inform(3, "inner", "S1", 1)).values()
    assert set(device.addresses) == {ADDRESSES["hnb"], ADDRESSES["inner"]} and device.outer == (ADDRESSES["hnb"],)
    assert any("handed out" in text for text in device.evidence) and not device.assumed


def test_two_tunnels_of_one_identity_are_one_device():
    found = devices(init(1, "hnb", "01"), auth(2, "hnb", "01", id_i="hnb7.example"), init(50, "other", "02"),
                    auth(51, "other", "02", id_i="hnb7.example"))
    assert list(found) == ["hnb7.example"]
    assert set(found["hnb7.example"].outer) == {ADDRESSES["hnb"], ADDRESSES["other"]}


def test_the_ike_identity_names_the_serial_number():
    keyed = auth(2, "hnb", "01", id_i="00AA11-S1.hnb.example")
    device, = devices(init(1, "hnb", "01"), keyed, inform(3, "inner", "S1", 1)).values()
    assert device.identity["ike_id"] == "00AA11-S1.hnb.example" and device.id == "00AA11-HNB-S1"


def test_without_keys_one_tunnel_and_one_device_inside_are_assumed_to_be_one():
    device, = devices(init(1, "hnb", "01"), auth(2, "hnb", "01"), inform(3, "inner", "S1", 1)).values()
    assert device.assumed and device.outer == (ADDRESSES["hnb"],)


def test_without_keys_two_devices_inside_are_not_guessed_at():
    inside = inform(3, "inner", "S1", 1), inform(4, "10.0.0.2", "S2", 2)
    found = devices(init(1, "hnb", "01"), auth(2, "hnb", "01"), *inside)
    assert len(found) == 3 and not any(device.assumed for device in found.values())


def test_two_serial_numbers_behind_one_address_are_two_devices():
    whose = assign([inform(1, "nat:1001", "S1", 1), inform(2, "nat:1002", "S2", 2)], {})
    assert [d.id for d in whose.devices] == ["00AA11-HNB-S1", "00AA11-HNB-S2"]
    third = message("http.request", 3, "nat:1002", "acs", stream=2)
    assert [d.id for d in whose.owners(third)] == ["00AA11-HNB-S2"]
    lookup = message("dns.query", 0, "nat:5353", "dns", stream=9, layers=("eth", "ip", "udp"))
    assert whose.owners(lookup) == (), "nothing tells whose it is"


def test_tunnels_behind_one_address_are_told_apart_by_their_spi():
    messages = [init(n, f"nat:{port}", f"0{n}") for n, port in enumerate((1001, 1002, 1003), 1)]
    whose = assign(messages, {})
    assert len(whose.devices) == 3
    assert [len(whose.owners(m)) for m in messages] == [1, 1, 1]
    of_second = whose.owners_of_opaque(sealed(2, 9, src="nat:1002"))
    assert of_second == whose.owners(messages[1])


def test_both_sides_of_a_nat_are_one_device():
    aliases = {end("hnb"): {end("nat:1001")}, end("nat:1001"): {end("hnb")}}
    device, = devices(init(1, "hnb", "01"), init(1, "nat:1001", "01"), aliases=aliases).values()
    assert set(device.addresses) == {ADDRESSES["hnb"], ADDRESSES["nat"]}


def test_who_is_asked_is_no_device():
    found = devices(message("dns.query", 0, "hnb", "dns"), message("dns.response", 1, "dns", "hnb"),
                    message("tcp.syn", 2, "hnb", "acs"), message("tcp.syn_ack", 3, "acs", "hnb"))
    assert [d.addresses for d in found.values()] == [(ADDRESSES["hnb"],)]


def test_the_order_of_the_devices_is_that_of_their_names():
    whose = assign([inform(1, "other", "S2", 2), inform(2, "hnb", "S1", 1)], {})
    assert [d.id for d in whose.devices] == ["00AA11-HNB-S1", "00AA11-HNB-S2"]


def test_an_acs_that_sends_a_connection_request_is_no_device():
    """Seen before any Inform: the device answers HTTP, and is known only by the address that IKE gave it."""
    handed_out = {"type": "REPLY", "attributes": {"INTERNAL_IP4_ADDRESS": [ADDRESSES["inner"]]}}
    found = assign([
        message("ike.sa_init.request", 0, "hnb", "segw", spi_i="a"),
        message("ike.auth.response", 1, "segw", "hnb", spi_i="a", configuration=handed_out),
        message("tcp.syn", 2, "acs", "inner"),
        message("http.request", 2, "acs", "inner", method="GET"),
        message("http.response", 2, "inner", "acs", status=200)])
    assert [device.addresses for device in found.devices] == [(ADDRESSES["hnb"], ADDRESSES["inner"])]


def test_an_inform_without_oui_is_of_the_device_with_that_serial_number():
    def told(at, stream, **oui):
        return message("cwmp.Inform", at, "hnb", "acs", stream=stream, session=stream,
                       DeviceId__SerialNumber="S1", **oui)

    assert len(devices(told(0, 1, DeviceId__OUI="00193B"), told(9, 2))) == 1
    assert len(devices(told(0, 1, DeviceId__OUI="00193B"), told(9, 2, DeviceId__OUI="001122"))) == 2


def inside(at, outer, inner, peer="segw", spi="0x01"):
    """The first opened packet of an ESP SA."""
    told = {"spi": spi, "src": ADDRESSES.get(inner, inner), "dst": ADDRESSES["acs"]}
    return replace(message("esp.inside", at, outer, peer, layers=("eth", "ip")), fields=told)


def test_opened_esp_without_its_ike_joins_inside_and_outside():
    lookup = message("dns.query", 1, "hnb", "dns", stream=9, layers=("eth", "ip", "udp"))
    device, = devices(lookup, inside(2, "hnb", "inner"), inform(3, "inner", "S1", 1)).values()
    assert device.id == "00AA11-HNB-S1" and set(device.addresses) == {ADDRESSES["hnb"], ADDRESSES["inner"]}
    assert any("ESP of" in text for text in device.evidence)


def test_esp_that_carries_two_devices_is_neither():
    lookup = message("dns.query", 1, "hnb", "dns", stream=9, layers=("eth", "ip", "udp"))
    found = devices(lookup, inside(2, "hnb", "inner"), inside(2.5, "hnb", "10.0.0.2", spi="0x02"),
                    inform(3, "inner", "S1", 1),
                    inform(4, "10.0.0.2", "S2", 2))
    assert len(found) == 3
