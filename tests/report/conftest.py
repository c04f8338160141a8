"""Results as the judging stage hands them over, written as literals: a refused tunnel, a wrong field, a hidden run, and malice."""

from dataclasses import replace

import pytest

from flowcheck.model import (FAIL, INCONCLUSIVE, PASS, AttemptResult, CaptureInfo, DeviceResult, Endpoint, Event,
                             Finding, FrameRef,
                             Opaque, Problem, Result, StepResult)

T0 = 1_777_636_800_000_000_000           # 2026-05-01T12:00:00Z
MS = 1_000_000
P = "ts32.583-5.1.1"
CLAUSE = "3GPP TS 32.583 5.1.1"
TITLE = "HNB-GW discovery via HMS (initial) on the MNO intranet"
ROLES = (("hnb", "198.51.100.21"), ("dns_outer", "192.0.2.53"),
         ("segw_initial", "segw-init.femto.example (203.0.113.10)"),
         ("dns_inner", "10.50.0.53"), ("hms_initial", "hms-init.oam.example (10.50.0.10)"))
TUNNEL = ("eth", "ip", "udp", "esp", "ip", "tcp", "http")
SECRETS = ("hunter2-Planted", "c0nnReqPlanted", "ftpPassPlanted", "aHR0cFBsYW50ZWQ6c2VjcmV0UGxhbnRlZA==",
           "secretPlanted",
           "cookiePlanted", "pskPlanted99", "urlPassPlanted", "dlUserPlanted", "formPlanted")


def frames(*numbers, capture=0):
    return tuple(FrameRef(capture, number) for number in numbers)


def event(ms, kind, src, dst, numbers, summary, fields=None, layers=("eth", "ip", "udp"), capture=0, copies=(), **more):
    return Event(T0 + int(ms * MS), kind, src, dst, frames(*numbers, capture=capture), frames(*copies, capture=capture),
                 layers, summary,
                 fields or {}, **more)


def step(name, cite, state, title, numbers=(), ms=None, reason=None, src="hnb", dst="segw_initial",
         message="", capture=0):
    return StepResult(name, cite, state, title, frames(*numbers, capture=capture), None if ms is None else T0
                      + int(ms * MS), reason,
                      src, dst, message)


QNAME = "segw-init.femto.mnc015.mcc234.pub.3gppnetwork.org"
OPENING = (
    event(0, "dns.query", "hnb", "dns_outer", (3,), f"A {QNAME}",
          {"id": 37587, "opcode": "QUERY", "qname": QNAME, "qtype": "A",
          "questions": ({"name": QNAME, "type": "A"},)}, step="ask-segw", copies=(4, 5)),
    event(0.24, "dns.response", "dns_outer", "hnb", (6,), f"A {QNAME}: 203.0.113.10",
          {"id": 37587, "rcode": "NOERROR", "answers": (
          {"name": QNAME, "type": "A", "ttl": 300, "data": "203.0.113.10"},)}, step="segw-address"),
    event(1.13, "ike.sa_init.request", "hnb", "segw_initial", (7,), "IKE_SA_INIT request, SA KE Ni",
          {"version": "2.0", "exchange":
          "IKE_SA_INIT", "spi_i": "b83573c4d41d9441", "spi_r": "0000000000000000", "message_id": 0,
          "payloads": ("SA", "KE", "Ni")},
          step="sa-init"),
    event(2.77, "ike.sa_init.response", "segw_initial", "hnb", (8,), "IKE_SA_INIT response, SA KE Nr",
          {"version": "2.0", "exchange":
          "IKE_SA_INIT", "spi_i": "b83573c4d41d9441", "spi_r": "f637e064f3bffa39", "message_id": 0},
          step="sa-init-answer"),
)
OPENING_STEPS = (
    step("lan-up", "1", "unchecked", "the HNB establishes LAN connectivity", reason="precedes the capture point"),
    step("ask-segw", "2.1", "seen", "asks the outer DNS for the SeGW (initial)", (3,), 0, dst="dns_outer",
         message="dns.query"),
    step("segw-address", "2.2", "seen", "outer DNS answers with addresses", (6,), 0.24, src="dns_outer", dst="hnb",
         message="dns.response"),
    step("sa-init", "2.3", "seen", "opens an IKE SA", (7,), 1.13, message="ike.sa_init.request"),
    step("sa-init-answer", "2.3", "seen", "SeGW answers IKE_SA_INIT", (8,), 2.77, src="segw_initial", dst="hnb",
         message="ike.sa_init.response"),
)
REST = (
    ("ask-hms", "2.4", "asks the inner DNS for the HMS (initial)", "hnb", "dns_inner", "dns.query"),
    ("hms-address", "2.5", "inner DNS answers with addresses", "dns_inner", "hnb", "dns.response"),
    ("inform", "4", "sends Inform with location and identity", "hnb", "hms_initial", "cwmp.Inform"),
    ("inform-accepted", "5", "HMS accepts the location", "hms_initial", "hnb", "cwmp.InformResponse"),
    ("set-values", "6", "HMS gives serving SeGW and HMS", "hms_initial", "hnb", "cwmp.SetParameterValues"),
    ("values-set", "7", "acknowledges", "hnb", "hms_initial", "cwmp.SetParameterValuesResponse"),
    ("session-released", "8", "releases the CWMP session", "hnb", "hms_initial", "cwmp.session_end"),
)


