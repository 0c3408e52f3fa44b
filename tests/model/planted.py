"""Bugs to be planted: a function of wsup, a piece of its text, and what stands there instead."""

from typing import NamedTuple

import psycopg


class Bug(NamedTuple):
    function: str
    changes: dict[str, str]


BUGS = {
    "a result counts although its job has left its claim": Bug(
        "settle",
        {
            """JOIN unnest(claims, held) AS h(claim, jobs)
        ON h.claim = over_claim[i] AND h.jobs @> over_job[i];""": ";"
        },
    ),
    "a rescue looks for missing outcomes": Bug(
        "rescue",
        {
            """held_claims AS MATERIALIZED (
        SELECT c.id FROM wsup.claim c WHERE c.supervisor = dead FOR UPDATE SKIP LOCKED),
    gone AS (
        DELETE FROM wsup.claim c USING held_claims h WHERE c.supervisor = dead AND c.id = h.id
        RETURNING c.jobs, c.retried, c.attempts)""": """gone AS (
        SELECT c.jobs, c.retried, c.attempts FROM wsup.claim c WHERE c.supervisor = dead),
    forgotten AS (DELETE FROM wsup.claim c WHERE c.supervisor = dead)""",
            "WHERE u.job = n.job) a ON true)": """WHERE u.job = n.job) a ON true
         WHERE NOT EXISTS (SELECT FROM wsup.outcome o WHERE o.job = n.job))""",
        },
    ),
    "a give-back is forgotten": Bug(
        "settle",
        {"back b WHERE b.delay IS NULL": "back b WHERE false"},
    ),
    "what was cancelled while it was held is pulled again": Bug(
        "drop_cancelled",
        {"FOR UPDATE OF r SKIP LOCKED": "LIMIT 0 FOR UPDATE OF r SKIP LOCKED"},
    ),
    "a lane is truncated unseen": Bug(
        "sweep",
        {"DELETE FROM %s RETURNING": "DELETE FROM %s WHERE false RETURNING"},
    ),
    "a lane is emptied into the one that is current by now": Bug(
        "sweep",
        {"IF other = lane OR": "IF", "USING other": "USING wsup.current_lane()"},
    ),
}

#: Those of jobs that wait for others, and of unique jobs.
RELATED_BUGS = {
    "a release forgets the children that another one holds": Bug(
        "release", {"ELSIF held < found OR found = budget": "ELSIF found = budget"}
    ),
    "a child's mark is dropped at the first look": Bug(
        "tie_up", {"active = '{}' OR NOT e.writers && active": "true"}
    ),
    "a rescue ends a job and tells no children": Bug(
        "rescue", {"PERFORM wsup.release(ended);": ""}
    ),
    "an operator's cancel tells no children": Bug(
        "cancel", {"PERFORM wsup.release_later(ended);": ""}
    ),
    "of a cancelled child, the children go on waiting": Bug(
        "release", {"todo := doomed;": "todo := NULL;"}
    ),
    "a job run again doesn't wait for the parents that are, too": Bug(
        "hold_back",
        {"a.given AND o.state IS NULL AND": "NOT again AND a.given AND o.state IS NULL AND"},
    ),
    "the key of a running job is taken over": Bug(
        "key_counts",
        {"NOT EXISTS (SELECT FROM wsup.outcome o": "EXISTS (SELECT FROM wsup.ready o"},
    ),
    "a key is taken over without a second look": Bug(
        "enqueue_once", {"NOT FOUND OR again IS DISTINCT FROM held": "NOT FOUND"}
    ),
}


def plant(connection: "psycopg.Connection[object]", bug: Bug) -> None:
    """Replace the function by a broken one, in this database."""
    (text,) = connection.execute(  # type: ignore[misc]
        "SELECT pg_get_functiondef(p.oid) FROM pg_proc p"
        " WHERE p.pronamespace = 'wsup'::regnamespace AND p.proname = %s",
        [bug.function],
    ).fetchone()
    for right, wrong in bug.changes.items():
        assert text.count(right) == 1, f"{right!r} is not in wsup.{bug.function} as it was"
        text = text.replace(right, wrong)
    connection.execute(text.encode())
