"""The protocol as a state machine on a real database. Needs Hypothesis; no supervisor runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