def make_refused():
    """The SeGW refuses IKE_AUTH; everything after it is missing."""
    code = f"{P}/auth-answer/refused:AUTHENTICATION_FAILED"
    stopped = f"{P}/ask-hms/stopped"
    return AttemptResult(
        P, TITLE, CLAUSE, FAIL, T0, T0 + 10 * MS,
        OPENING_STEPS + (
            step("auth", "2.3", "seen", "authenticates with its certificate", (9, 10), 7.3, message="ike.auth.request"),
            step("auth-answer", "2.3", "refused", "SeGW completes the tunnel", (11,), 10.1, "AUTHENTICATION_FAILED",
                 "segw_initial", "hnb",
                 "ike.auth.response"),
        ) + tuple(step(n, c, "missing", t, reason="nothing more after frame 11", src=s, dst=d, message=m)
                  for n, c, t, s, d, m in REST),
        (Finding(code, "refused", "error", "auth-answer", "2.3", CLAUSE, frames(9, 10, 11),
                 "an IKE_AUTH response that completes the tunnel", "AUTHENTICATION_FAILED",
                 "AUTHENTICATION_FAILED is usually a certificate chain, clock or identity mismatch. Check which CA the SeGW trusts.",
                 "network", "frame.number in {9,10,11}",
                 "One IKE_AUTH response without an error would have let it go on."),
         Finding(stopped, "stopped", "error", "ask-hms", "2.4", CLAUSE, frames(11),
                 "a DNS query for the HMS (initial) in the tunnel",
                 "nothing until the capture ends", "", "unknown", "frame.number > 11", "")),
        code, "network",
        "The SeGW (initial) refused IKE_AUTH with AUTHENTICATION_FAILED (frame 11), so the IPsec tunnel of step 2.3 was never set up.",
        ("segw_initial is 203.0.113.10: the responder of the only IKE exchange",),
        OPENING + (
            event(7.3, "ike.auth.request", "hnb", "segw_initial", (9, 10),
                  "IKE_AUTH request, IDi CERT AUTH (2 fragments)", {
                "exchange": "IKE_AUTH", "message_id": 1, "id_i": "00193B-LF21A000101.hnb.femto.example", "payloads": ("IDi", "CERT", "AUTH"),
                "certificates": ({"subject_cn": "00193B-LF21A000101", "issuer_cn": "Unknown CA", "not_after": "2027-01-01T00:00:00Z"},)},
                step="auth"),
            event(10.1, "ike.auth.response", "segw_initial", "hnb", (11,),
                  "IKE_AUTH response, N(AUTHENTICATION_FAILED)", {
                "exchange": "IKE_AUTH", "message_id": 1, "notifies": ({"type": "AUTHENTICATION_FAILED", "code": 24},)},
                step="auth-answer",
                finding=code)),
        ROLES)


