"""Bugs to be planted: a function of wsup, a piece of its text, and what stands there instead."""

from typing import NamedTuple

import psycopg


class Bug(NamedTuple):
    function: str
    changes: dict[str, str]
    #: What the model says of it: a pattern.
    finding: str


GONE = r"must be in \('ready'.*is in \[\]"
UNSEEN = "nobody will ever look whether jobs .* are to run"
TWO = "more than one unfinished job"
NEVER = "nobody will ever let in"
TURNS = "who has a turn"

BUGS = {
    "a result counts although its job has left its claim": Bug(
        "settle",
        {"WHERE held[h.n] @> over_job[i];": ";"},
        "outcome_pkey|must be in .*, and is in|results were refused",
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
        "rescued, the dead one held|outcome_pkey",
    ),
    "a give-back is forgotten": Bug(
        "settle",
        {"back b WHERE b.delay IS NULL": "back b WHERE false"},
        GONE,
    ),
    "what was cancelled while it was held is pulled again": Bug(
        "drop_cancelled",
        {"FOR UPDATE OF r SKIP LOCKED": "LIMIT 0 FOR UPDATE OF r SKIP LOCKED"},
        "was pulled although it was cancelled",
    ),
    "a lane is truncated unseen": Bug(
        "sweep",
        {"DELETE FROM %1$s RETURNING": "DELETE FROM %1$s WHERE false RETURNING"},
        GONE,
    ),
    "a lane is emptied into the one that is current by now": Bug(
        "sweep",
        {"IF other = lane OR": "IF", "USING other": "USING wsup.current_lane()"},
        GONE,
    ),
}
#: Of these, what it takes hundreds of runs to find.
RARE = ("a rescue looks for missing outcomes",)

#: Those of jobs that wait for others, and of unique jobs.
RELATED_BUGS = {
    "a release forgets the children that another one holds": Bug(
        "release",
        {"ELSIF held < found OR found = budget": "ELSIF found = budget"},
        UNSEEN,
    ),
    "a child's mark is dropped at the first look": Bug(
        "tie_up",
        {"active = '{}' OR NOT e.writers && active": "true"},
        UNSEEN,
    ),
    "a rescue ends a job and tells no children": Bug(
        "rescue",
        {"PERFORM wsup.release(ended);": ""},
        UNSEEN,
    ),
    "an operator's cancel tells no children": Bug(
        "cancel",
        {"PERFORM wsup.release_later(ended);": ""},
        UNSEEN,
    ),
    "of a cancelled child, the children go on waiting": Bug(
        "release",
        {"todo := doomed;": "todo := NULL;"},
        UNSEEN,
    ),
    "a job run again doesn't wait for the parents that are, too": Bug(
        "hold_back",
        {"a.given AND o.state IS NULL AND": "NOT again AND a.given AND o.state IS NULL AND"},
        "waits for .*, not",
    ),
    "the key of a running job is taken over": Bug(
        "key_counts",
        {"NOT EXISTS (SELECT FROM wsup.outcome o": "EXISTS (SELECT FROM wsup.ready o"},
        TWO,
    ),
    "a key is taken over without a second look": Bug(
        "enqueue_once",
        {"NOT FOUND OR again IS DISTINCT FROM held": "NOT FOUND"},
        TWO,
    ),
}


#: Those of jobs that have keys.
KEY_BUGS = {
    "a job that has ended keeps its turn": Bug("settle", {"IF keyed THEN": "IF false THEN"}, TURNS),
    "a job that is handed over becomes ready, too": Bug(
        "hand_on_serial", {"WHERE NOT n.is_handed": "WHERE true"}, r"was pulled from .'claim'"
    ),
    "a job lost with its host for the last time keeps its turn": Bug(
        "rescue", {"PERFORM wsup.end_turns(ended);": ""}, TURNS
    ),
    "an operator who ends a turn leaves no mark": Bug(
        "end_turns", {"PERFORM wsup.mark_keys(keys);": ""}, NEVER
    ),
    "a turn whose line another one has in hand leaves no mark": Bug(
        "look_again", {"PERFORM wsup.mark_keys(keys);": ""}, NEVER
    ),
    "who joins a line leaves no mark": Bug("line_up", {"PERFORM wsup.mark_keys(keys);": ""}, NEVER),
    "the mark of a key that another one has in hand is deleted": Bug(
        "work_off_marks",
        {
            "array_agg(w.lane) FILTER (WHERE w.got), array_agg(w.at) FILTER (WHERE w.got)": (
                "array_agg(w.lane), array_agg(w.at)"
            ),
            "IF keys IS NULL": "IF lanes IS NULL",
        },
        NEVER,
    ),
    "who is let in doesn't count those that have a turn": Bug(
        "let_in",
        {") - h.held)": "))", "OVER line + r.held": "OVER line"},
        "have a turn of key .*, limit|the next jobs",
    ),
    "the line is served by age alone": Bug(
        "let_in",
        {"ORDER BY s.rank, s.job LIMIT r.n": "ORDER BY s.job LIMIT r.n"},
        "came before job|the next jobs",
    ),
    "a lane of those in line is truncated unseen": Bug(
        "sweep",
        {
            "DELETE FROM %1$s RETURNING": (
                "DELETE FROM %1$s WHERE ''%1$s'' NOT LIKE ''%%blocked%%'' RETURNING"
            )
        },
        "must be in \\('in line'.*is in \\[\\]",
    ),
    "a lane of those who have a turn is truncated unseen": Bug(
        "sweep",
        {
            "DELETE FROM %1$s RETURNING": (
                "DELETE FROM %1$s WHERE ''%1$s'' NOT LIKE ''%%holder%%'' RETURNING"
            )
        },
        TURNS,
    ),
    "a cancel leaves the job in its line": Bug(
        "cancel",
        {
            "DELETE FROM wsup.blocked b USING wanted q\n           WHERE": (
                "SELECT b.job, b.attempt FROM wsup.blocked b, wanted q\n           WHERE"
            ),
            "b.job = q.id\n          RETURNING b.job, b.attempt": "b.job = q.id",
        },
        "must be in \\('cancelled'.*'in line'",
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
