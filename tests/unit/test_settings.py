"""The settings: who outranks whom, and one helpful line for each mistake."""

import logging
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from wsup.config.database import direct_dsn
from wsup.config.errors import ConfigError
from wsup.config.keys import keys
from wsup.config.loading import explain, load
from wsup.config.settings import Settings

SECRET = "geheim"


pytestmark = pytest.mark.usefixtures("empty_folder")


def refusal(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_are_valid_and_name_a_run_dir() -> None:
    assert load({}) == Settings(run_dir=".wsup")


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    Path("wsup.toml").write_text("subworkers = 2\nbatch = 3\ngrace = 4\n")
    env = {"WSUP_SUBWORKERS": "5", "WSUP_BATCH": "6"}
    settings = load({"subworkers": "7"}, env=env)
    assert (settings.subworkers, settings.batch, settings.grace) == (7, 6, 4.0)


def test_a_named_file_is_read_instead_of_wsup_toml() -> None:
    Path("wsup.toml").write_text("subworkers = 2")
    Path("a.toml").write_text("batch = 3")
    Path("b.toml").write_text("batch = 4")
    assert load({}, Path("a.toml"), {"WSUP_CONFIG": "b.toml"}).batch == 3
    assert load({}, env={"WSUP_CONFIG": "b.toml"}).batch == 4
    assert load({}, Path("a.toml"), {}).subworkers == 8


def test_lists_are_parted_by_commas() -> None:
    assert load({}, env={"WSUP_QUEUES": "mail, reports,"}).queues == ("mail", "reports")
    assert load({"queues": "a,b"}).queues == ("a", "b")
    assert load({"queues": ("a",)}).queues == ("a",)


def test_an_empty_variable_and_a_missing_flag_count_as_unset() -> None:
    Path("wsup.toml").write_text("subworkers = 2")
    assert load({"subworkers": None}, env={"WSUP_SUBWORKERS": ""}).subworkers == 2


def test_systemd_names_the_run_dir_unless_somebody_else_does() -> None:
    env = {"RUNTIME_DIRECTORY": "/run/wsup:/run/other"}
    assert load({}, env=env).run_dir == "/run/wsup"
    assert load({"run_dir": "/x"}, env=env).run_dir == "/x"
    assert load({}, env=env | {"WSUP_RUN_DIR": "/y"}).run_dir == "/y"


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("subworkers", "0", "use a whole number from 1 to 512"),
        ("subworkers", "eight", "use a whole number from 1 to 512"),
        ("subworkers", "7.5", "use a whole number"),
        ("lease", "4.9", "use a number of seconds from 5 to 3600"),
        ("kill_grace", "-1", "use a number of seconds from 0 to 3600"),
        ("max_jobs", "-1", "use a whole number from 0 to"),
        ("max_rss", "1GB", "use a whole number of bytes from 0 to"),
        ("max_age", "inf", "use a number of seconds from 0 to"),
        ("grace", "nan", "use a number of seconds from 0 to 86400"),
        ("grace", "inf", "use a number of seconds"),
        ("ring_bytes", "65537", "that 4096 divides"),
        ("log_level", "loud", "use one of debug, info, warning, error"),
        ("app", "mymodule", "use pkg.module:attribute"),
        ("queues", "q" * 201, "use a list of names of up to 200 characters"),
    ],
)
def test_a_wrong_value_is_named_with_its_giver_and_the_remedy(
    key: str, value: str, remedy: str
) -> None:
    flag = "--" + key.replace("_", "-")
    assert refusal({key: value}).startswith(f"{flag} {value}: ")
    assert remedy in refusal({key: value})
    assert refusal({}, env={f"WSUP_{key.upper()}": value}).startswith(f"WSUP_{key.upper()}={value}")
    Path("wsup.toml").write_text(f'{key} = "{value}"')
    if key != "queues":
        assert refusal({}).startswith(f'wsup.toml: {key} = "{value}": ')


@pytest.mark.parametrize("line", ["subworkers = true", 'subworkers = "8"', "subworkers = [8]"])
def test_a_file_has_types(line: str) -> None:
    Path("wsup.toml").write_text(line)
    assert refusal({}) == f"wsup.toml: {line}: use a whole number from 1 to 512"


def test_a_turn_must_have_room_for_the_largest_job() -> None:
    assert refusal({"batch_bytes": 65536}).startswith("--batch-bytes 65536: ")
    assert refusal({}, env={"WSUP_MAX_ARGS": "9000000"}).startswith("WSUP_MAX_ARGS=9000000: ")


def test_an_unknown_key_brings_the_nearest_to_mind() -> None:
    Path("wsup.toml").write_text("workers = 4")
    assert refusal({}) == "wsup.toml: workers = 4: no such setting: did you mean subworkers?"
    Path("wsup.toml").write_text("zzz = 4")
    assert "the settings are app, database, source" in refusal({})
    Path("wsup.toml").write_text(f'databse = "postgresql://u:{SECRET}@h/x"')
    assert SECRET not in refusal({})


def test_a_misspelt_variable_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load({}, env={"WSUP_SUBWORKER": "4", "WSUP_BENCH": "mine", "OTHER": "x"})
    assert caplog.messages == ["WSUP_SUBWORKER is not a setting: did you mean WSUP_SUBWORKERS?"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"a b", "not TOML"), (b'app = "\xff"', "not UTF-8"), (None, "there is no such file")],
)
def test_a_file_that_cannot_be_read(content: bytes | None, told: str) -> None:
    if content is not None:
        Path("x.toml").write_bytes(content)
    assert told in refusal({}, Path("x.toml"))
    assert told in refusal({}, env={"WSUP_CONFIG": "x.toml"})
    assert "Is a directory" in refusal({}, Path())


def test_explain_tells_who_gave_what_but_no_password() -> None:
    Path("wsup.toml").write_text("batch = 3")
    flags = {"database": f"postgresql://u:{SECRET}@h/x"}
    told = {each.key: each[1:] for each in explain(flags, env={"WSUP_POLL": "2"})}
    assert list(told) == list(keys())
    assert told["database"] == ("postgresql://u:***@h/x", "flag")
    assert told["poll"] == (2.0, "environment")
    assert told["batch"] == (3, "wsup.toml")
    assert told["lease"] == (30.0, "default")


def test_the_example_shows_every_key_with_its_default() -> None:
    example = (files("wsup.config") / "example.toml").read_text()
    assert tomllib.loads(example) == {}
    uncommented = re.sub(r"(?m)^#(?=\w+ = )", "", example)
    shown = tomllib.loads(uncommented)
    assert list(shown) == list(keys())
    Path("wsup.toml").write_text(uncommented)
    assert load(
        {"app": "", "database": ""},
    ) == Settings(database="", run_dir=".wsup")


def test_the_direct_connection_is_the_databases_unless_it_is_named_or_off() -> None:
    assert direct_dsn(load({}).listen, "dbname=a") == "dbname=a"
    assert direct_dsn(load({"listen": "host=b"}).listen, "dbname=a") == "host=b"
    assert direct_dsn(load({}, env={"WSUP_LISTEN": "off"}).listen, "dbname=a") is None
    with pytest.raises(ConfigError) as caught:
        direct_dsn(f"postgresql+x://u:{SECRET}@host/a", "")
    assert str(caught.value).startswith("listen = postgresql+x://u")
    assert SECRET not in str(caught.value)


def test_the_direct_connections_password_is_not_shown() -> None:
    explained = {e.key: e.value for e in explain({"listen": f"postgresql://u:{SECRET}@h/a"})}
    assert SECRET not in str(explained["listen"])
    assert "postgresql://u" in str(explained["listen"])
