"""What `wsup status` makes of a supervisor's answer."""

import time
from typing import Any

import pytest
from click.testing import CliRunner

from wsup.cli import main, status

STATUS: dict[str, Any] = {
    "host": "host1",
    "pid": 4711,
    "supervisor": 3,
    "version": "1.2.3",
    "state": "paused",
    "uptime": 3700.0,
    "generation": 2,
    "queues": ["default", "mail"],
    "rate": [1234.5, 2.0, 3.0],
    "occupancy": [0.5, 0.25, 1.0],
    "queued": 5,
    "done": 6,
    "failed": 7,
    "connected": False,
    "database": "host=h",
    "subworkers": [
        {"index": 0, "pid": 12, "generation": 2, "state": "idle", "done": 3, "jobs": []},
        {
            "index": 1,
            "pid": None,
            "generation": 2,
            "state": "busy",
            "done": 4,
            "jobs": [
                {"id": 100 + n, "attempt": 1, "task": "a.b\x1b[31m", "seconds": float(n)}
                for n in range(8)
            ],
        },
    ],
}


def test_the_report_of_a_status() -> None:
    lines = status.report(STATUS).splitlines()
    assert lines[0] == (
        "wsup 1.2.3 on host1: paused, pid 4711, up 1 h 1 min, generation 2, supervisor 3"
    )
    assert lines[1:6] == [
        "database   host=h  NOT CONNECTED",
        "queues     default, mail",
        "jobs/s     1234.5 (1 s)  2.0 (15 s)  3.0 (5 min)",
        "occupancy  50% (15 s)  25% (5 min)  100% (30 min)",
        "jobs       5 queued, 6 done, 7 failed",
    ]
    head, idle, oldest, *_, more = lines[7:]
    assert head.split() == [
        *("SUBWORKER", "PID", "GEN", "STATE", "JOB"),
        *("TASK", "ATTEMPT", "SINCE", "DONE"),
    ]
    assert idle.split() == ["0", "12", "2", "idle", "-", "-", "-", "-", "3"]
    assert oldest.split() == ["1", "-", "2", "busy", "107", r"a.b\x1b[31m", "1", "7.0", "s", "4"]
    assert more.split() == ["…", "and", "3", "more"]
    assert "\x1b" not in "".join(lines)


def test_watched_until_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "ask", lambda *_: {"ok": True, "status": STATUS})
    monkeypatch.setattr(time, "sleep", pause)
    result = CliRunner().invoke(main, ["status", "--watch"], color=True)
    assert result.exit_code == 0
    assert result.output == 2 * f"{status.REPAINT}{status.report(STATUS)}\n"
    assert pauses == [1.0, 1.0]
