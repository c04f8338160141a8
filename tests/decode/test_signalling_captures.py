"""Signalling in public captures: everything Wireshark saw in them is found, in the frames where it saw it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from flowcheck.capture.reader import open_capture
from flowcheck.observe.dissect import Dissector

PUBLIC = Path(__file__).resolve().parents[3] / "shared" / "captures" / "public"
ORACLE = PUBLIC / "oracle.json"
APPLICATIONS = ("s1ap", "hnbap", "rua", "ranap")
TYPED = ("gmm", "mm", "sm", "gtp", "gtpv2")


def expected(entry):
    """(frame, protocol, what) as Wireshark reports it, without the frames it calls malformed."""
    facts = [(m["frame"], name, m["procedure"], m["pdu"]) for name in APPLICATIONS for m in entry.get(name, ())]
    facts += [(m["frame"], name, m["type"]) for name in TYPED for m in entry.get(name, ())]
    facts += [(m["frame"], "diameter", m["command"], bool(m["request"])) for m in entry.get("diameter", ())]
    malformed = {m["frame"] for m in entry.get("malformed", ())}
    return Counter(fact for fact in facts if fact[0] not in malformed)


def seen(message):
    fields, frame = message.fields, message.frames[-1].number
    if message.protocol in APPLICATIONS:
        return frame, message.protocol, fields["procedure_code"], fields["pdu"]
    if message.protocol in TYPED:
        return frame, message.protocol, fields["message_type"]
    return frame, "diameter", fields["command_code"], fields["request"]


CAPTURES = {}
if ORACLE.exists():
    CAPTURES = {name: facts for name, entry in json.loads(ORACLE.read_text())["captures"].items()
                if (facts := expected(entry)) and (PUBLIC / name).exists()}


@pytest.mark.skipif(not CAPTURES, reason="the public captures are not beside the repository")
@pytest.mark.parametrize("name", sorted(CAPTURES) or ["none"])
def test_all_that_wireshark_sees_is_found(name):
    dissector = Dissector()
    for frame in open_capture(PUBLIC / name):
        dissector.frame(frame)
    dissector.finish()
    found = dissector.messages
    facts = Counter(seen(m) for m in found if m.protocol in (*APPLICATIONS, *TYPED, "diameter"))
    assert CAPTURES[name] - facts == Counter()
    assert not [m for m in found if m.protocol in (*APPLICATIONS, *TYPED, "diameter") and m.incomplete]
