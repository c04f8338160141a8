from dataclasses import replace

import pytest

from flowcheck.report import words


@pytest.mark.parametrize("role, title", [
    ("hnb", "HNB"), ("segw_initial", "SeGW (initial)"), ("dns_outer", "DNS (outer)"), ("hnb_gw", "HNB-GW"),
    ("file_server", "File server"),
    ("mme", "MME"), ("10.0.0.1", "10.0.0.1"), ("2001:db8::1", "2001:db8::1"), ("", ""), ("<b>", "<b>")])
def test_roles_as_the_ladder_writes_them(role, title):
    assert words.role_title(role) == title


@pytest.mark.parametrize("kind, summary, label", [
    ("cwmp.Inform", "0 BOOTSTRAP, 1 BOOT", "Inform 0 BOOTSTRAP, 1 BOOT"),
    ("cwmp.Inform", "Inform 1 BOOT", "Inform 1 BOOT"),
    ("ike.sa_init.request", "IKE_SA_INIT request", "IKE_SA_INIT request"),
    ("http.response", "200 OK", "http.response 200 OK"),
    ("dns.query", "x.example A", "dns.query x.example A"), ("tcp.fin", "", "tcp.fin")])
def test_an_arrow_names_its_message(kind, summary, label):
    assert words.named(kind, summary) == label


def test_what_follows_a_refusal_is_no_progress(refused):
    attempt = refused.devices[0].attempts[0]
    assert words.furthest(attempt).step == "auth-answer"
    late = replace(attempt, steps=(*attempt.steps[:-1], replace(attempt.steps[-1], state="seen")))
    assert words.furthest(late).step == "auth-answer"
    assert words.furthest(replace(late, cause=None)).step == "session-released"
    assert words.furthest(replace(attempt, steps=())) is None


def test_follow_on_steps_have_no_finding_of_their_own(refused):
    attempt = refused.devices[0].attempts[0]
    assert "inform" in words.follow_on(attempt) and "ask-hms" not in words.follow_on(attempt)
    assert words.follow_on(replace(attempt, cause=None)) == set()


def test_frame_lists_name_captures_where_there_are_several(refused):
    frames = refused.devices[0].attempts[0].findings[0].frames
    assert words.frame_list(frames, ("a.pcap", "b.pcap")) == "a.pcap frames 9, 10, 11"
    assert words.frame_list(frames[:1], ("a.pcap",)) == "frame 9"
    assert words.frame_list((), ("a.pcap",)) == ""
