"""Whose a message is when it runs between hosts that are not the device's own."""

from literals import message

from flowcheck.rulebook.site import load_site
from flowcheck.session import devices, transactions

SITE = load_site(None)


def assigned(*messages):
    ordered = transactions.pair(messages)
    whose = devices.assign(ordered, {}, SITE.fields, SITE.bindings)
    return ordered, [tuple(device.id for device in whose.owners(m)) for m in ordered], whose.devices


def json(kind, at, src, dst, body, path, stream=1, exchange=1):
    return message(f"json.{kind}", at, src, dst, stream=stream, exchange=exchange, body=body, names=tuple(body),
                   path=path, method="POST")


def http(kind, at, src, dst, stream=1, exchange=1):
    return message(f"http.{kind}", at, src, dst, stream=stream, exchange=exchange, method="POST")


def test_a_gateway_speaks_for_several_and_is_none_itself():
    _, owners, found = assigned(
        message("tls.client_hello", 0, "other", "acs", stream=1),
        http("request", 1, "other", "acs"), json("request", 1, "other", "acs", {"privateId": "A1"}, "/provision"),
        http("response", 2, "acs", "other"), json("response", 2, "acs", "other", {"serviceId": "s1"}, "/provision"),
        http("request", 3, "other", "acs", exchange=2), json("request", 3, "other", "acs", {"privateId": "A2"},
                                                             "/provision", exchange=2),
        http("response", 4, "acs", "other", exchange=2))
    assert owners == [("A1", "A2"), ("A1",), ("A1",), ("A1",), ("A1",), ("A2",), ("A2",), ("A2",)]
    assert {d.id: d.identity for d in found} == {"A1": {"private_id": "A1"}, "A2": {"private_id": "A2"}}
    assert all(d.shared == d.addresses for d in found)


def test_one_private_id_is_its_address():
    _, owners, found = assigned(
        message("dns.query", 0, "hnb", "dns", qname="prov", id=1, qtype="A"),
        json("request", 1, "hnb", "acs", {"privateId": "A1"}, "/provision"))
    assert owners == [("A1",), ("A1",)] and found[0].shared == ()


def test_servers_that_talk_about_a_machine():
    _, owners, found = assigned(
        message("emm.AttachRequest", 0, "192.0.2.9", "gw", stream=5, ue="eNB-UE-S1AP-ID 7", imsi="001010000000001"),
        message("emm.AuthenticationRequest", 1, "gw", "192.0.2.9", stream=5, ue="eNB-UE-S1AP-ID 7"),
        message("gtpv2.CreateSessionRequest", 2, "gw", "segw", sequence=1, imsi="001010000000001"),
        message("gtpv2.CreateSessionResponse", 3, "segw", "gw", sequence=1, paa="10.45.0.7"),
        message("tcp.syn", 4, "10.45.0.7", "acs", stream=6),
        json("request", 5, "acs", "acs2", {"m2meId": "001010000000001", "imei": "990000862471854"},
             "/register", stream=7),
        json("request", 6, "acs2", "segw", {"pfc": "x"}, "/validate", stream=8),
        message("syncml.message", 7, "10.45.0.7", "acs", stream=9, source="IMEI:990000862471854", target="http://dm"))
    assert set(owners) == {("001010000000001",)}
    device = next(d for d in found if d.id == "001010000000001")
    assert device.identity == {"imsi": "001010000000001",
                               "imei": "990000862471854"} and device.addresses == ("10.45.0.7",)


def test_a_number_used_again_is_another_ue():
    _, owners, _ = assigned(
        message("emm.AttachRequest", 0, "192.0.2.9", "gw", stream=5, ue="eNB-UE-S1AP-ID 7", imsi="001010000000001"),
        message("emm.AttachRequest", 1, "192.0.2.9", "gw", stream=5, ue="eNB-UE-S1AP-ID 7", imsi="001010000000002"),
        message("emm.AuthenticationRequest", 2, "gw", "192.0.2.9", stream=5, ue="eNB-UE-S1AP-ID 7"))
    assert owners == [("001010000000001",), ("001010000000002",), ("001010000000002",)]


def test_an_address_given_to_the_next_ue():
    _, owners, _ = assigned(
        *(m for n, imsi in enumerate(("001010000000001", "001010000000002")) for m in (
            message("gtp.CreatePDPContextRequest", n * 10, "gw", "segw", sequence=n, imsi=imsi),
            message("gtp.CreatePDPContextResponse", n * 10 + 1, "segw", "gw", sequence=n, end_user_address="10.45.0.7"),
            message("tcp.syn", n * 10 + 2, "10.45.0.7", "acs", stream=n + 20))))
    assert owners == [("001010000000001",)] * 3 + [("001010000000002",)] * 3


def test_documents_of_others_name_nobody():
    _, owners, found = assigned(json("request", 0, "hnb", "acs", {"imei": "990000862471854"}, "/weather"))
    assert all(not d.identity for d in found)
    # two machines are known: a document that names none is about neither
    _, owners, _ = assigned(
        json("request", 0, "acs", "acs2", {"m2meId": "001010000000001"}, "/register", stream=1),
        json("request", 1, "acs", "acs2", {"m2meId": "001010000000002"}, "/register", stream=2),
        json("request", 2, "acs", "acs2", {"address": "10.45.0.7"}, "/register", stream=3))
    assert owners[2] not in (("001010000000001",), ("001010000000002",))


def attach(at, kind, up=True, **more):
    ends = ("192.0.2.9", "gw") if up else ("gw", "192.0.2.9")
    return message(f"emm.{kind}", at, *ends, stream=5, ue="eNB-UE-S1AP-ID 7", **more)


def test_a_ue_that_is_turned_away_before_it_is_named_goes_by_its_temporary_identity():
    _, owners, found = assigned(attach(0, "AttachRequest", guti="00101-0001-01-c0000001"),
                                attach(1, "AttachReject", False, cause=17))
    assert owners == [("00101-0001-01-c0000001",)] * 2 and found[0].identity == {"guti": "00101-0001-01-c0000001"}


def test_a_ue_that_tells_its_imsi_goes_by_that():
    _, owners, _ = assigned(
        attach(0, "AttachRequest", guti="00101-0001-01-c0000001"), attach(1, "IdentityRequest", False),
        attach(2, "IdentityResponse", imsi="001010000000001"))
    assert owners == [("001010000000001",)] * 3
