"""docs/adding-a-protocol.md quotes the code; what it quotes has to stand there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
QUOTED = re.findall(r"```python\n# (\S+)\n(.*?)```", (ROOT / "docs" / "adding-a-protocol.md").read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("path, code", QUOTED)
def test_quotation(path, code):
    assert code in (ROOT / path).read_text(encoding="utf-8"), f"{path} no longer has these lines"


def test_there_are_quotations():
    assert len(QUOTED) >= 5
