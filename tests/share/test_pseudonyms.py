"""Pseudonyms keep length and form, are the same everywhere, and never stand for two values."""

import re
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.share.pseudonyms import ADDRESS, BASIC, IMSI, MAC, NAME, WORD, Pseudonyms


@pytest.fixture
def known():
    pseudonyms = Pseudonyms("seed")
    pseudonyms.keep("00193B", "HNB-U21")
    for kind, value in ((WORD, "LF21A000101"), (NAME, "00193B-LF21A000101.hnb.mnc015.mcc234.pub.3gppnetwork.org"),
                        (ADDRESS, "198.51.100.21"), (ADDRESS, "2001:db8:1::53"), (IMSI, "234150999999999"),
                        (MAC, "00:19:3b:10:00:01"), (BASIC, "YWNzOnNlY3JldA==")):
        pseudonyms.add(kind, value)
    return pseudonyms


TEXTS = ("serial LF21A000101.", "<SerialNumber>LF21A000101</SerialNumber>", "lf21a000101",
         "http://198.51.100.21:7547/cr",
         "00193b-lf21a000101.hnb.mnc015.mcc234.pub.3gppnetwork.org", "imsi 234150999999999", "2001:db8:1::53",
         "00:19:3b:10:00:01",
         "Basic YWNzOnNlY3JldA==", "10.50.0.53 was never heard of")


@pytest.mark.parametrize("text", TEXTS)
def test_length_and_form_stay_and_the_value_goes(text, known):
    new = known.text(text)
    assert len(new) == len(text) and new != text
    shape = lambda value: re.sub("[0-9]", "9", re.sub("[a-z]", "a", re.sub("[A-Z]", "A", value)))
    assert "==" in text or ":" in text or shape(new) == shape(text)


def test_the_same_value_is_the_same_within_a_name(known):
    serial = known.of("LF21A000101").lower()
    assert known.of("00193B-LF21A000101.hnb.mnc015.mcc234.pub.3gppnetwork.org").lower().startswith(f"00193b-{serial}.")
    assert known.text("00193B-HNB-U21-LF21A000101") == f"00193B-HNB-U21-{serial.upper()}"


def test_what_says_what_it_is_stays(known):
    assert known.of("234150999999999").startswith("23415")
    assert known.of("00:19:3b:10:00:01").startswith("00:19:3b:")
    assert known.text("Device.ManagementServer.URL, firmware 4.2, clause 5.1.3.7.3.X") == "Device.ManagementServer.URL, firmware 4.2, clause 5.1.3.7.3.X"
    for address in ("255.255.255.0", "0.0.0.0", "127.0.0.1", "224.0.0.251", "ff02::1", "::1", "ff:ff:ff:ff:ff:ff"):
        assert known.of(address) == address or ":" in address and known.address(address) == address


@pytest.mark.parametrize(("name", "kept"), [
    ("segw-init.femto.mnc015.mcc234.pub.3gppnetwork.org", ("segw-init.", ".pub.3gppnetwork.org")),
    ("sec-gw01.operator.net", ("sec-gw", ".net")), ("hms-serving-city.operator.net", ("hms-serving-", ".net")),
    ("tr069.operator.net", ("tr069.", ".net")), ("prov.msgin5g.mnc001.mcc001.example", ("prov.msgin5g.mnc", ".example"))])
def test_what_a_host_does_stays_and_whose_it_is_goes(name, kept):
    pseudonyms = Pseudonyms(b"k")
    pseudonyms.add("name", name)
    new = pseudonyms.of(name)
    assert new.startswith(kept[0]) and new.endswith(kept[1]) and new != name and len(new) == len(name)
    assert not {"femto", "operator", "city", "015", "234"}.intersection(re.split(r"[^a-z0-9]|mnc|mcc", new))


@pytest.mark.parametrize("name", ["acsess.operator.net", "services.operator.net", "osslo.operator.net", "gwen.operator.net"])
def test_a_word_that_only_begins_like_a_function_goes(name):
    pseudonyms = Pseudonyms(b"k")
    pseudonyms.add("name", name)
    assert pseudonyms.of(name).partition(".")[0] != name.partition(".")[0]


def test_a_text_is_changed_once(known):
    """A pseudonym that looks like an address is not given a pseudonym of its own."""
    assert known.text("198.51.100.21 198.51.100.21").split() == [known.of("198.51.100.21")] * 2


def test_a_long_name_is_found_between_letters(known):
    """In DER the octets around a name may be letters."""
    name = "00193B-LF21A000101.hnb.mnc015.mcc234.pub.3gppnetwork.org"
    assert name not in known.text(f"\x0c8{name}0\x82") and known.text("xLF21Ay") == "xLF21Ay"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.ip_addresses(v=4), min_size=2, max_size=20, unique=True))
def test_addresses_stay_different_and_share_what_they_shared(addresses):
    pseudonyms = Pseudonyms(b"k")
    old = [str(a) for a in addresses]
    new = [pseudonyms.address(a) for a in old]
    assert len(set(new)) == len(new) and all(len(a) == len(b) for a, b in zip(old, new))
    for a, b in zip(old, new):
        assert ip_address(a).is_private <= (ip_address(b).is_private or a.startswith(("192.", "198.", "203.")))
        for c, d in zip(old, new):
            assert (a.rsplit(".", 1)[0] == c.rsplit(".", 1)[0]) == (b.rsplit(".", 1)[0] == d.rsplit(".", 1)[0])


def test_a_seed_gives_the_same_and_no_seed_another():
    one, two, three = Pseudonyms("a"), Pseudonyms("a"), Pseudonyms()
    assert one.word("LF21A000101") == two.word("LF21A000101") != three.word("LF21A000101")
