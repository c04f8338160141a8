"""Bring-ups that go wrong, or right, in ways of their own: what an engineer would say of each.

Each is judged with a site profile and without; and without keys too, when nothing that is right may fail.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from bringup import HOSTS, OUTER, PLAIN, TELLING, Lab, noted

from flowcheck.synth.packets import UDP
from flowcheck.synth.wire import ike

S, H = "segw_initial", "hms_initial"
FOUND, REGISTERED = ("5.1.1", "pass", "", ""), ("5.2.1", "pass", "", "")
SCENARIOS: dict[str, tuple[Callable[[Lab], None], list[tuple[str, str, str, str]]]] = {}


def wants(*attempts: tuple[str, str, str, str]):
    """The attempts (clause, verdict, cause, side) that the bring-up below has to be told to be."""
    def taken(play: Callable[[Lab], None]) -> Callable[[Lab], None]:
        SCENARIOS[play.__name__] = play, list(attempts)
        return play
    return taken


def failed(clause: str, cause: str, side: str) -> tuple[str, str, str, str]:
    return clause, "fail", cause, side


def found_out(lab: Lab, gateway: str = S) -> None:
    """The rest of discovery, in the tunnel."""
    lab.look_up(H)
    lab.session(H, lab.serving())
    lab.delete(gateway)


# ------------------------------------------------------------------------------------------------ IKE


@wants(failed("5.1.1", "auth-answer/refused:Failure", "network"))
def eap_fails(lab):
    eap_begins(lab)
    lab.auth(S, ike.eap("Response"))
    lab.auth_answer(S, ike.eap("Failure"))
    lab.informational(S, noted("AUTHENTICATION_FAILED"))


@wants(failed("5.1.1", "auth/stopped", "device"))
def eap_begins(lab):
    lab.look_up(S)
    lab.sa_init(S)
    lab.sa_init_answer(S)
    lab.auth(S)
    lab.auth_answer(S, ike.identity(ike.IDR, lab.name[S]), ike.authentication(lab.net.random), ike.eap("Request"))


@wants(failed("5.1.1", "auth-answer/no-answer", "network"))
def eap_is_not_answered(lab):
    eap_begins(lab)
    lab.auth(S, ike.eap("Response"))


@wants(FOUND)
def eap_succeeds(lab):
    eap_begins(lab)
    lab.auth(S, ike.eap("Response"))
    lab.auth_answer(S, ike.eap("Success"))
    lab.auth(S, ike.authentication(lab.net.random))
    lab.auth_answer(S)
    found_out(lab)


@wants(failed("5.1.1", "auth-answer/refused:AUTHENTICATION_FAILED", "device"))
def the_hnb_turns_the_gateway_down(lab):
    lab.tunnel(S)
    lab.informational(S, noted("AUTHENTICATION_FAILED"))


@wants(failed("5.1.1", "auth-answer/refused:TEMPORARY_FAILURE", "network"))
def an_error_that_no_rule_lists(lab):
    lab.look_up(S)
    lab.sa_init(S)
    lab.sa_init_answer(S)
    lab.auth(S)
    lab.auth_answer(S, ike.identity(ike.IDR, lab.name[S]), noted("TEMPORARY_FAILURE"))


@wants(FOUND)
def an_icmp_error_and_then_an_answer(lab):
    lab.look_up(S)
    lab.sa_init(S)
    lab.net.unreachable((OUTER, 500), (HOSTS[S], 500), UDP)
    lab.wait(4)
    again = lab.net.frames[-2][1]
    lab.net.udp((OUTER, 500), (HOSTS[S], 500), again[28:])
    lab.sa_init_answer(S)
    lab.auth(S)
    lab.auth_answer(S)
    found_out(lab)


@wants(FOUND)
def a_cookie_and_another_group(lab):
    lab.look_up(S)
    lab.sa_init(S)
    lab.sa_init_answer(S, ("COOKIE", b"12345678"))
    lab.sa_init(S, again=True)
    lab.sa_init_answer(S, ("INVALID_KE_PAYLOAD", struct.pack("!H", 19)))
    lab.sa_init(S, again=True)
    lab.sa_init_answer(S)
    lab.auth(S)
    lab.auth_answer(S)
    found_out(lab)


# ------------------------------------------------------------------------------------------------ DNS


@wants(FOUND)
def the_next_resolver_can_tell(lab):
    lab.look_up(S, "SERVFAIL")
    lab.look_up(S, server="dns_outer2")
    lab.tunnel(S, looked_up=False)
    found_out(lab)


@wants(failed("5.1.1", "segw-address/refused:SERVFAIL", "network"),
       failed("5.1.1", "segw-address/refused:REFUSED", "network"))
def no_resolver_can_tell(lab):
    lab.look_up(S, "SERVFAIL")
    lab.look_up(S, "REFUSED", server="dns_outer2")


# ------------------------------------------------------------------------------------------------ TLS and HTTP


def public(lab, secure=True):
    lab.look_up(H, addresses=(HOSTS["hms_public"],))
    web = lab.web("hms_public", H, port=443)
    return web.secure() if secure else web


@wants(("5.1.2", "pass", "", ""), REGISTERED)
def discovery_on_the_internet_and_registration(lab):
    public(lab).session(lab.serving())
    lab.wait(1)
    lab.configure()
    lab.register()


@wants(failed("5.1.2", "server-hello/no-answer", "network"))
def reset_after_client_hello(lab):
    web = public(lab, secure=False)
    web.hello()
    web.reset(1)


@wants(failed("5.1.2", "secured/stopped", "device"))
def the_hnb_resets_after_the_certificate(lab):
    web = public(lab, secure=False)
    web.hello()
    web.flight(1)
    web.reset(0)


@wants(failed("5.1.2", "secured/refused:unknown_ca", "network"))
def the_hms_does_not_accept_the_certificate_of_the_hnb(lab):
    web = public(lab, secure=False)
    web.hello()
    web.flight(1)
    web.flight(0)
    web.alert(1, "unknown_ca")


@wants(failed("5.2.1", "secured/refused:unknown_ca", "device"))
def the_hnb_does_not_accept_the_certificate_of_the_serving_hms(lab):
    lab.tunnel("segw_serving")
    lab.look_up("hms_serving")
    web = lab.web("hms_serving", port=443)
    web.hello()
    web.flight(1)
    web.alert(0, "unknown_ca")


@wants(failed("5.1.2", "inform-accepted/refused:503", "network"), ("5.1.2", "pass", "", ""))
def busy_and_then_not(lab):
    web = public(lab)
    web.inform()
    web.reply(b"busy", 503)
    web.tcp.close(1)
    lab.wait(10)
    lab.web("hms_public", H, port=443).secure().session(lab.serving())


@wants(("5.1.2", "pass", "", ""))
def an_inform_with_credentials_is_the_same_inform(lab):
    web = public(lab)
    web.inform()
    web.reply(b"who are you", 401)
    lab.wait(1.5)                                      # another cwmp:ID and CurrentTime
    web.session(lab.serving())


# ------------------------------------------------------------------------------------------------ one HMS for both


def same_hms(lab, segw, events="1 BOOT"):
    lab.tunnel(S)
    lab.look_up(H)
    lab.session(H, lab.serving(segw=segw, hms=H))
    if events:
        lab.session(H, lab.configuration(), events)


@wants(FOUND, REGISTERED)
def one_hms_and_one_gateway_for_both(lab):
    same_hms(lab, S)
    lab.register()


@wants(FOUND, REGISTERED)
def one_session_for_both(lab):
    lab.tunnel(S)
    lab.look_up(H)
    web = lab.web(H)
    web.inform()
    web.informed()
    web.set(lab.serving(segw=S, hms=H))
    web.set(lab.configuration(), first=False)
    web.end()
    lab.register()


@wants(FOUND, failed("5.2.1", "sa-init/missing", "device"))
def another_gateway_that_is_never_contacted(lab):
    same_hms(lab, "segw_serving")
    lab.register()


@wants(FOUND, REGISTERED)
def another_gateway_that_is_contacted(lab):
    same_hms(lab, "segw_serving", "")
    lab.delete(S)
    lab.tunnel("segw_serving", "10.62.0.1")
    lab.look_up(H)
    lab.session(H, lab.configuration(), "1 BOOT")
    lab.register()


# ------------------------------------------------------------------------------------------------ registration


@wants(FOUND, failed("5.2.1", "set-values/field-absent:hnb_gw", "network"))
def nobody_names_an_hnb_gw(lab):
    lab.discover(gateway="")
    lab.configure()


@wants(failed("5.2.1", "connected/refused", "network"))
def the_hms_refuses_connections_again_and_again(lab):
    lab.tunnel("segw_serving")
    lab.look_up("hms_serving")
    for _ in range(3):
        web = lab.web("hms_serving", opened=False)
        web.tcp.syn()
        web.tcp.refuse()
        lab.wait(4)


@wants(REGISTERED)
def the_second_gateway_of_the_list_accepts(lab):
    lab.configure("hnb_gw", "hnb_gw2")
    lab.register(answer="HNBRegisterReject")
    lab.register("hnb_gw2")


@wants(failed("5.2.1", "registered/refused:radioNetwork: unauthorised-Location", "network"), REGISTERED)
def the_same_gateway_accepts_later(lab):
    lab.configure("hnb_gw")
    lab.register(answer="HNBRegisterReject")
    lab.wait(30)
    lab.register(link=lab.link("hnb_gw"))


@wants(REGISTERED, REGISTERED)
def a_restart_is_no_change_of_address(lab):
    lab.configure("hnb_gw")
    lab.register()
    lab.wait(30)
    lab.net.tunnels.clear()
    lab.configure("hnb_gw", inner="10.62.0.9")
    lab.register()


@wants(REGISTERED, failed("5.2.2", "inform/stopped", "device"))
def a_change_of_address_nobody_is_told_of(lab):
    lab.configure("hnb_gw")
    lab.register()
    lab.wait(30)
    lab.delete("segw_serving")
    lab.tunnel("segw_serving", "10.62.0.9", looked_up=False)
    lab.look_up("hms_serving")


@pytest.mark.parametrize("site", [True, False], ids=["site", "no site"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_bringup(name, site, tmp_path):
    play, expected = SCENARIOS[name]
    lab = Lab()
    play(lab)
    assert lab.judged(tmp_path, site) == expected


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_right_fails_without_keys_and_profile(name, tmp_path):
    play, expected = SCENARIOS[name]
    lab = Lab(names=PLAIN)
    play(lab)
    if all(verdict == "pass" for _, verdict, _, _ in expected):
        assert {verdict for _, verdict, _, _ in lab.judged(tmp_path, False, False)} <= {"pass", "inconclusive"}
    else:
        assert ("pass" not in {verdict for _, verdict, _, _ in lab.judged(tmp_path, False, False)}
                or ("pass" in {verdict for _, verdict, _, _ in expected}))


def test_a_gateway_that_the_dns_did_not_give(tmp_path):
    lab = Lab()
    lab.look_up(S)
    lab.tunnel("203.0.113.99", looked_up=False)
    found_out(lab, "203.0.113.99")
    assert lab.judged(tmp_path) == [failed("5.1.1", "sa-init/missing", "device")]


@pytest.mark.parametrize("names", [TELLING, PLAIN], ids=["telling", "plain"])
def test_a_henb_whose_mme_accepts_later(names, tmp_path):
    lab = Lab(lte=True, names=names)
    lab.configure()
    link = lab.link("mme")
    lab.set_up_s1(link, "S1SetupFailure")
    lab.wait(20)
    lab.set_up_s1(link)
    assert lab.judged(tmp_path) == [failed("5.1.3", "setup-response/refused:misc: unknown-PLMN", "network"),
                                    ("5.1.3", "pass", "", "")]