def make_wrong_field():
    """The Inform carries no serial number and a wrong location; everything runs through the tunnel."""
    code = f"{P}/inform/field-absent:DeviceId.SerialNumber"
    warned = f"{P}/inform/field-wrong:Device.FAP.GPS.LockedLatitude"
    inform = {"id": "1", "cwmp_version": "1.0", "DeviceId.Manufacturer": "Lab Femto Ltd", "DeviceId.OUI": "00193B",
              "DeviceId.ProductClass": "HNB-U21", "Event": ("0 BOOTSTRAP", "1 BOOT"), "ParameterList": {
                  "Device.DeviceInfo.SoftwareVersion": "4.2.1", "Device.FAP.GPS.LockedLatitude": "999999999",
                  "Device.FAP.GPS.LockedLongitude": "-2244000",
                  "Device.ManagementServer.ConnectionRequestURL": "http://10.61.0.1:30005/cr"}}
    steps = OPENING_STEPS + (
        step("auth", "2.3", "seen", "authenticates with its certificate", (9, 10), 7.3, message="ike.auth.request"),
        step("auth-answer", "2.3", "seen", "SeGW completes the tunnel", (12,), 11.4, src="segw_initial", dst="hnb"),
        step("ask-hms", "2.4", "seen", REST[0][2], (1,), 21, dst="dns_inner", capture=1),
        step("hms-address", "2.5", "late", REST[1][2], (3,), 5_321,
             "5.3 s after the query; 5 s is the limit (engineering)", "dns_inner",
             "hnb", capture=1),
        step("inform", "4", "seen", REST[2][2], (10, 11, 12), 5_340, dst="hms_initial", capture=1),
        step("inform-accepted", "5", "seen", REST[3][2], (16,), 5_352, src="hms_initial", dst="hnb", capture=1),
        step("set-values", "6", "seen", REST[4][2], (22,), 5_400, src="hms_initial", dst="hnb", capture=1),
        step("values-set", "7", "seen", REST[5][2], (25,), 5_420, dst="hms_initial", capture=1),
        step("session-released", "8", "not_applicable", REST[6][2],
             reason="the serving HMS is the initial HMS (step 7)"))
    return AttemptResult(
        P, TITLE, CLAUSE, FAIL, T0, T0 + 5_420 * MS, steps,
        (Finding(code, "field-absent", "error", "inform", "4", "TR-069 Amendment 2, Table 36",
                 frames(10, 11, 12, capture=1),
                 "DeviceId.SerialNumber present", "an Inform without DeviceId.SerialNumber",
                 "The HMS cannot identify the HNB without all four DeviceId fields.", "device",
                 "frame.number in {10,11,12}",
                 "DeviceId.SerialNumber in the Inform."),
         Finding(warned, "field-wrong", "warning", "inform", "4", CLAUSE, frames(12, capture=1),
                 "Device.FAP.GPS.LockedLatitude at most 90000000", "999999999",
                 "A latitude in millionths of a degree.", "device",
                 "frame.number == 12", waived="known defect of firmware 4.2, until 2027-01-31"),
         Finding(f"{P}/hms-address/late", "late", "warning", "hms-address", "2.5", CLAUSE, frames(1, 3, capture=1),
                 "within 5 s",
                 "after 5.3 s", "The inner DNS is slow.", "network", "frame.number in {1,3}")),
        code, "device", "The Inform of step 4 carries no DeviceId.SerialNumber (hnb_inner.pcap frame 12).", (),
        OPENING + (
            event(7.3, "ike.auth.request", "hnb", "segw_initial", (9, 10), "IKE_AUTH request", {"exchange": "IKE_AUTH"},
                  step="auth"),
            event(11.4, "ike.auth.response", "segw_initial", "hnb", (12,), "IKE_AUTH response",
                  {"exchange": "IKE_AUTH"},
                  step="auth-answer"),
            event(21, "dns.query", "hnb", "dns_inner", (1,), "A hms-init.oam.example",
                  {"qname": "hms-init.oam.example"},
                  ("eth", "ip", "udp", "esp", "ip", "udp"), 1, step="ask-hms"),
            event(5_321, "dns.response", "dns_inner", "hnb", (3,), "A hms-init.oam.example: 10.50.0.10",
                  {"rcode": "NOERROR"},
                  ("eth", "ip", "udp", "esp", "ip", "udp"), 1, step="hms-address", finding=f"{P}/hms-address/late"),
            event(5_340, "cwmp.Inform", "hnb", "hms_initial", (10, 11, 12), "Inform 0 BOOTSTRAP, 1 BOOT", inform,
                  TUNNEL, 1, step="inform",
                  finding=code, problems=(Problem(310, "no SerialNumber element in DeviceId"),)),
            event(5_352, "cwmp.InformResponse", "hms_initial", "hnb", (16,), "InformResponse",
                  {"id": "1", "MaxEnvelopes": 1}, TUNNEL, 1,
                  step="inform-accepted"),
            event(5_400, "cwmp.SetParameterValues", "hms_initial", "hnb", (22,), "SetParameterValues, 3 parameters", {
                "id": "2", "ParameterList": {"Device.FAPService.1.FAPControl.UMTS.Gateway.SecGWServer1": "segw-serv.femto.example",
                                             "Device.ManagementServer.URL": "http://hms-serv.oam.example:7547/acs",
                                             "Device.ManagementServer.Password": SECRETS[0],
                                             "Device.ManagementServer.ConnectionRequestPassword": SECRETS[1]}}, TUNNEL,
                                             1, step="set-values"),
            event(5_420, "cwmp.SetParameterValuesResponse", "hnb", "hms_initial", (25,),
                  "SetParameterValuesResponse, Status 0", {
                "id": "2", "Status": 0}, TUNNEL, 1, step="values-set")),
        ROLES)


