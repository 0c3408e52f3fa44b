"""Where the settings come from: flags over environment over file over defaults, checked as one."""

import difflib
import json
import logging
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .errors import ConfigError
from .keys import Key, keys
from .redaction import redacted
from .settings import Settings

FILE = "wsup.toml"
PREFIX = "WSUP_"
#: Variables of ours that are no settings.
OTHER_VARIABLES = frozenset({"WSUP_CONFIG"})
#: The settings that may hold a password.
DSNS = frozenset({"database", "listen"})
DEFAULT_RUN_DIR = ".wsup"
#: How alike two names must be for one to be taken for the other misspelt, from 0 to 1.
LIKENESS_OF_KEYS, LIKENESS_OF_VARIABLES = 0.6, 0.75

logger = logging.getLogger(__name__)


class Given(NamedTuple):
    """A setting as somebody gave it."""

    value: object
    #: Who: "flag", "environment", "default", or a file's name.
    source: str
    #: How it looked there: "--subworkers 0", "WSUP_SUBWORKERS=0", "wsup.toml: subworkers = 0".
    text: str


class Explained(NamedTuple):
    """A setting as `wsup config show` tells it; a password is hidden."""

    key: str
    value: object
    source: str


def load(
    flags: Mapping[str, object],
    file: Path | None = None,
    env: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings that hold here.

    `flags` are values by key; text is parsed as on a command line, None is nothing. `file` must
    exist, and so must the one that WSUP_CONFIG names; ./wsup.toml is read if it is there.
    Variables that are set but empty count as unset. Raises ConfigError, in one line that says who
    gave what, and the remedy.
    """
    return _checked(_gathered(flags, file, env))


def explain(
    flags: Mapping[str, object],
    file: Path | None = None,
    env: Mapping[str, str] = os.environ,
) -> list[Explained]:
    """Every setting with its value and where that came from. Raises ConfigError as `load` does."""
    given = _gathered(flags, file, env)
    settings = _checked(given)
    explained = []
    for name in keys():
        value = getattr(settings, name)
        if name in DSNS and value is not None:
            value = redacted(value)
        explained.append(Explained(name, value, given[name].source))
    return explained


def _gathered(
    flags: Mapping[str, object], file: Path | None, env: Mapping[str, str]
) -> dict[str, Given]:
    """What was given for each key, by whoever outranks the others."""
    given = {key.name: Given(key.default, "default", "") for key in keys().values()}
    systemd = env.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if systemd:
        given["run_dir"] = Given(systemd, "$RUNTIME_DIRECTORY", f"RUNTIME_DIRECTORY={systemd}")
    else:
        given["run_dir"] = Given(DEFAULT_RUN_DIR, "default", "")
    return given | _from_file(file, env) | _from_env(env) | _from_flags(flags)


def _from_flags(flags: Mapping[str, object]) -> dict[str, Given]:
    given = {}
    for name, value in flags.items():
        flag = "--" + name.replace("_", "-")
        _refuse_unknown(name, flag)
        if value is None:
            continue
        given[name] = Given(value, "flag", f"{flag} {_shown(name, value)}")
    return given


def _from_env(env: Mapping[str, str]) -> dict[str, Given]:
    given = {}
    for variable, value in env.items():
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES or not value:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in keys():
            text = f"{variable}={_shown(name, value)}"
            given[name] = Given(value, "environment", text)
        # Not an error: the variable may be the user's own, unless it is very near.
        elif near := _nearest(name, LIKENESS_OF_VARIABLES):
            logger.warning(
                "%s is not a setting: did you mean %s%s?", variable, PREFIX, near.upper()
            )
    return given


def _from_file(file: Path | None, env: Mapping[str, str]) -> dict[str, Given]:
    if file is not None:
        path, who = file, f"--config {file}"
    elif named := env.get("WSUP_CONFIG"):
        path, who = Path(named), f"WSUP_CONFIG={named}"
    elif (path := Path(FILE)).exists():
        who = FILE
    else:
        return {}
    given = {}
    for name, value in _parsed(path, who).items():
        text = f"{path}: {name} = {_shown(name, value, quoted=True)}"
        _refuse_unknown(name, text)
        given[name] = Given(value, str(path), text)
    return given


def _parsed(path: Path, who: str) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{who}: there is no such file: name one that exists") from None
    except OSError as error:
        raise ConfigError(f"{who}: {error.strerror}: name a file that can be read") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f'{path}: not TOML: {error}: write lines like queues = ["a"]') from None


def _checked(given: Mapping[str, Given]) -> Settings:
    """All of it converted and checked. Raises ConfigError."""
    settings = Settings(**{name: _converted(keys()[name], given[name]) for name in keys()})
    if settings.batch_bytes < settings.max_args:
        culprit = max("batch_bytes", "max_args", key=lambda name: bool(given[name].text))
        raise ConfigError(
            f"{given[culprit].text}: batch_bytes ({settings.batch_bytes}) must not be below "
            f"max_args ({settings.max_args}), or such a job could never be pulled"
        )
    return settings


def _converted(key: Key, given: Given) -> Any:
    value = given.value
    if isinstance(value, str) and isinstance(key.default, tuple):
        value = [part for part in map(str.strip, value.split(",")) if part]
    # A file has types of its own: a number in quotes is a mistake there, elsewhere all is text.
    strict = given.source not in ("flag", "environment")
    try:
        return msgspec.convert(value, key.type, strict=strict)
    except msgspec.ValidationError:
        raise ConfigError(f"{given.text}: use {key.expects}") from None


def _refuse_unknown(name: str, text: str) -> None:
    if name in keys():
        return
    near = _nearest(name, LIKENESS_OF_KEYS)
    remedy = f"did you mean {near}?" if near else f"the settings are {', '.join(keys())}"
    raise ConfigError(f"{text}: no such setting: {remedy}")


def _nearest(name: str, likeness: float) -> str | None:
    name = name.lower().replace("-", "_")
    return next(iter(difflib.get_close_matches(name, keys(), 1, likeness)), None)


def _shown(name: str, value: object, *, quoted: bool = False) -> str:
    """`value` on one line, as its giver would write it, without a password."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, str) and value.isprintable() and value and not quoted:
        text = value
    # An unknown key may be a misspelt database.
    return redacted(text) if name in DSNS or name not in keys() else text
