"""What the harness says to a peer's processes, in variables that their children inherit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

#: The empty database of this run; workers and clients have roles of their own.
DSN: str = os.environ.get("BENCH_DSN", "")
#: The URL of the harness's Redis, for systems that ask for it.
REDIS: str = os.environ.get("BENCH_REDIS", "")
#: Where on 127.0.0.1 a served system serves; 0: it isn't one.
PORT = int(os.environ.get("BENCH_PORT", "0"))
#: What system.toml says for this workload.
SETTINGS: dict[str, Any] = json.loads(os.environ.get("BENCH_SETTINGS", "{}"))
#: A folder for whatever the peer wants to write; it is the current one, too.
FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))
#: Where the run's ledger is.
LEDGER = Path(os.environ.get("BENCH_LEDGER", ""))
#: Turns of the loop in `tasks.cpu` that take 1 ms of CPU time on this machine.
TURNS = int(os.environ.get("BENCH_TURNS", "0"))
