"""@app.schedule: what it takes, and what it refuses in one line."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from wsup import App
from wsup.errors import ArgumentsError, TaskError
from wsup.subworkers.declared import ScheduleInfo


def make(app: App, **options: Any) -> Any:
    return app.task(name="report", **options)(report)


def report(day: int, kind: str = "short") -> None: ...


def test_the_supervisor_is_told_all_of_it() -> None:
    app = App()
    task = make(app, queue="mail", priority=3)
    assert app.schedule("0 3 * * *", timezone="Europe/Vienna", args=(1,))(task) is task
    app.schedule(
        every=timedelta(minutes=2), kwargs={"day": 2, "kind": "long"}, name="often", catch_up="all"
    )(task)
    first, second = (schedule.info() for schedule in app.schedules.values())
    assert first == ScheduleInfo(
        "report", "report", "mail", 3, '{"day":1}', "0 3 * * *", "Europe/Vienna", None, "last"
    )
    assert second == ScheduleInfo(
        "often", "report", "mail", 3, '{"day":2,"kind":"long"}', None, "UTC", 120.0, "all"
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(second), type=ScheduleInfo) == second


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "give a cron expression such as '*/5 * * * *', or every=…"),
        ({"cron": "* * * * *", "every": 5}, "give a cron expression such as"),
        ({"cron": "61 * * * *"}, "cron='61 * * * *' won't do: give five fields as crontab(5)"),
        ({"cron": 5}, "cron=5 won't do: give five fields"),
        ({"every": 0}, "every=0 won't do: give 0.1 seconds or more"),
        ({"every": True}, "every=True won't do: give seconds, or a timedelta"),
        ({"every": "5"}, "every='5' won't do: give seconds, or a timedelta"),
        ({"every": 5, "timezone": "UTC"}, "timezone='UTC' means nothing to every=…"),
        ({"cron": "* * * * *", "timezone": "Mars"}, "timezone='Mars' won't do: give a name like"),
        ({"every": 5, "catch_up": "some"}, "catch_up='some' won't do: give 'none', 'last' or"),
        ({"every": 5, "args": "ab"}, "args='ab' won't do: give a tuple"),
        ({"every": 5, "kwargs": [1]}, "kwargs=[1] won't do: give a dict"),
    ],
)
def test_what_will_not_do(options: dict[str, Any], says: str) -> None:
    cron = options.pop("cron", None)
    with pytest.raises(TaskError) as caught:
        scheduled_report(cron, {"args": (1,), **options})
    assert str(caught.value).startswith(f"schedule report: {says}")


def scheduled_report(cron: Any, options: dict[str, Any]) -> None:
    app = App()
    app.schedule(cron, **options)(make(app))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "argument 'day' is missing"),
        ({"args": ("x",)}, "argument 'day': Expected `int`, got `str`"),
        ({"args": (1, "a", 3)}, "takes 2 positional arguments, 3 were given"),
        ({"args": (1,), "kwargs": {"day": 2}}, "argument 'day' is given twice"),
        ({"args": (1,), "kwargs": {"hour": 2}}, "unknown argument 'hour'; it takes day, kind"),
        ({"args": (1, "x" * 9000)}, "bytes of JSON, the limit is 8,192"),
    ],
)
def test_arguments_that_do_not_fit_the_task(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentsError) as caught:
        scheduled_report("* * * * *", options)
    assert str(caught.value).startswith("schedule report: ")
    assert says in str(caught.value)


def test_names() -> None:
    app = App()
    task = make(app)
    app.schedule(every=5, args=(1,))(task)
    with pytest.raises(TaskError, match=r"schedule report: there are two .* name=…"):
        app.schedule(every=6, args=(1,))(task)
    with pytest.raises(TaskError, match="schedule of report: name='' won't do"):
        app.schedule(every=6, args=(1,), name="")(task)


def test_only_tasks_of_this_app_can_be_scheduled() -> None:
    theirs: Any = make(App())
    for stranger in (theirs, report):
        with pytest.raises(TaskError, match=r"no task of this app; put @app\.schedule above"):
            App().schedule(every=5)(stranger)


def test_annotations_may_name_what_is_defined_further_down() -> None:
    app = App()

    def task(which: object) -> None: ...

    task.__annotations__["which"] = "Later"
    scheduled = app.task(name="t")(task)
    app.schedule(every=5, args=("x",))(scheduled)
    globals()["Later"] = int
    try:
        with pytest.raises(ArgumentsError, match="schedule t: task t: argument 'which': Expected"):
            app.schedules["t"].info()
    finally:
        del globals()["Later"]
