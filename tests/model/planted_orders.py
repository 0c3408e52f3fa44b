"""Bugs to be planted, as in `planted`, in what decides when a job becomes ready."""

from planted import NEVER, Bug

NO_TURN = "have no turn of|have a turn of|was let in without a turn"
KEPT = r"have a turn, and don't run|has a turn of .*, and is"
MANY = "too many were let in"

#: Those of limits.
LIMIT_BUGS = {
    "a job that has ended keeps its turn": Bug(
        "free_turns", {"E'\\0052' || j.queue, E'\\0053' || j.task": "NULL"}, KEPT
    ),
    "who has a turn isn't counted": Bug(
        "serve", {"l.max_running - count(*)": "l.max_running - 0 * count(*)"}, NO_TURN
    ),
    "who was let in at once gets no turn": Bug(
        "serve",
        {"WHERE l.max_running IS NOT NULL\n": "WHERE l.rate IS NOT NULL\n"},
        NO_TURN,
    ),
    "a start costs no token": Bug("serve", {"new.tokens := new.tokens - came;": ""}, MANY),
    "more than the burst is saved up": Bug(
        "serve",
        {"new.tokens := least(l.burst, coalesce(": "new.tokens := least(1000, coalesce("},
        MANY,
    ),
    "no clock is set for the next token": Bug(
        "serve",
        {
            "set_timer(serve.gate, old.timer, due)": "set_timer(serve.gate, old.timer, NULL)",
        },
        NEVER,
    ),
    "a timer rings and nobody hears it": Bug(
        "ring_gates", {"PERFORM wsup.mark_gates(gates, NULL, NULL);": ""}, NEVER
    ),
    "a changed limit leaves no mark": Bug(
        "limit_changed",
        {"PERFORM wsup.mark_gates(ARRAY[limit_changed.gate], NULL, NULL);": ""},
        f"{NEVER}|{KEPT}",
    ),
    "an operator who ends a turn leaves no mark": Bug(
        "serve_gates", {"PERFORM wsup.mark_gates(gates, NULL, NULL);": ""}, NEVER
    ),
    "a gate that another one has in hand is not marked": Bug(
        "try_gate", {"PERFORM wsup.mark_gates(ARRAY[gate], ARRAY[rank], ARRAY[job]);": ""}, NEVER
    ),
    "who has joined before the first known place is passed over": Bug(
        "serve",
        {"new.low_rank := serve.rank;": "", "new.low_job := serve.job;": ""},
        f"{NEVER}|these jobs never end|came before job",
    ),
    "after its queue's gate a job passes its task's unseen": Bug(
        "go_on",
        {
            "WHEN E'\\0053' || j.task = ANY (open)": (
                "WHEN passed = '' AND E'\\0053' || j.task = ANY (open)"
            ),
        },
        NO_TURN,
    ),
    "a limit that is new lets what is ready be": Bug(
        "limit_changed",
        {"OR (was.per_host IS NULL) <> (l.per_host IS NULL)": "AND false"},
        "don't stand in line|stand .* the others",
    ),
    "a limit that is set again counts who was taken without": Bug(
        "serve", {"l.term IS DISTINCT FROM new.term": "false"}, KEPT
    ),
    "who is given back stands among all": Bug(
        "stream", {"l.per_host IS NOT NULL": "l.per_host < 0"}, "stand .* the others|jobs, per_host"
    ),
}

#: Those of fairness and ageing.
FAIR_BUGS = {
    "who is taken lets nobody in": Bug(
        "pull_by_turns", {"PERFORM wsup.hand_on(keys, turns);\n        EXIT": "EXIT"}, NEVER
    ),
    "who is let in goes before those that are there": Bug(
        "let_in",
        {"THEN nextval('wsup.job_id') ELSE": "THEN 1000000 - nextval('wsup.job_id') ELSE"},
        "came before job",
    ),
    "a cancelled job keeps its turn": Bug(
        "uproot", {"PERFORM wsup.end_turns_in_queue(ended);": ""}, KEPT
    ),
    "a turn that is ended by hand leaves no mark": Bug(
        "end_turns_in_queue", {"PERFORM wsup.mark_keys(keys);": ""}, NEVER
    ),
    "who joins a line leaves no mark": Bug(
        "line_up_by_turns", {"PERFORM wsup.mark_keys(keys);": ""}, NEVER
    ),
    "the order changes, and the lines don't": Bug(
        "arrange_queue", {"WHERE b.queue = arrange_queue.queue": "WHERE false"}, "stands in line"
    ),
    "it is forgotten that a queue was fair": Bug(
        "set_queue", {"was_fair = o.was_fair OR excluded.fair": "was_fair = excluded.fair"}, KEPT
    ),
    "the first in line is the last": Bug(
        "let_in",
        {"ORDER BY s.rank, s.job LIMIT r.n": "ORDER BY s.rank DESC, s.job DESC LIMIT r.n"},
        "came before job",
    ),
    "who stands there already doesn't age": Bug(
        "arrange_queue", {"WHEN o.ageing IS NULL THEN": "WHEN true THEN"}, "was pulled before job"
    ),
    "a priority is no time": Bug(
        "aged_rank",
        {"262144 - 4 * priority::bigint": "262144 - 0 * priority::bigint"},
        "was pulled before job|came before job",
    ),
    "who comes back is young again": Bug(
        "age", {"greatest(j.enqueued_at, j.run_at)": "wsup.model_now()"}, "was pulled before job"
    ),
}