def make_hidden():
    """A tap on the WAN side without keys: ESP both ways, and nothing to read in it."""
    reason = "inside ESP, and no key opens it: 37 packets from 12:00:00.021 to 12:00:00.025"
    return AttemptResult(
        P, TITLE, CLAUSE, INCONCLUSIVE, T0, T0 + 40 * MS,
        OPENING_STEPS + tuple(step(n, c, "not_observable", t, reason=reason, src=s, dst=d, message=m)
                              for n, c, t, s, d, m in REST),
        (), None, "unknown", "Steps 2.1 to 2.3 were right; steps 2.4 to 8 run inside ESP, which no key opens here.",
        ("the tunnel of step 2.3 stands: IKE_AUTH was answered and ESP runs both ways",), OPENING, ROLES,
        ("Give the keys of the SeGW or HNB: --keys with `ip xfrm state` output or Wireshark's esp_sa.",
         "Or capture inside the tunnel, on the HNB's ipsec0 or behind the SeGW, with the filter: tcp port 7547 or port 53."))


def make_registered():
    procedure = "ts32.583-5.2.1"
    return AttemptResult(
        procedure, "HNB registration with HMS (serving)", "3GPP TS 32.583 5.2.1", PASS, T0 + 9_000 * MS,
        T0 + 9_900 * MS,
        (step("inform", "5.1", "seen", "sends Inform", (40,), 9_000, dst="hms_serving"),
         step("register", "7", "seen", "registers with the HNB-GW", (61,), 9_900, dst="hnb_gw")),
        (), None, None, "Every step of the clause was seen.", (),
        (event(9_000, "cwmp.Inform", "hnb", "hms_serving", (40,), "Inform 1 BOOT", {"id": "9"}, TUNNEL, step="inform"),
         event(9_900, "hnbap.HNBRegisterRequest", "hnb", "hnb_gw", (61,), "HNB REGISTER REQUEST",
               {"procedure": "HNBRegister"}, ("eth", "ip",
               "udp", "esp", "ip", "sctp"), step="register")),
        (("hnb", "198.51.100.21"), ("hms_serving", "10.50.0.20"), ("hnb_gw", "10.50.0.40")))


