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
    #: Jobs that are to be cancelled.
    asked: set[int] = field(default_factory=set)
    #: Jobs that loose ends are about: children, and parents that have ended.
    loose: set[int] = field(default_factory=set)
    #: What can't be right in itself.
    oddities: list[str] = field(default_factory=list)


LOOK = """
SELECT 'request', id, 0, 0, 0, NULL FROM wsup.job
UNION ALL SELECT 'asked', job, 0, 0, 0, NULL FROM wsup.cancel_request
UNION ALL
SELECT 'ready', r.job, 0, 0, r.attempt,
       CASE WHEN j.id IS NULL THEN 'ready without a request'
            WHEN (r.queue, r.rank) <> (j.queue, -1 - j.priority) THEN 'queue or rank is wrong' END
  FROM wsup.ready r LEFT JOIN wsup.job j ON j.id = r.job WHERE r.job > 0
UNION ALL SELECT 'mark', job, 0, 0, 0, key FROM wsup.ready WHERE job < 0
UNION ALL SELECT 'turn', job, 0, 0, 0, key FROM wsup.key_holder
UNION ALL
SELECT 'in line', b.job, 0, 0, b.attempt,
       CASE WHEN j.id IS NULL THEN 'in line without a request'
            WHEN (b.key, b.queue, b.rank) <> (j.key, j.queue, -1 - j.priority)
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
    for kind, job, supervisor, claim, attempt, text in observer.execute(LOOK):
        if kind == "turn":
            found.turns.add((text, job))
            continue
        if kind == "mark":
            found.marks.add(text)
            continue
        if text:
            found.oddities.append(f"job {job}, claim {claim}: {text}")
        if kind == "request":
            found.requests.add(job)
        elif kind == "asked":
            found.asked.add(job)
        elif kind == "loose":
            found.loose.add(job)
        elif kind in ("lost", "failure"):
            found.failures[job, attempt, kind == "lost"] += 1
        elif kind != "odd":
            found.places.setdefault(job, []).append((kind, supervisor, claim, attempt))
    return found
