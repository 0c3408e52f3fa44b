"""`wsup stop`, `reload`, `pause`, `resume`: what an operator tells the supervisor of a folder."""

import signal
from pathlib import Path

import click

from wsup.config.loading import load

from .control import ask, end
from .options import settings_options

#: A stop takes the grace time, then some for the last commit.
AFTER_GRACE_SECONDS = 10
#: A new generation has to import the app, which may be large, and is slow on a busy machine.
RELOAD_SECONDS = 120.0


@click.command()
@settings_options("run_dir", "grace")
@click.option("--now", is_flag=True, help="Don't wait for running jobs: give them back.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to wait for its end; else the grace time and 10 s.",
)
def stop(
    config_file: Path | None,
    run_dir: str | None,
    grace: str | None,
    now: bool,
    timeout: float | None,
) -> None:
    """Stop the supervisor of this folder.

    Waits until it is gone: it pulls no more, lets running jobs finish for the grace time, and
    gives back what has not started.
    """
    settings = load({"run_dir": run_dir, "grace": grace}, config_file)
    if timeout is None:
        timeout = (0 if now else settings.grace) + AFTER_GRACE_SECONDS
    number = signal.SIGINT if now else signal.SIGTERM
    click.echo(f"stopped {end(Path(settings.run_dir), number, timeout)}")


@click.command()
@settings_options("run_dir")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=RELOAD_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the new generation.",
)
def reload(config_file: Path | None, run_dir: str | None, timeout: float) -> None:
    """Read settings and code again.

    New subworkers are warmed first and then take over; if they can't, the old ones go on, and this
    exits with 1.
    """
    settings = load({"run_dir": run_dir}, config_file)
    answer = ask(Path(settings.run_dir), "reload", timeout)
    generation = answer.get("generation")
    click.echo("reloaded" if generation is None else f"reloaded: generation {generation}")


@click.command()
@settings_options("run_dir")
def pause(config_file: Path | None, run_dir: str | None) -> None:
    """Pull no more jobs, until resumed."""
    ask(Path(load({"run_dir": run_dir}, config_file).run_dir), "pause")
    click.echo("paused")


@click.command()
@settings_options("run_dir")
def resume(config_file: Path | None, run_dir: str | None) -> None:
    """Pull jobs again after a pause."""
    ask(Path(load({"run_dir": run_dir}, config_file).run_dir), "resume")
    click.echo("resumed")
