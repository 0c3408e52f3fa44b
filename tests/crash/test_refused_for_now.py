"""What the database refuses for the moment is tried again, and is nobody's failure."""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import (
    Supervisor,
    all_over,
    enqueue,
    enqueue_counts,
    failures,
    finished,
    runs,
    until,
)
from servers import OwnServer

Connection = psycopg.Connection[Any]
MakeSupervisor = Callable[..., Supervisor]

#: Bytes of the disk that gets full, and of a result that won't fit into what is left of it.
DISK, RESULT = 64 << 20, 4 << 20


def test_serialization_failures_are_tried_again(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    connection.execute(
        """
        CREATE SEQUENCE tries;  -- counts what is rolled back, too
        CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('public.tries') % 3 <> 0 THEN
                RAISE serialization_failure;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER conflict AFTER INSERT ON wsup.outcome EXECUTE FUNCTION conflict();
        """
    )
    supervisor = make_supervisor("--subworkers", "2").start()
    ledger = tmp_path / "ledger"
    jobs = enqueue_counts(connection, ledger, 500)
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert runs(ledger) == Counter(jobs)
    assert "lost" not in supervisor.log  # it needn't reconnect for that


def test_a_server_that_goes_on_refusing_is_not_stormed(
    make_supervisor: MakeSupervisor, connection: Connection, tmp_path: Path
) -> None:
    """As when its disk is full: it can be connected to, and nothing can be committed."""
    connection.execute(
        """
        CREATE TABLE full_disk ();
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF to_regclass('public.full_disk') IS NOT NULL THEN
                RAISE disk_full;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER refuse AFTER INSERT ON wsup.outcome EXECUTE FUNCTION refuse();
        """
    )
    supervisor = make_supervisor("--subworkers", "2").start()
    ledger = tmp_path / "ledger"
    jobs = enqueue_counts(connection, ledger, 100)
    supervisor.wait_for("connected again", times=5)
    # The pauses double: five tries take 0 + 0.1 + 0.2 + 0.4 + 0.8 seconds at least.
    row = connection.execute(
        "SELECT clock_timestamp() - started_at > interval '1.5 s' FROM wsup.supervisor"
    ).fetchone()
    assert row == (True,)
    connection.execute("DROP TABLE full_disk")
    assert all_over(connection, jobs) == {"succeeded": len(jobs)}
    assert runs(ledger) == Counter(jobs)


def test_a_deadlock_is_tried_again(
    make_supervisor: MakeSupervisor, connection: Connection, database: str, tmp_path: Path
) -> None:
    connection.execute(
        """
        CREATE TABLE wanted ();
        CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            LOCK TABLE public.wanted;
            RETURN NULL;
        END $$;
        CREATE TRIGGER take AFTER INSERT ON wsup.outcome EXECUTE FUNCTION take();
        """
    )
    supervisor = make_supervisor("--subworkers", "1").start()
    go, started = tmp_path / "go", tmp_path / "started"
    job = enqueue(connection, "wait_for_file", path=str(go), started=str(started))
    until(lambda: runs(started))
    # The other one has the patience to let the supervisor be the first to find out.
    with psycopg.connect(database, options="-c deadlock_timeout=60s") as other:
        other.execute("LOCK TABLE wanted")
        go.touch()
        waiting = "SELECT FROM pg_locks WHERE relation = 'wanted'::regclass AND NOT granted"
        until(lambda: connection.execute(waiting).rowcount == 1, "the supervisor waits")
        other.execute("SELECT FROM wsup.claim FOR UPDATE")  # until it gives way
    assert finished(connection, job) == ["succeeded"]
    assert runs(started) == Counter([job])
    row = connection.execute(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    assert row[0] >= 1
    assert "lost" not in supervisor.log


@pytest.fixture
def small_disk(own_server: OwnServer, tmp_path: Path) -> Iterator[Path]:
    """A tablespace named "small" that is a disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = own_server.data_dir.parent / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=1777", "tmpfs", str(disk)]
    if (refused := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        disk.rmdir()
        pytest.skip(f"a small disk can't be mounted here: {refused.stderr.strip()}")
    try:
        place = disk / "place"
        place.mkdir()
        owner = own_server.data_dir.stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        with own_server.connect() as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        yield disk
        with own_server.connect() as connection:
            connection.execute("DROP DATABASE IF EXISTS wsup_test_small WITH (FORCE)")
            connection.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()


def test_a_full_disk_of_the_servers(
    make_supervisor: MakeSupervisor, own_server: OwnServer, small_disk: Path, tmp_path: Path
) -> None:
    database = own_server.make_database("wsup_test_small", "small")
    supervisor = make_supervisor("--subworkers", "2", database=database).start()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE wsup.outcome ALTER result SET STORAGE EXTERNAL")
        # From now on there is room for a failure of this job, should somebody want to note one.
        small = [enqueue(connection, "big", size=1), enqueue(connection, "fail")]
        assert finished(connection, *small) == ["succeeded", "failed"]
        space = os.statvfs(small_disk)
        (small_disk / "fill").write_bytes(bytes(space.f_bavail * space.f_frsize - RESULT // 2))
        jobs = [enqueue(connection, "big", size=RESULT)]
        supervisor.wait_for("No space left on device", times=2)
        (small_disk / "fill").unlink()
        assert finished(connection, *jobs) == ["succeeded"]
        assert failures(connection, jobs[0]) == []
    assert "pulled unheard" not in supervisor.log  # its result was kept, and not made anew
    supervisor.kill()
