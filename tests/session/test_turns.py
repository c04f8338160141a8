"""An address that one device after another had: what comes before a session is of the device whose session follows."""

from literals import message

from flowcheck.session.devices import assign

CWMP = ("eth", "ip", "tcp", "http")
FIELDS = {"DeviceId.OUI": "00AA11", "DeviceId.ProductClass": "HNB"}


def inform(at, serial, stream):
    made = message("cwmp.Inform", at, "inner", "acs", stream=stream, layers=CWMP)
    made.fields.update(FIELDS, **{"DeviceId.SerialNumber": serial})
    return made


def lookup(at):
    return message("dns.query", at, "inner", "dns", stream=50 + int(at), layers=("eth", "ip", "udp"))


def owners(messages):
    whose = assign(messages, {})
    return [[device.identity["serial_number"] for device in whose.owners(m)] for m in messages]


def test_addresses_handed_on():
    messages = [lookup(1), inform(2, "S1", 1), lookup(5), lookup(100), inform(102, "S2", 2), lookup(104),
                lookup(300), inform(301, "S3", 3)]
    assert owners(messages) == [["S1"], ["S1"], ["S1"], ["S2"], ["S2"], ["S2"], ["S3"], ["S3"]]


def test_sessions_that_overlap_share_the_address():
    messages = [inform(2, "S1", 1), inform(102, "S2", 2), inform(202, "S1", 3), lookup(205)]
    assert owners(messages) == [["S1"], ["S2"], ["S1"], []]


def test_without_a_silence_nothing_parts_them():
    messages = [inform(2, "S1", 1), lookup(5), lookup(9), inform(12, "S2", 2)]
    assert owners(messages) == [["S1"], [], [], ["S2"]]
