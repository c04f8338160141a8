"""S1AP, HNBAP, RUA and RANAP against pycrate's codec: what it writes must be read to the same values, whole and cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import hnbap, ranap, rua, s1ap
from flowcheck.model import Context, Endpoint, FrameRef, Payload

CONTEXT = Context(1, (FrameRef(0, 1),), Endpoint("10.62.0.1", 49876), Endpoint("10.50.0.40", 29169),
                  ("eth", "ip", "sctp"), 1,
                  carrier={"ppid": 18})
PLMN_001_01, PLMN_234_301 = bytes.fromhex("00f110"), bytes.fromhex("321403")
PLMNS = {PLMN_001_01: "00101", PLMN_234_301: "234301"}
CHOICES = {"initiating": "initiatingMessage", "successful": "successfulOutcome", "unsuccessful": "unsuccessfulOutcome",
           "outcome": "outcome"}


def encode(module, pdu, code, message, *elements):
    """A PDU as pycrate writes it; elements are (id, type, value)."""
    asn1 = pytest.importorskip("pycrate_asn1dir")
    __import__(f"pycrate_asn1dir.{module.upper()}")
    spec = getattr(getattr(asn1, module.upper()), f"{module.upper()}_PDU_Descriptions")
    coder = getattr(spec, f"{module.upper()}_PDU")
    listed = [{"id": ident, "criticality": "reject", "value": (kind, value)} for ident, kind, value in elements]
    coder.set_val((CHOICES[pdu], {"procedureCode": code, "criticality": "reject",
                                  "value": (message, {"protocolIEs": listed})}))
    return coder.to_aper()


CAUSE_HNB = ("radioNetwork", "unauthorised-HNB")
CELL = (61001, 28)
S1_REQUEST = [(59, "Global-ENB-ID", {"pLMNidentity": PLMN_001_01, "eNB-ID": ("homeENB-ID", (10597059, 28))}),
              (60, "ENBname", "Borealis L100"),
              (64, "SupportedTAs", [{"tAC": b"\x1b\x59", "broadcastPLMNs": [PLMN_001_01, PLMN_234_301]},
                                    {"tAC": b"\0\1", "broadcastPLMNs": [PLMN_001_01]}]),
              (128, "CSG-IdList", [{"cSG-Id": (4711, 27)}]), (137, "PagingDRX", "v128")]
NAS = bytes.fromhex("0741710899999900000074") + b"1" * 3

CASES = {
    "S1 setup of a HeNB": (s1ap, "initiating", 17, "S1SetupRequest", S1_REQUEST, {
        "procedure": "S1Setup", "Global-ENB-ID": {"pLMNidentity": "00101", "type": "homeENB-ID", "eNB-ID": 10597059},
        "eNBname": "Borealis L100", "SupportedTAs": [{"tAC": 7001, "broadcastPLMNs": ["00101", "234301"]},
                                                     {"tAC": 1, "broadcastPLMNs": ["00101"]}],
        "CSG-IdList": [{"cSG-Id": 4711}], "DefaultPagingDRX": "v128"}),
    "S1 setup of a small macro eNB": (s1ap, "initiating", 17, "S1SetupRequest", [
        (59, "Global-ENB-ID", {"pLMNidentity": PLMN_234_301, "eNB-ID": ("short-macroENB-ID", (5, 18))}),
        (60, "ENBname", "x" * 150), *S1_REQUEST[2:3], S1_REQUEST[4]], {
        "Global-ENB-ID": {"pLMNidentity": "234301", "type": "short-macroENB-ID", "eNB-ID": 5}, "eNBname": "x" * 150}),
    "S1 setup accepted": (s1ap, "successful", 17, "S1SetupResponse", [
        (61, "MMEname", "mme"), (105, "ServedGUMMEIs", [{"servedPLMNs": [PLMN_001_01, PLMN_234_301],
                                                         "servedGroupIDs": [b"\x80\1"],
                                                         "servedMMECs": [b"\1", b"\2"]}]),
                                                         (87, "RelativeMMECapacity", 255)], {
        "MMEname": "mme", "RelativeMMECapacity": 255,
        "ServedGUMMEIs": [{"servedPLMNs": ["00101", "234301"], "servedGroupIDs": [32769], "servedMMECs": [1, 2]}]}),
    "S1 setup refused": (s1ap, "unsuccessful", 17, "S1SetupFailure",
                         [(2, "Cause", ("misc", "unknown-PLMN")), (65, "TimeToWait", "v20s")],
                         {"cause": "misc: unknown-PLMN", "TimeToWait": 20}),
    "a cause behind the extension marker": (s1ap, "unsuccessful", 17, "S1SetupFailure",
                                            [(2, "Cause", ("radioNetwork", "invalid-CSG-Id"))],
                                            {"cause": "radioNetwork: invalid-CSG-Id"}),
    "a UE's first message": (s1ap, "initiating", 12, "InitialUEMessage", [
        (8, "ENB-UE-S1AP-ID", 70000), (26, "NAS-PDU", NAS), (67, "TAI", {"pLMNidentity": PLMN_001_01, "tAC": b"\0\7"}),
        (100, "EUTRAN-CGI", {"pLMNidentity": PLMN_001_01, "cell-ID": (19088641, 28)}),
        (134, "RRC-Establishment-Cause", "mo-VoiceCall"),
        (96, "S-TMSI", {"mMEC": b"\7", "m-TMSI": b"\1\2\3\4"})], {
        "procedure": "initialUEMessage", "eNB-UE-S1AP-ID": 70000, "NAS-PDU": NAS.hex(),
        "TAI": {"pLMNidentity": "00101", "tAC": 7},
        "EUTRAN-CGI": {"pLMNidentity": "00101", "cell-ID": 19088641}, "RRC-Establishment-Cause": "mo-VoiceCall",
        "S-TMSI": {"mMEC": 7, "m-TMSI": "01020304"}}),
    "a context released": (s1ap, "initiating", 23, "UEContextReleaseCommand", [
        (99, "UE-S1AP-IDs", ("uE-S1AP-ID-pair", {"mME-UE-S1AP-ID": 4294967295, "eNB-UE-S1AP-ID": 7})),
        (2, "Cause", ("nas", "authentication-failure"))], {
        "cause": "nas: authentication-failure",
        "UE-S1AP-IDs": {"uE-S1AP-ID-pair": {"mME-UE-S1AP-ID": 4294967295, "eNB-UE-S1AP-ID": 7}}}),
    "an HNB registers": (hnbap, "initiating", 1, "HNBRegisterRequest", [
        (3, "HNB-Identity", {"hNB-Identity-Info": b"100193B-LF21A000101@hnb.example"}),
        (8, "HNB-Location-Information", {
            "macroCoverageInfo": {"cellIdentity": ("uTRANCellID",
                                                   {"lAC": b"\1\2", "rAC": b"\3", "pLMNidentity": PLMN_001_01,
                                                                   "uTRANcellID": CELL})},
            "geographicalCoordinates": {"geographicalCoordinates": {"latitudeSign": "south", "latitude": 4000000,
                                                                    "longitude": -8388608},
                                        "altitudeAndDirection": {"directionOfAltitude": "depth", "altitude": 32767}}}),
        (9, "PLMNidentity", PLMN_001_01), (11, "CellIdentity", CELL), (6, "LAC", b"\x08\x35"), (7, "RAC", b"\x0c"),
        (10, "SAC", b"\0\x37"),
        (15, "CSG-ID", (99, 27))], {
        "HNB-Identity": "100193B-LF21A000101@hnb.example", "PLMNidentity": "00101", "CellIdentity": 61001, "LAC": 2101,
        "RAC": 12,
        "SAC": 55, "CSG-ID": 99, "HNB-Location-Information": {
            "macroCoverageInfo": {"cellIdentity": {"uTRANCellID": {"lAC": 258, "rAC": 3, "pLMNidentity": "00101",
                                                                   "uTRANcellID": 61001}}},
            "geographicalCoordinates": {
                "geographicalCoordinates": {"latitudeSign": "south", "latitude": 4000000, "longitude": -8388608},
                "altitudeAndDirection": {"directionOfAltitude": "depth", "altitude": 32767}}}}),
    "an HNB without a location": (hnbap, "initiating", 1, "HNBRegisterRequest", [(8, "HNB-Location-Information", {})],
                                  {"HNB-Location-Information": {}}),
    "an HNB accepted": (hnbap, "successful", 1, "HNBRegisterAccept", [(14, "RNC-ID", 65535)], {"RNC-ID": 65535}),
    "an HNB rejected": (hnbap, "unsuccessful", 1, "HNBRegisterReject",
                        [(1, "Cause", CAUSE_HNB), (16, "BackoffTimer", 3600)],
                        {"cause": "radioNetwork: unauthorised-HNB", "BackoffTimer": 3600}),
    "a UE registers": (hnbap, "initiating", 3, "UERegisterRequest", [
        (5, "UE-Identity", ("pTMSIRAI", {"pTMSI": (7, 32), "rAI": {"lAI": {"pLMNID": PLMN_001_01, "lAC": b"\0\1"},
                                                                   "rAC": b"\2"}})),
        (12, "Registration-Cause", "ue-relocation")], {
        "UE-Identity": {"pTMSIRAI": {"pTMSI": 7, "rAI": {"lAI": {"pLMNID": "00101", "lAC": 1}, "rAC": 2}}},
        "Registration-Cause": "ue-relocation"}),
    "RUA connects": (rua, "initiating", 1, "Connect", [
        (7, "CN-DomainIndicator", "ps-domain"), (3, "Context-ID", (4711, 24)),
        (6, "Establishment-Cause", "normal-call"),
        (4, "RANAP-Message", b"\0\x14\0" * 60)], {
        "CN-DomainIndicator": "ps-domain", "Context-ID": 4711, "Establishment-Cause": "normal-call",
        "RANAP-Message": "001400" * 60}),
    "RUA disconnects": (rua, "initiating", 3, "Disconnect", [(1, "Cause", ("radioNetwork", "network-release"))],
                        {"cause": "radioNetwork: network-release"}),
    "RANAP carries a UE's first message": (ranap, "initiating", 19, "InitialUE-Message", [
        (3, "CN-DomainIndicator", "ps-domain"), (15, "LAI", {"pLMNidentity": PLMN_234_301, "lAC": b"\x27\x11"}),
        (55, "RAC", b"\7"),
        (58, "SAI", {"pLMNidentity": PLMN_001_01, "lAC": b"\x27\x11", "sAC": b"\0\1"}),
        (16, "NAS-PDU", b"\x08\x01" * 100),
        (79, "IuSignallingConnectionIdentifier", (4711, 24)),
        (86, "GlobalRNC-ID", {"pLMNidentity": PLMN_001_01, "rNC-ID": 312})], {
        "LAI": {"pLMNidentity": "234301", "lAC": 10001}, "RAC": 7,
        "SAI": {"pLMNidentity": "00101", "lAC": 10001, "sAC": 1},
        "NAS-PDU": "0801" * 100, "IuSigConId": 4711, "GlobalRNC-ID": {"pLMNidentity": "00101", "rNC-ID": 312}}),
    "RANAP releases": (ranap, "initiating", 1, "Iu-ReleaseCommand", [(4, "Cause", ("nAS", 83))],
                       {"cause": "nAS: normal-release"}),
    "RANAP with a later cause": (ranap, "initiating", 1, "Iu-ReleaseCommand",
                                 [(4, "Cause", ("radioNetworkExtension", 268))],
                                 {"cause": "radioNetworkExtension: cS-fallback-triggered"}),
    "RANAP names the subscriber": (ranap, "initiating", 15, "CommonID",
                                   [(23, "PermanentNAS-UE-ID", ("iMSI", bytes.fromhex("9999990000007411f1")[:8]))],
                                   {"PermanentNAS-UE-ID": {"iMSI": "9999990000004711"}}),
    "a RANAP outcome without anything": (ranap, "successful", 1, "Iu-ReleaseComplete", [], {"procedure": "Iu-Release"}),
}


def messages(module, data, context=CONTEXT):
    return list(module.decode(data, context))


def short(module):
    return module.__name__.rpartition(".")[2]


@pytest.fixture(params=CASES)
def case(request):
    module, pdu, code, message, elements, fields = CASES[request.param]
    return module, encode(short(module), pdu, code, message, *elements), f"{short(module)}.{message}", code, pdu, fields


def test_whole(case):
    module, data, kind, code, pdu, fields = case
    found, *carried = messages(module, data)
    assert found.kind == kind and not found.problems and not found.incomplete
    assert (found.fields["procedure_code"], found.fields["pdu"]) == (code, pdu)
    assert {name: found.fields.get(name) for name in fields} == fields
    assert set(found.fields) <= set(module.KINDS[kind])
    assert all(isinstance(item, Payload) for item in carried)


def test_cut_by_the_snap_length(case):
    module, data, kind, *_ = case
    whole = messages(module, data)[0]
    for size in range(2, len(data)):
        cut = Context(1, CONTEXT.frames, CONTEXT.src, CONTEXT.dst, missing=len(data) - size)
        found = messages(module, data[:size], cut)[0]
        assert found.kind == kind and found.incomplete and not found.problems
        assert all(whole.fields[name] == value for name, value in found.fields.items())


def test_a_length_that_lies_is_the_peers_fault(case):
    module, data, kind, *_ = case
    for size in range(2, len(data)):
        found = messages(module, data[:size])[0]
        assert found.kind == kind and found.problems and not found.incomplete


def test_octets_behind_the_message():
    data = encode("hnbap", "successful", 1, "HNBRegisterAccept", (14, "RNC-ID", 1)) + b"\0"
    [found] = messages(hnbap, data)
    assert found.kind == "hnbap.HNBRegisterAccept" and "1 octets behind" in found.problems[0].text


def test_a_broken_element_costs_only_itself():
    """An element with the wrong length, made from one of two octets, leaves the other readable."""
    data = bytes.fromhex("40010012000002" + "0001400201ff" + "00104002" + "0e10")
    data = data[:3] + bytes([len(data) - 4]) + data[4:]
    [found] = messages(hnbap, data)
    assert found.fields["BackoffTimer"] == 3600 and found.kind == "hnbap.HNBRegisterReject"


def test_unknown_procedures_and_choices_keep_their_numbers():
    [found] = messages(s1ap, bytes.fromhex("00c800030000 00"))
    assert found.kind == "s1ap.unknown" and found.fields["procedure"] == "PROCEDURE200"
    assert messages(s1ap, b"\x80\x11")[0].fields["pdu"] == "CHOICE128"
    assert messages(s1ap, b"") == []


def test_what_is_carried_is_handed_on():
    data = encode("s1ap", *CASES["a UE's first message"][1:4], *CASES["a UE's first message"][4])
    _, carried = messages(s1ap, data)
    assert (carried.protocol, carried.data) == ("nas", NAS)
    assert carried.context.layers[-1] == "s1ap" and carried.context.carrier == {"ppid": 18,
                                                                                "ue": "eNB-UE-S1AP-ID 70000"}
    inner = encode("ranap", "initiating", 20, "DirectTransfer", (16, "NAS-PDU", b"\x08\x03"))
    _, carried = messages(rua, encode("rua", "initiating", 2, "DirectTransfer", (3, "Context-ID", (9, 24)),
                                      (4, "RANAP-Message", inner)))
    assert (carried.protocol, carried.context.carrier["ue"]) == ("ranap", "Context-ID 9")
    _, carried = messages(ranap, carried.data, carried.context)
    assert (carried.protocol, carried.data, carried.context.layers) == ("nas", b"\x08\x03",
                                                                        ("eth", "ip", "sctp", "rua", "ranap"))


def test_bearers_and_the_message_inside_one():
    arp = {"priorityLevel": 15, "pre-emptionCapability": "shall-not-trigger-pre-emption",
           "pre-emptionVulnerability": "pre-emptable"}
    gbr = {f"e-RAB-{what}Bitrate{way}": rate for what in ("Maximum", "Guaranteed") for way,
           rate in (("DL", 10000000000), ("UL", 1))}
    item = {"e-RAB-ID": 5, "e-RABlevelQoSParameters": {"qCI": 9, "allocationRetentionPriority": arp,
                                                       "gbrQosInformation": gbr},
            "transportLayerAddress": (0x0A14001F, 32), "gTP-TEID": b"\0\0\x10\1", "nAS-PDU": b"\x07\x42"}
    listed = [{"id": 52, "criticality": "reject", "value": ("E-RABToBeSetupItemCtxtSUReq", item)}]
    data = encode("s1ap", "initiating", 9, "InitialContextSetupRequest", (8, "ENB-UE-S1AP-ID", 7),
                  (24, "E-RABToBeSetupListCtxtSUReq", listed))
    found, carried = messages(s1ap, data)
    assert found.fields["E-RABToBeSetupListCtxtSUReq"] == [{
        **item, "transportLayerAddress": "10.20.0.31", "gTP-TEID": "00001001", "nAS-PDU": "0742"}]
    assert carried.data == b"\x07\x42" and not found.problems


def test_recognition():
    setup = encode("s1ap", "initiating", 17, "S1SetupRequest", *S1_REQUEST)
    register = encode("hnbap", "successful", 1, "HNBRegisterAccept", (14, "RNC-ID", 1))
    release = encode("s1ap", "initiating", 23, "UEContextReleaseCommand", (2, "Cause", ("nas", "detach")))
    assert s1ap.likely(setup, (40000, 36412)) and s1ap.likely(setup, (1, 2)) and not hnbap.likely(setup, (1, 2))
    assert hnbap.likely(register, (1, 2)) and not s1ap.likely(register, (1, 2))
    assert s1ap.likely(release, (36412, 1)) and not s1ap.likely(release, (1, 2))
    assert not s1ap.likely(setup + b"\0", (36412, 1)) and not s1ap.likely(b"GET / HTTP/1.1\r\n\r\n", (36412, 1))
    assert ranap.fits(bytes.fromhex("20010003000000")) and not ranap.fits(setup + b"x")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([s1ap, hnbap, rua, ranap]), st.binary(max_size=100), st.integers(0, 20))
def test_noise(module, noise, code):
    for data in (noise, bytes([0, code, 0, len(noise)]) + noise):
        for item in messages(module, data):
            assert isinstance(item, Payload) or item.kind in module.KINDS