DEVICE = DeviceResult("00193B-HNB-U21-LF21A000101", {"manufacturer": "Lab Femto Ltd", "oui": "00193B",
                                                     "product_class": "HNB-U21",
                                                     "serial_number": "LF21A000101"},
                                                     ("198.51.100.21", "10.61.0.1"), (),
                      ("198.51.100.21 sent the IKE_SA_INIT of SPI b83573c4d41d9441 (frame 7)",
                       "its tunnel was given 10.61.0.1, where the Inform of LF21A000101 came from (frame 12)"))
OUTER = CaptureInfo("captures/hnb_outer.pcap", "c8ba0ccc53937ded4c51048824f468bdfd221de1f5c7f9e6abf30cf9b37601d5", 49,
                    T0, T0 + 40 * MS,
                    "fair", ("2 TCP segments were seen to be acknowledged but are not in the capture",),
                    {"udp/123": 4, "tcp/8883": 2},
                    "pcap")
INNER = CaptureInfo("captures/hnb_inner.pcap", "1a9822ce1040178d2ec5b6dc63494cb4e1482b40377c3178e447813451a38800", 31,
                    T0 + 21 * MS,
                    T0 + 9_900 * MS, format="pcap")
HIDDEN = Opaque("esp", T0 + 21 * MS, T0 + 25 * MS, Endpoint("198.51.100.21", 4500), Endpoint("203.0.113.10", 4500),
                ("eth", "ip", "udp"),
                37, 14_600, 3, frames(13, 47), {"spi": "d56a7ab0", "first_sequence": 1, "last_sequence": 19})
TOOL = {"version": "0.1.0", "rules": "sha256:0f3a", "site": "lab-a"}


def make_result(*attempts, device=DEVICE, **changes):
    return replace(Result((OUTER, INNER), (replace(device, attempts=attempts),), TOOL,
                          "flowcheck check captures/hnb_outer.pcap",
                          T0 + 60_000 * MS, (HIDDEN,)), **changes)


EVIL = ("<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "\u202egnp.exe\u2066",
        "a\x00b\x1b[31mc\r\nd",
        "{{7*7}}{% raw %}", "]]><x/>", "\ud800lone", "--><!--", "&lt;b&gt;", "'; DROP TABLE", "x" * 20_000)


def make_hostile():
    """Every string that can come from the wire is an attack, one at a time and all together."""
    evil = " ".join(EVIL)
    code = f"{P}/inform/field-wrong:{EVIL[0]}{EVIL[1]}"
    attempt = AttemptResult(
        P, evil, evil, FAIL, T0, T0 + MS,
        (StepResult("inform", EVIL[1], "seen", evil, frames(3), T0, evil, EVIL[0], EVIL[1], EVIL[0]),
         StepResult(EVIL[1], EVIL[0], "missing", evil, (), None, evil, EVIL[1], EVIL[2])),
        (Finding(code, "field-wrong", "error", "inform", EVIL[1], evil, frames(3), evil, evil, evil, "device", evil,
                 evil, evil),),
        code, "device", evil, (evil,),
        (Event(T0, EVIL[0], EVIL[1], EVIL[2], frames(3), (), ("eth", EVIL[0]), evil,
               {evil[:400]: evil, "ParameterList": {EVIL[0]: EVIL[1]},
               "deep": {"list": EVIL, "octets": b"\x00\xff<script>"}}, "inform", code, (Problem(1, evil),)),),
        ((EVIL[0], EVIL[1]), (EVIL[1], EVIL[2])), (evil,))
    device = DeviceResult(EVIL[1], {"serial_number": evil, "manufacturer": EVIL[0]}, tuple(EVIL), (attempt,), (evil,),
                          lacking=(*EVIL, evil))
    return Result((replace(OUTER, path=EVIL[1], remarks=(evil,), undecoded={EVIL[0]: 1}),), (device,),
                  {**TOOL, "site": evil}, evil, T0)


