"""What holds for every module of flowcheck/decode: it declares what it yields, and no bytes make it raise."""

import importlib.util
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck import decode

_SPEC = importlib.util.spec_from_file_location("fuzz_decoders", Path(__file__).parent.parent / "fuzz_decoders.py")
fuzz = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fuzz)

PORTS = sorted({port for module in decode.decoders() for port in getattr(module, "PORTS", ())} | {40112})


@pytest.fixture(params=decode.names())
def module(request):
    return decode.decoder(request.param)


def test_declares_its_kinds(module):
    for kind, fields in getattr(module, "KINDS", {}).items():
        assert re.fullmatch(r"[a-z0-9_]+(\.[A-Za-z0-9_-]+)+", kind), kind
        assert len(set(fields)) == len(fields), f"{kind} names a field twice"
    assert module.__doc__, "says what it is for and after which specification"


def test_can_be_found(module):
    doors = [name for name in ("decode", "Flow", "Conversation") if hasattr(module, name)]
    reached = [name for name in ("likely", "PROTOCOLS", "PAYLOADS") if hasattr(module, name)]
    assert bool(reached) <= bool(doors), "who can be reached can be entered"
    if hasattr(module, "PORTS"):
        assert hasattr(module, "likely"), "ports are a hint for `likely`"


def test_kinds_belong_to_one_decoder():
    owners = {}
    for module in decode.decoders():
        for kind in getattr(module, "KINDS", {}):
            assert owners.setdefault(kind, module.__name__) == module.__name__, f"{kind} is declared twice"


def test_nothing_recognises_nothing(module):
    if hasattr(module, "likely"):
        assert not module.likely(b"",
                                 (module.PORTS and min(module.PORTS), 40112) if getattr(module, "PORTS", None) else (1,
                                                                                                                     2))


@settings(max_examples=12, deadline=None)
@given(data=st.binary(max_size=200), port=st.sampled_from(PORTS), seed=st.integers(0, 1 << 16))
def test_any_bytes_give_messages_or_problems(data, port, seed):
    for module in decode.decoders():
        fuzz.exercise(module, data, fuzz.context((40112, port)), random.Random(seed))


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from([n for n in decode.names() if hasattr(decode.decoder(n), "Conversation")]),
       port=st.sampled_from(PORTS),
       pieces=st.lists(st.tuples(st.integers(0, 1), st.binary(min_size=1, max_size=40)), max_size=8),
       lose=st.integers(0, 8))
def test_any_stream_in_any_pieces(name, port, pieces, lose):
    fuzz.converse(decode.decoder(name), pieces, fuzz.context((40112, port)), lose)


def test_damaged_captures():
    """A short run over whatever captures lie in samples/; the script itself runs longer."""
    samples = Path(__file__).parent.parent.parent / "samples"
    known = fuzz.seeds([samples], 150)
    assert known
    rng = random.Random(7)
    for data, ports in known:
        for module in decode.decoders():
            if hasattr(module, "likely") and module.likely(data, ports):
                fuzz.exercise(module, fuzz.mutate(data, rng), fuzz.context(ports), rng)
