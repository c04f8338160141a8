"""Fields of documents by name: spelling, aliases, wrappers, descriptions."""

import pytest

from flowcheck.documents import find, find_field, holds_name, plain

FIELDS = {"private_id": ("privateId", "ueId", "imei"), "ue_information": ("information",),
          "server_ids": ("serverServiceIds",)}


@pytest.mark.parametrize("spelling", ["privateId", "private-id", "PRIVATE_ID", "ns:PrivateId"])
def test_spelling_does_not_count(spelling):
    assert find({spelling: "x"}, ["private_id"]) == ["x"]


@pytest.mark.parametrize(("body", "found"), [
    ({"ueId": "b", "privateId": "a"}, ["a"]),                       # the first alias of the list, not of the document
    ({"request": {"privateId": "a"}}, ["a"]),                       # wrapped
    ([{"privateId": "a"}, {"privateId": "b"}], ["a", "b"]),         # a list of documents
    ({"privateId": "a", "inner": {"privateId": "b"}}, ["a"]),       # nearest to the top
    ({"information": {"imei": "1"}}, []),                           # what describes the device is no name of it
    ({"privateId": {"scheme": "mac", "text": "a"}}, ["a"]),         # an XML element with attributes
    ({"serverServiceIds": []}, []), ("text", []), (None, []), ([], []),
])
def test_private_id(body, found):
    assert find_field(body, FIELDS, "private_id") == found


def test_a_list_is_its_entries():
    assert find_field({"serverServiceIds": ["a", "b"]}, FIELDS, "server_ids") == ["a", "b"]


def test_deep_and_wide_documents_end():
    body = leaf = {}
    for _ in range(5000):
        leaf["x"] = leaf = {}
    leaf["privateId"] = "a"
    assert find(body, ["privateId"]) == []                          # given up at the bound
    assert find({str(n): n for n in range(100_000)}, ["privateId"]) == []


def test_names():
    assert holds_name(["a", "M2M-SIMMobj"], ["M2MSIMMobj"]) and not holds_name(["a"], ["b"])
    assert plain("a:B_c-D") == "bcd"
