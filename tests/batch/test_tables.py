"""Columns made of their buffers hold what `pyarrow.array` would have made of the same values."""

import pytest

from flowcheck.batch import tables

arrow = pytest.importorskip("pyarrow")
TIMES = arrow.timestamp("ns", tz="UTC")


@pytest.mark.parametrize("name, values, kind", [
    ("verdict", [], arrow.string()),
    ("verdict", ["pass", None, "", "fail"] * 5, arrow.string()),
    ("cause", ["é \U0001f600", "a" * 300, None], arrow.string()),
    ("packets", [0, None, 1 << 40, -1], arrow.int64()),
    ("seconds", [0.25, None, 3.0], arrow.float64()),
    ("started", [0, None, 1_777_636_800_123_456_789], TIMES),
    ("device", [f"d{n}" for n in range(17)], arrow.string()),
])
def test_a_column(name, values, kind):
    made = tables._array(name, values)
    made.validate(full=True)
    assert made.equals(arrow.array(values, kind))


def test_what_no_column_can_hold():
    assert tables._array("first", [1 << 70]).to_pylist()[0] == arrow.array([(1 << 63) - 1], TIMES).to_pylist()[0]
    assert tables._array("path", ["a\udcff"]).to_pylist() == ["a\\udcff"]