def make_secret():
    """Secrets wherever a capture may carry one, some of them a second time in prose."""
    fields = (
        event(1, "cwmp.SetParameterValues", "hms_initial", "hnb", (4,), f"sets Password {SECRETS[0]}",
              {"ParameterList": {
            "Device.ManagementServer.Password": SECRETS[0], "Device.ManagementServer.ConnectionRequestPassword": SECRETS[1],
            "Device.ManagementServer.URL": f"http://acs:{SECRETS[7]}@hms.example/acs"}}, TUNNEL),
        event(2, "ftp.command", "hnb", "file_server", (5,), f"PASS {SECRETS[2]}",
              {"command": "PASS", "argument": SECRETS[2]}),
        event(3, "http.request", "hnb", "hms_initial", (6,), "POST /acs", {"headers": {
            "Authorization": f"Basic {SECRETS[3]}", "Cookie": f"session={SECRETS[5]}", "Host": "hms.example"},
            "raw_headers": (("Proxy-Authorization", f"Basic {SECRETS[3]}"), ("Set-Cookie", SECRETS[5])),
            "body": f"<Name>X.PreSharedKey</Name><Value>{SECRETS[6]}</Value>".encode()}, TUNNEL),
        event(4, "cwmp.Download", "hms_initial", "hnb", (7,), "Download",
              {"URL": "ftp://files.example/cm.xml", "Username": SECRETS[8],
              "Password": SECRETS[0], "rows": ({"name": "Device.X.PreSharedKey", "value": SECRETS[6]},)}, TUNNEL),
        event(5, "http.request", "hnb", "hms_initial", (8,), "POST",
              {"body": f"user=x&password={SECRETS[9]}&y=1"}, TUNNEL))
    attempt = make_refused()
    finding = replace(attempt.findings[0], observed=f"Password is {SECRETS[0]}, secret {SECRETS[4]}",
                      hint=f"seen: {SECRETS[1]}")
    attempt = replace(attempt, events=fields, findings=(finding,), diagnosis=f"login with {SECRETS[2]} failed",
                      steps=attempt.steps + (
        step("x", "9", "refused", "login", reason=f"530 {SECRETS[2]}"),), advice=(f"try {SECRETS[0]}",))
    return make_result(attempt, command=f"flowcheck check --x password={SECRETS[9]}")


@pytest.fixture
def refused():
    return make_result(make_refused())


@pytest.fixture
def several():
    """One device with a failed, a wrong, a hidden and a passed attempt."""
    return make_result(make_refused(), make_wrong_field(), make_hidden(), make_registered())


@pytest.fixture
def hidden():
    return make_result(make_hidden())


@pytest.fixture
def passed():
    return make_result(make_registered())


@pytest.fixture
def hostile():
    return make_hostile()


@pytest.fixture
def secret():
    return make_secret()


@pytest.fixture
def secrets():
    return SECRETS


@pytest.fixture
def empty():
    return Result((INNER,), (), TOOL)


@pytest.fixture
def crowd():
    """Three hundred devices, the first ten of which fail."""
    devices = tuple(replace(DEVICE, id=f"00193B-HNB-{number:04d}", identity={"serial_number": f"{number:04d}"},
                            attempts=(make_wrong_field() if number < 10 else make_registered(),))
                            for number in range(300))
    return Result((OUTER, INNER), devices, TOOL, "flowcheck check many.pcap", T0)
