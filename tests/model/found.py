"""What is in the database, read in one snapshot."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg

#: Kind of place, supervisor and claim (0 if it isn't one), attempt.
Place = tuple[str, int, int, int]


@dataclass
class Found:
    """What is in the database, in one snapshot."""

    requests: set[int] = field(default_factory=set)
    places: dict[int, list[Place]] = field(default_factory=dict)
    #: By job, attempt, and whether it was lost with its host.
    failures: Counter[tuple[int, int, bool]] = field(default_factory=Counter)
    #: Keys, and the jobs that have a turn.
    turns: set[tuple[str, int]] = field(default_factory=set)
    #: Keys that somebody has to look at.
    marks: set[str] = field(default_factory=set)
    #: Gates that will be looked at in time.
    timers: set[str] = field(default_factory=set)
    #: By job, the line in which it stands.
    lines: dict[int, str] = field(default_factory=dict)
    #: Jobs that are ready among those of their task alone.
    apart: set[int] = field(default_factory=set)
    #: Jobs that are to be cancelled.
    asked: set[int] = field(default_factory=set)
    #: Jobs that loose ends are about: children, and parents that have ended.
    loose: set[int] = field(default_factory=set)
    #: What can't be right in itself.
    oddities: list[str] = field(default_factory=list)


LOOK = r"""
SELECT 'request', id, 0, 0, 0, NULL FROM wsup.job
UNION ALL SELECT 'asked', job, 0, 0, 0, NULL FROM wsup.cancel_request
UNION ALL
SELECT 'ready', coalesce(r.real_job, r.job), 0, 0, r.attempt,
       CASE WHEN j.id IS NULL THEN 'ready without a request'
            WHEN split_part(r.queue, E'\003', 1) <> j.queue
              OR r.rank <> -1 - j.priority AND r.rank < 100000 THEN 'queue or rank is wrong' END
  FROM wsup.ready r LEFT JOIN wsup.job j ON j.id = coalesce(r.real_job, r.job) WHERE r.job > 0
UNION ALL SELECT 'mark', job, 0, 0, 0, unnest(coalesce(keys, ARRAY[key]))
  FROM wsup.ready WHERE queue = E'\001'
UNION ALL SELECT 'timer', job, 0, 0, 0, key FROM wsup.ready WHERE queue = E'\004'
UNION ALL SELECT 'line', job, 0, 0, 0, key FROM wsup.blocked
UNION ALL
SELECT 'apart', job, 0, 0, 0, queue FROM wsup.ready WHERE queue LIKE E'%\003%' AND job > 0
UNION ALL SELECT 'turn', job, 0, 0, 0, key FROM wsup.key_holder
UNION ALL
SELECT 'in line', b.job, 0, 0, b.attempt,
       CASE WHEN j.id IS NULL THEN 'in line without a request'
            WHEN b.key <> ALL (ARRAY[coalesce(j.key, ''), concat(E'\002', j.queue, E'\002', j.key),
                                     E'\0052' || j.queue, E'\0053' || j.task])
              OR b.queue <> j.queue OR b.rank <> -1 - j.priority AND b.rank < 100000
            THEN 'key, queue or rank is wrong' END
  FROM wsup.blocked b LEFT JOIN wsup.job j ON j.id = b.job
UNION ALL SELECT 'waiting', job, 0, 0, attempt, NULL FROM wsup.waiting
UNION ALL
SELECT 'claim', n.job, c.supervisor, c.id, coalesce(
           (SELECT u.attempt FROM unnest(c.retried, c.attempts) AS u(job, attempt)
             WHERE u.job = n.job), 1), NULL
  FROM wsup.claim c, unnest(c.jobs) AS s(span),
       generate_series(lower(s.span), upper(s.span) - 1) AS n(job)
UNION ALL SELECT 'odd', 0, 0, id, 0, 'an empty claim' FROM wsup.claim WHERE isempty(jobs)
UNION ALL
SELECT 'blocked', c.job, 0, 0, c.attempt,
       CASE WHEN NOT EXISTS (SELECT FROM wsup.dependency d WHERE d.child = c.job)
            THEN 'blocked by nothing' END
  FROM wsup.child c
UNION ALL
SELECT 'odd', d.child, 0, 0, 0, 'waits for job ' || d.parent || ', and is not blocked'
  FROM wsup.dependency d WHERE NOT EXISTS (SELECT FROM wsup.child c WHERE c.job = d.child)
UNION ALL SELECT 'loose', coalesce(child, parent), 0, 0, 0, NULL FROM wsup.loose_end
UNION ALL SELECT state::text, job, 0, 0, attempt, NULL FROM wsup.outcome
UNION ALL SELECT CASE WHEN lost THEN 'lost' ELSE 'failure' END, job, 0, 0, attempt, NULL
  FROM wsup.failure
"""


def look(observer: "psycopg.Connection[Any]") -> Found:
    """One statement, so one snapshot of what is committed."""
    found = Found()
    jobs = {
        "request": found.requests, "asked": found.asked, "loose": found.loose, "apart": found.apart
    }  # fmt: skip
    names = {"mark": found.marks, "timer": found.timers}
    for kind, job, supervisor, claim, attempt, text in observer.execute(LOOK):
        if kind in jobs:
            jobs[kind].add(job)
        elif kind in names:
            names[kind].add(text)
        elif kind == "turn":
            found.turns.add((text, job))
        elif kind == "line":
            found.lines[job] = text
        elif kind in ("lost", "failure"):
            found.failures[job, attempt, kind == "lost"] += 1
        else:
            if text:
                found.oddities.append(f"job {job}, claim {claim}: {text}")
            if kind != "odd":
                found.places.setdefault(job, []).append((kind, supervisor, claim, attempt))
    return found
