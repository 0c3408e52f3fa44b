"""Import the user's app, and tell in the user's terms why it could not be imported."""

import importlib
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from .contract import RunnableApp

OUR_FILES = str(Path(__file__).resolve().parent)


class AppNotLoaded(Exception):
    """The message is the whole report, for the user to read."""


def load_app(name: str) -> RunnableApp:
    """Import `package.module:attribute`, with the working directory on the path.

    Raises AppNotLoaded.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise AppNotLoaded(f"--app {name!r} is not of the form package.module:attribute")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:
        raise AppNotLoaded(f"app {name!r} can't be imported:\n{own_traceback(error)}") from error
    try:
        app = getattr(module, attribute)
    except AttributeError:
        raise AppNotLoaded(f"app {name!r}: {module_name} has no {attribute!r}") from None
    if not all(hasattr(app, part) for part in ("tasks", "template_hooks", "start_hooks")):
        raise AppNotLoaded(f"app {name!r} is not a wsup.App but {type(app).__name__}")
    return cast("RunnableApp", app)


def prepare(app: RunnableApp) -> None:
    """Resolve every task's signature and run the template hooks. Raises AppNotLoaded."""
    try:
        for task in app.tasks.values():
            task.prepare()
        for schedule in app.schedules.values():
            schedule.info()
        for hook in app.template_hooks:
            hook()
    except BaseException as error:
        raise AppNotLoaded(f"the app can't be prepared:\n{own_traceback(error)}") from error


def own_traceback(error: BaseException) -> str:
    """The traceback from the first frame of the user's own code on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        file = frames.tb_frame.f_code.co_filename
        if not (file.startswith((OUR_FILES, "<frozen")) or "/importlib/" in file):
            break
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def fork_hazards() -> list[str]:
    """What the import has left behind that would not survive a fork."""
    hazards = [
        f"thread {thread.name!r} was started while importing the app; it won't exist in the "
        "subworkers: start it in @app.on_subworker_start"
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
    ]
    hazards += [
        f"descriptor {fd} is a socket opened while importing the app; the subworkers would share "
        "it: open it in @app.on_subworker_start"
        for fd, name in _sockets()
        if name not in KNOWN_SOCKETS
    ]
    return hazards


#: The sockets that were there before the import: standard streams, and the template's channel. By
#: their inodes, as the kernel names them: a descriptor's number may be given to another one.
KNOWN_SOCKETS: set[str] = set()


def note_known_sockets() -> None:
    KNOWN_SOCKETS.update(name for _, name in _sockets())


def _sockets() -> Iterator[tuple[int, str]]:
    """The open sockets: descriptor, and what the kernel calls it."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue  # the descriptor by which the folder was read
        if target.startswith("socket:"):
            yield int(entry.name), target
