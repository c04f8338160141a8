import pytest
from hypothesis import given, settings, strategies as st

from flowcheck.report.visible import block, line


@pytest.mark.parametrize("text, shown", [
    ("plain ümläut 漢字", "plain ümläut 漢字"), ("a\x00b", "a\\x00b"), ("\u202egnp", "\\u202egnp"),
    ("a\tb\nc", "a\\tb\\nc"),
    ("\ud800", "\\ud800"), ("\U000e0041", "\\U000e0041"), ("\ufeff", "\\ufeff"), ("\u200b", "\\u200b"),
    ("\x9b31m", "\\x9b31m")])
def test_what_cannot_be_seen_is_spelt_out(text, shown):
    assert line(text) == shown


def test_a_block_keeps_its_lines():
    assert block("a\r\nb\tc\x07\rd") == "a\nb\tc\\x07\\rd"


def test_long_text_is_cut_with_a_note():
    assert line("x" * 5_000) == "x" * 4_096 + " … (904 more characters not shown)"
    assert line("abc", 3) == "abc"


@settings(max_examples=60)
@given(st.text(st.characters(codec=None), max_size=60))
def test_all_that_comes_out_can_be_written_and_seen(text):
    shown = line(text)
    shown.encode()
    assert shown.isprintable() or all(c.isprintable() or c.isspace() or ord(c) > 0x377 for c in shown)
    assert not set(shown) & set("\x00\x1b\r\n\u202e\u2066\u200f")
