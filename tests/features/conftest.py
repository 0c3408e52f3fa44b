"""A folder a feature, with its apps (which supervisors run) and its tests.

A feature's modules may be imported by its tests; so their names must be unique.
"""

import sys
from pathlib import Path

sys.path += [str(folder) for folder in Path(__file__).parent.iterdir() if folder.is_dir()]
