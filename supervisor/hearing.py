"""What a supervisor is told by notifications."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .supervisor import Supervisor


def hear(supervisor: "Supervisor", payload: str) -> None:
    match payload:
        case "claimed":
            supervisor.on_claimed()
        case "schedules":
            supervisor.schedules.stir()
        case "limits":
            supervisor.limits.stir()
        case "cancel":
            supervisor.cancelling.hear()
        case "marks":
            supervisor.sleep.come_back()
        case "":
            supervisor.wake()
        case _ if payload.startswith("token "):  # in so many seconds, one more job may start
            supervisor.tokens.expect_also(float(payload.removeprefix("token ")))
        case _:  # about a waiting job, or a paused queue: what there is must be looked up
            supervisor.sleep.doubt()
            supervisor.wake()
