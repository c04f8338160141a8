import pytest

from flowcheck.report.times import clock, day, from_iso, iso, span

NOON = 1_777_636_800_000_000_000


@pytest.mark.parametrize("time, text", [
    (0, "1970-01-01T00:00:00.000000000Z"),
    (NOON + 123_456_789, "2026-05-01T12:00:00.123456789Z"),
    (NOON + 1, "2026-05-01T12:00:00.000000001Z"),
    (None, None),
])
def test_iso_and_back(time, text):
    assert iso(time) == text
    assert from_iso(text) == time


def test_times_beyond_the_calendar_are_clamped():
    assert iso(-1) == "1970-01-01T00:00:00.000000000Z"
    assert iso(10**30) == "9999-12-31T23:59:59.999999999Z"


@pytest.mark.parametrize("text", ["2026-05-01T12:00:00", "yesterday", "2026-05-01T12:00:00.1234567891Z",
                                  "2026-05-01T12:00:00.x1Z"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        from_iso(text)


def test_clock_and_day():
    assert clock(NOON + 1_500) == "12:00:00.000001"
    assert day(NOON) == "2026-05-01"
    assert clock(None) == ""


@pytest.mark.parametrize("nanoseconds, text", [
    (0, "0 s"), (999, "999 ns"), (35_000, "35 µs"), (1_234_000, "1.23 ms"), (12_500_000_000, "12.5 s"),
    (59_900_000_000, "59.9 s"),
    (200_000_000_000, "3 min 20 s"), (3_900_000_000_000, "1 h 5 min"), (-1_000_000, "−1 ms"), (100_000_000, "100 ms"),
])
def test_span(nanoseconds, text):
    assert span(nanoseconds) == text
