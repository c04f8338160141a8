"""The NAS messages of UMTS and LTE: each case whole, cut at every length, and by pycrate as a second opinion."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck import decode
from flowcheck.decode import emm, esm, gmm, mm, nas, sm
from flowcheck.model import Context, Endpoint, FrameRef, Payload

CONTEXT = Context(1, (FrameRef(0, 1),), Endpoint("10.20.0.11"), Endpoint("10.20.0.21"), ("eth", "ip", "sctp", "s1ap"),
                  1,
                  carrier={"ue": "eNB-UE-S1AP-ID 7"})
RAND, AUTN = "64caee3bf1159a4f66f8f00c2743b26a", "9d7a64c3192780007932219efcf79ba1"
IMSI = "0899999900000074" + "11"        # a mobile identity with its length
RAI, LAI = "00f110271107", "00f1102711"
ESM = "0201d011"

# (from the UE, octets, kind, fields)
CASES = [
    (True, f"080102e5e0710000{IMSI}00f110fffe000513433a14d0", "gmm.AttachRequest",
     {"message_type": 1, "attach_type": "GPRS attach", "imsi": "999990000004711", "plmn": "00101", "lac": 65534,
      "rac": 0}),
    (True, "080102e5e0710000" + "05f411223344" + "00f110fffe000513433a14d0" + "1911223317" + "20", "gmm.AttachRequest",
     {"tmsi": "11223344", "imsi": None, "lac": 65534}),
    (False, f"0802012144{RAI}1805f4aabbccdd", "gmm.AttachAccept",
     {"attach_result": "GPRS only attached", "tmsi": "aabbccdd", "lac": 10001, "rac": 7, "cause": None}),
    (False, "080408", "gmm.AttachReject",
     {"cause": 8, "cause_text": "GPRS services and non-GPRS services not allowed"}),
    (False, f"0812003021{RAND}802810{AUTN}", "gmm.AuthenticationAndCipheringRequest", {"rand": RAND, "autn": AUTN}),
    (True, "081300222e057cb8290401fbee25", "gmm.AuthenticationAndCipheringResponse", {"res": "2e057cb801fbee25"}),
    (True, "081c15300e" + "ab" * 14, "gmm.AuthenticationAndCipheringFailure",
     {"cause": 21, "cause_text": "Synch failure", "auts": "ab" * 14}),
    (False, "081501", "gmm.IdentityRequest", {"identity_type": "imsi"}),
    (True, f"0816{IMSI}", "gmm.IdentityResponse", {"identity_type": "imsi", "imsi": "999990000004711"}),
    (True, "080c1005f407000008", "gmm.ServiceRequest", {"service_type": "data", "tmsi": "07000008"}),
    (False, "080b0900", "gmm.RoutingAreaUpdateReject", {"cause": 9,
                                                        "cause_text": "MS identity cannot be derived by the network"}),
    (False, f"051202{RAND}2010{AUTN}", "mm.AuthenticationRequest", {"message_type": 18, "rand": RAND, "autn": AUTN}),
    (True, "05548db707f62104aabbccdd", "mm.AuthenticationResponse", {"message_type": 20, "res": "8db707f6aabbccdd"}),
    (True, "055c15220e" + "cd" * 14, "mm.AuthenticationFailure", {"cause": 21, "auts": "cd" * 14}),
    (True, f"050870{LAI}33{IMSI}", "mm.LocationUpdatingRequest",
     {"imsi": "999990000004711", "lac": 10001, "update_type": "normal"}),
    (False, f"0502{LAI}1705f401020304", "mm.LocationUpdatingAccept", {"plmn": "00101", "tmsi": "01020304"}),
    (False, "05040c", "mm.LocationUpdatingReject", {"cause": 12, "cause_text": "Location Area not allowed"}),
    (True, "0559093395070215977802f1", "mm.IdentityResponse", {"message_type": 25, "imeisv": "3597020517987201"}),
    (True, "052471034f188005f407000008", "mm.CMServiceRequest", {"tmsi": "07000008"}),
    (True, "0a4105030b000000000000000000000002012128" + "0e036d326d0970726f766973696f6e",
     "sm.ActivatePDPContextRequest",
     {"message_type": 65, "nsapi": 5, "pdp_type": "IPv4", "apn": "m2m.provision", "pdp_address": None}),
    (False, "8a42030b0b921f7196fefe74fb4040042b0601210a2d0007", "sm.ActivatePDPContextAccept",
     {"pdp_type": "IPv4", "pdp_address": "10.45.0.7", "transaction_identifier": 0}),
    (False, "8a431b", "sm.ActivatePDPContextReject", {"cause": 27, "cause_text": "Missing or unknown APN"}),
    (True, f"074171{IMSI}02e0e00004{ESM}", "emm.AttachRequest",
     {"security_header": "plain", "attach_type": "EPS attach", "imsi": "999990000004711", "identity_type": "imsi"}),
    (True, "0741710b" + "f600f11080010a11223344" + f"02e0e00004{ESM}", "emm.AttachRequest",
     {"identity_type": "guti", "guti": "00101-8001-0a-11223344", "imsi": None}),
    (False, f"075200{RAND}10{AUTN}", "emm.AuthenticationRequest", {"message_type": 82, "rand": RAND, "autn": AUTN}),
    (True, "075308fbe1b38aa4fdadd5", "emm.AuthenticationResponse", {"res": "fbe1b38aa4fdadd5"}),
    (False, "0754", "emm.AuthenticationReject", {"message_type": 84}),
    (True, "075c14", "emm.AuthenticationFailure", {"cause": 20, "cause_text": "MAC failure"}),
    (True, "075c15300e" + "ef" * 14, "emm.AuthenticationFailure", {"cause": 21, "auts": "ef" * 14}),
    (False, "075501", "emm.IdentityRequest", {"identity_type": "imsi"}),
    (True, f"0756{IMSI}", "emm.IdentityResponse", {"imsi": "999990000004711"}),
    (False, "074413780004" + "0201d11b", "emm.AttachReject", {"cause": 19, "cause_text": "ESM failure"}),
    (True, "0745090bf600f11080010a11223344", "emm.DetachRequest", {"guti": "00101-8001-0a-11223344"}),
    (False, "0745025308", "emm.DetachRequest", {"cause": 8, "guti": None}),
    (False, "373334f0fc00075d020002e0e0", "emm.SecurityModeCommand",
     {"security_header": "integrity protected, new security context", "sequence_number": 0, "eea": 0, "eia": 2}),
    (True, "47f9ab5d8a00075e", "emm.SecurityModeComplete",
     {"security_header": "integrity protected and ciphered, new security context"}),
    (False, "0201d11b", "esm.PDNConnectivityReject", {"cause": 27, "cause_text": "Missing or unknown APN", "pti": 1,
                                                      "bearer": 0}),
    (True, ESM, "esm.PDNConnectivityRequest", {"request_type": 1, "pdn_type": "IPv4"}),
    (False, "5201c101090e036d326d0970726f766973696f6e05010a2d0007", "esm.ActivateDefaultEPSBearerContextRequest",
     {"apn": "m2m.provision", "pdn_type": "IPv4", "pdn_address": "10.45.0.7", "bearer": 5}),
    (False, "5201c10109020161" + "0d03" + "0000000000000001" + "0a2d0007" + "5832",
     "esm.ActivateDefaultEPSBearerContextRequest",
     {"pdn_type": "IPv4v6", "pdn_address": "10.45.0.7", "interface_identifier": "0000000000000001", "cause": 50}),
]


def messages(data, context=CONTEXT):
    """What a NAS payload becomes, payloads followed."""
    found = []
    for item in nas.decode(data, context):
        module = decode.decoder(item.protocol)
        for each in module.decode(item.data, item.context):
            found += messages(each.data, each.context) if isinstance(each, Payload) else [each]
    return found


@pytest.mark.parametrize("octets,kind,fields", [case[1:] for case in CASES],
                         ids=[f"{c[2]}-{i}" for i, c in enumerate(CASES)])
def test_whole_and_cut(octets, kind, fields):
    data = bytes.fromhex(octets)
    found = messages(data)[0]
    assert found.kind == kind and not found.problems and not found.incomplete
    assert {name: found.fields.get(name) for name in fields} == fields
    assert set(found.fields) <= set(decode.kinds()[kind]) and found.fields["ue"] == "eNB-UE-S1AP-ID 7"
    for size in range(len(data)):
        missing = Context(1, CONTEXT.frames, CONTEXT.src, CONTEXT.dst, missing=len(data) - size)
        for item in messages(data[:size], missing)[:1]:
            assert item.kind in (kind, "emm.unknown", "emm.Ciphered") and not item.problems
            assert item.incomplete or item.kind == "emm.Ciphered"
            same = [name for name in fields if name in item.fields and item.fields[name] != found.fields[name]]
            assert same in ([], ["res"]), "the first octets of RES are its beginning"


@pytest.mark.parametrize("up,octets,kind", [case[:3] for case in CASES],
                         ids=[f"{c[2]}-{i}" for i, c in enumerate(CASES)])
def test_pycrate_agrees_on_the_kind(up, octets, kind):
    parser = pytest.importorskip("pycrate_mobile.NAS")
    data = bytes.fromhex(octets)
    if data[0] in (0x37, 0x47):
        data = data[6:]
    found, error = (parser.parse_NAS_MO if up else parser.parse_NAS_MT)(data)
    theirs = found._name.removesuffix("MO").removesuffix("MT").replace("ActDefault", "ActivateDefault")
    ours = kind.replace(".", "").replace("AndCiphering", "Ciphering").replace("BearerContext", "BearerCtxt")
    assert error == 0 and ours.lower() == theirs.lower()


def test_session_management_inside():
    attach, pdn = messages(bytes.fromhex(f"074171{IMSI}02e0e00004{ESM}"))
    assert (attach.kind, pdn.kind) == ("emm.AttachRequest", "esm.PDNConnectivityRequest")
    assert pdn.layers == ("eth", "ip", "sctp", "s1ap", "emm") and "esm_container" not in attach.fields
    _, reject = messages(bytes.fromhex("0744137800040201d11b"))
    assert reject.kind == "esm.PDNConnectivityReject" and reject.fields["cause"] == 27


def test_ciphering():
    """Null-ciphered messages are read; what is really ciphered is called so."""
    whole = bytes.fromhex("273c7ca36901" + "074300035200c2")
    assert [m.kind for m in messages(whole)] == ["emm.AttachComplete", "esm.ActivateDefaultEPSBearerContextAccept"]
    [sealed] = messages(bytes.fromhex("273c7ca36905" + "a15c0017ffed9901"))
    assert sealed.kind == "emm.Ciphered" and sealed.fields["ciphered"] is True and sealed.fields["sequence_number"] == 5
    [request] = messages(bytes.fromhex("27aabbccdd02" + "0201d9"))
    assert request.kind == "esm.ESMInformationRequest"
    assert request.fields["security_header"] == "integrity protected and ciphered"
    for content in ("0201d9ff", "5201d9", "0742ff", "f20100"):
        assert messages(bytes.fromhex("27aabbccdd02" + content))[0].kind == "emm.Ciphered", content


def test_random_ciphertext_is_hardly_ever_taken_for_a_message():
    rng = random.Random(1)
    taken = sum(messages(b"\x27" + rng.randbytes(5 + size))[0].kind != "emm.Ciphered"
                for size in [5, 9, 13, 21, 40] * 400)
    assert taken <= 2


def test_service_request_has_no_type():
    [found] = messages(bytes.fromhex("c7051122"))
    assert found.kind == "emm.ServiceRequest" and found.fields["sequence_number"] == 5


def test_unknown_types_and_elements():
    [found] = messages(bytes.fromhex("08f0"))
    assert found.kind == "gmm.unknown" and found.fields["message_type"] == 0xF0
    [found] = messages(bytes.fromhex("0804085f01ff" + "a1" + "7705aabbccddee" + "2a0101"))
    assert found.fields["cause"] == 8 and not found.problems, "unknown elements are stepped over (TS 24.007 11.2.4)"
    [found] = messages(bytes.fromhex("081608"))
    assert found.problems and found.kind == "gmm.IdentityResponse"
    assert messages(b"\x03\x45") == [] and messages(b"") == [], "call control is not decoded"


def test_extended_transaction_identifier():
    [found] = messages(bytes.fromhex("7a85431b"))
    assert found.kind == "sm.ActivatePDPContextReject" and found.fields["transaction_identifier"] == 5


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([gmm, mm, sm, emm, esm]), st.sampled_from([2, 5, 7, 8, 10, 0x17, 0x27]), st.binary(max_size=80))
def test_noise(module, first, noise):
    for item in module.decode(bytes([first]) + noise, CONTEXT):
        assert isinstance(item, Payload) or set(item.fields) <= set(decode.kinds()[item.kind])
