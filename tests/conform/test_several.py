"""One of several hosts is enough: a HeNB with two MMEs, by the shipped rule of TS 32.593 5.1.3."""

import pytest
from literals import ADDRESSES, codes, judged, message

from flowcheck.rulebook.loader import load_rules

ADDRESSES.update(mme1="198.51.100.41", mme2="198.51.100.42")
RULE = [rule for rule in load_rules() if rule.procedure == "ts32.593-5.1.3"]
GATEWAY = "Device.Services.FAPService.1.FAPControl.LTE.Gateway."
NAMES = {"1": "mme1.example", "2": "mme2.example"}


def configured(mode, listed="mme1.example,mme2.example"):
    values = {GATEWAY + "S1SigLinkServerList": listed} | ({GATEWAY + "S1ConnectionMode": mode} if mode else {})
    inform = {"Event.EventCode": ["1 BOOT"], "DeviceId.Manufacturer": "a", "DeviceId.OUI": "b",
              "DeviceId.SerialNumber": "c"}
    session = {"stream": 1, "session": 1}
    return [
        message("tcp.syn", 0, transaction=901, stream=1),
        message("tcp.syn_ack", .1, "acs", "hnb", answers=901, stream=1),
        message("cwmp.Inform", 1, transaction=902, **session, **inform),
        message("cwmp.InformResponse", 1.2, "acs", "hnb", answers=902, **session),
        message("cwmp.SetParameterValues", 2, "acs", "hnb", transaction=903, ParameterList=values,
                session_events=["1 BOOT"], **session),
        message("cwmp.SetParameterValuesResponse", 2.2, answers=903, Status=0, **session),
        message("cwmp.session_end", 2.4, complete=True, **session)]


def lookup(which, at, rcode="NOERROR", answer=.1):
    """A question for the name of an MME and its answer, `answer` seconds later; None: it never comes."""
    about = {"qname": NAMES[which], "qtype": "A", "stream": round(at * 1000)}
    asked = [message("dns.query", at, "hnb", "dns", transaction=round(at * 1000), **about)]
    address = [ADDRESSES["mme" + which]] if rcode == "NOERROR" else []
    return asked if answer is None else [*asked, message("dns.response", at + answer, "dns", "hnb",
                                                         answers=round(at * 1000),
                                                         rcode=rcode, answers__address=address, **about)]


def setup(which, at, answers=True, accepted=True):
    """SCTP and S1 Setup with an MME, which says nothing, or yes, or no."""
    mme, number = f"mme{which}:36412", round(at * 1000)
    init = message("sctp.init", at, "hnb", mme, stream=number, transaction=number, repeats=0 if answers else 3)
    reply = "s1ap.S1SetupResponse" if accepted else "s1ap.S1SetupFailure"
    return [init] if not answers else [
        init, message("sctp.init_ack", at + .1, mme, "hnb", stream=number, answers=number),
        message("s1ap.S1SetupRequest", at + .2, "hnb", mme, stream=number, transaction=number + 1,
                **{"Global-ENB-ID": "x"}),
        message(reply, at + .3, mme, "hnb", stream=number, answers=number + 1, cause="misc: unknown-PLMN")]


NXDOMAIN = "mme-address/refused:NXDOMAIN"
FAILURE = "setup-response/refused:misc: unknown-PLMN"
OTHER_WORKED = {
    "all is well": ([*lookup("1", 3), *lookup("2", 4), *setup("1", 5), *setup("2", 6)], None),
    "both at once": ([*lookup("1", 3), *lookup("2", 3.05), *setup("1", 5), *setup("2", 5.05)], None),
    "the first name is unknown": ([*lookup("1", 3, "NXDOMAIN"), *lookup("2", 4), *setup("2", 6)], NXDOMAIN),
    "asked at once, one unknown": ([*lookup("1", 3, "NXDOMAIN", .5), *lookup("2", 3.1), *setup("2", 6)], NXDOMAIN),
    "the DNS is silent about one": ([*lookup("1", 3, answer=None), *lookup("2", 8), *setup("2", 9)],
                                    "mme-address/no-answer"),
    "the first is silent": ([*lookup("1", 3), *lookup("2", 4), *setup("1", 5, False), *setup("2", 20)],
                            "sctp-accepted/no-answer"),
    "at once, one is silent": ([*lookup("1", 3), *lookup("2", 4), *setup("1", 5, False), *setup("2", 5.05)],
                               "sctp-accepted/no-answer"),
    "the second is silent": ([*lookup("1", 3), *lookup("2", 4), *setup("1", 5), *setup("2", 20, False)],
                             "sctp-accepted/no-answer"),
    "the first says no": ([*lookup("1", 3), *lookup("2", 4), *setup("1", 5, accepted=False), *setup("2", 20)], FAILURE),
    "the second says no": ([*lookup("1", 3), *lookup("2", 4), *setup("1", 5),
                            *setup("2", 20, accepted=False)], FAILURE),
}


@pytest.mark.parametrize("mode", [None, "One", "All"])
@pytest.mark.parametrize("what", OTHER_WORKED)
def test_what_failed_with_one_of_them(what, mode):
    messages, finding = OTHER_WORKED[what]
    attempt, = judged(RULE, *configured(mode), *messages)
    assert attempt.verdict == ("fail" if mode == "All" and finding else "pass")
    assert codes(attempt) == ([finding] if finding else [])


@pytest.mark.parametrize("messages, finding", [
    ([*lookup("1", 3, "NXDOMAIN"), *lookup("2", 4, "NXDOMAIN")], NXDOMAIN),
    ([*lookup("1", 3), *lookup("2", 4), *setup("1", 5, False), *setup("2", 20, False)], "sctp-accepted/no-answer"),
    ([*lookup("1", 3, "SERVFAIL"), *lookup("1", 4), *setup("1", 6)], "mme-address/refused:SERVFAIL"),
])
def test_nobody_else_did_it(messages, finding):
    attempt, = judged(RULE, *configured("One"), *messages)
    assert attempt.verdict == "fail" and codes(attempt)[:1] == [finding]


def test_the_same_one_again_is_another_try():
    first, second = judged(RULE, *configured("One"), *lookup("1", 3), *setup("1", 5, accepted=False), *setup("1", 20))
    assert (first.verdict, codes(first)) == ("fail", [FAILURE])
    assert (second.verdict, codes(second)) == ("pass", [])


def test_an_address_beside_a_name():
    attempt, = judged(RULE, *configured("One", "mme1.example,198.51.100.42"), *lookup("1", 3, "NXDOMAIN"),
                      *setup("2", 6))
    assert attempt.verdict == "pass" and codes(attempt) == [NXDOMAIN]
