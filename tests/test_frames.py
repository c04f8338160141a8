"""Frames of a long message: a run behaves like the tuple it stands for."""

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.frames import CAPTURE_SHIFT, FEW, FrameRef, FrameRun, Gathered, compact, unpacked
from flowcheck.model import Context, Endpoint

REFS = st.lists(st.builds(FrameRef, st.integers(0, 70), st.integers(1, 2**40 - 1)), max_size=40).map(tuple)


@settings(max_examples=60, deadline=None)
@given(REFS, st.integers(-50, 50), st.integers(-50, 50))
def test_a_run_is_its_tuple(refs, begin, end):
    run = FrameRun(refs)
    assert run == refs and refs == run and hash(run) == hash(refs) and len(run) == len(refs)
    assert list(run) == list(refs) and list(reversed(run)) == list(reversed(refs))
    assert run[begin:end] == refs[begin:end] and type(run[begin:end]) is tuple
    assert [run[place] for place in range(-len(refs), len(refs))] == [*refs, *refs]
    assert all(ref in run and type(ref) is FrameRef for ref in run)
    assert repr(run) == repr(refs) and (*run, *refs) == (*refs, *refs)


def test_a_run_differs_from_others():
    run = FrameRun([FrameRef(0, 1)])
    assert run != (FrameRef(0, 2),) and run != FrameRun([FrameRef(1, 1)]) and run != 1 and run != [FrameRef(0, 1)]


def test_a_message_of_many_frames_takes_a_tenth():
    refs = tuple(FrameRef(1, number) for number in range(1000, 4000))
    message = Context(0, refs, Endpoint("192.0.2.1"), Endpoint("192.0.2.2")).message("http.response", {})
    assert message.frames == refs and message.frames[-1] == FrameRef(1, 3999)
    assert sys.getsizeof(message.frames) + sys.getsizeof(message.frames._places) < len(refs) * 9


def test_few_frames_stay_a_tuple():
    refs = tuple(FrameRef(0, number) for number in range(FEW))
    assert compact(refs) is refs


@settings(max_examples=60, deadline=None)
@given(st.lists(REFS, max_size=5))
def test_what_is_gathered_comes_out_once_and_in_order(parts):
    gathered = Gathered()
    for number, part in enumerate(parts):
        gathered.add(FrameRun(part) if number & 1 else part)
    whole = sorted({ref for part in parts for ref in part})
    once = gathered.once()
    assert len(gathered) == sum(map(len, parts)) and list(once) == whole
    assert type(once) is (FrameRun if len(whole) > FEW else tuple) and all(type(ref) is FrameRef for ref in once)


@settings(max_examples=60, deadline=None)
@given(REFS)
def test_packed_and_unpacked(refs):
    places = [ref.capture << CAPTURE_SHIFT | ref.number for ref in refs]
    assert [unpacked(place) for place in places] == list(refs) and FrameRun.packed(places) == refs
    assert compact(FrameRun.packed(places)) == refs
