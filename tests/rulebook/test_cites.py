import pytest

from flowcheck.rulebook.cites import skipped_numbers


@pytest.mark.parametrize("cites, gaps", [
    (["1", "2.1", "2.2", "2.3", "3", "4"], []),
    (["1", "2.1", "2.1", "2.3", "3"], [(3, "2.2")]),
    (["1", "3"], [(1, "2")]),
    (["2", "3"], [(0, "1")]),
    (["5.1", "5.2", "5.3", "5.3-bis", "5.4-bis", "5.4"], [(0, "1")]),
    (["1", "2", "12"], [(2, "3")]),
    (["A", "B", "C", "D"], []),
    (["A", "C"], [(1, "B")]),
    (["R1", "R2", "R4", "V1", "V2"], [(2, "R3")]),
    (["1", "3", "2"], []),                        # the order of the file is its own affair
    (["1, 2", "3"], []),
    (["1", "2", "figure 5.4-1", "note"], []),
    ([], []),
])
def test_skipped_numbers(cites, gaps):
    found = list(skipped_numbers(cites))
    assert [index for index, _ in found] == [index for index, _ in gaps]
    for (_, text), (_, missing) in zip(found, gaps):
        assert f"skip '{missing}'" in text
