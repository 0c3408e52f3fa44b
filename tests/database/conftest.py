"""The database alone: no supervisor runs here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
