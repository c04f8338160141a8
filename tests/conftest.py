"""What tests share is in tests/literals.py; this makes it importable from every folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
