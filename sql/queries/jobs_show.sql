-- All that is known of one job, but for its failures. `held` is the claim that it stands in; of the
-- jobs that it waits for, and that wait for it, there may be many: each list ends after 100.
SELECT j.id, wsup.status(j.id) AS state, j.task, j.queue, j.priority,
       j.args::text AS args, j.options::text AS options, j.enqueued_at, j.run_at,
       j.key, line.key_limit, gate.gate AS "limit",
       coalesce(line.turns_held_by, gate.turns_held_by) AS turns_held_by,
       coalesce(line.jobs_before, gate.jobs_before) AS jobs_before, gate.next_start_in,
       w.due_at, coalesce(w.attempt, line.attempt, gate.attempt) AS next_attempt,
       held.claimed_at, held.supervisor AS held_by, held.host AS held_on,
       o.finished_at, o.attempt, o.seconds, o.supervisor,
       CASE WHEN o.subworker OPERATOR(pg_catalog.>=) 0 THEN o.subworker END AS subworker,
       o.result::text AS result, o.reason,
       CASE WHEN j.after IS NOT NULL THEN j.after[:100] END AS parents,
       (SELECT pg_catalog.array_agg(d.parent) FROM (
            SELECT d.parent FROM wsup.dependency d WHERE d.child = j.id
             ORDER BY d.parent LIMIT 100) d) AS waits_for,
       (SELECT pg_catalog.array_agg(d.child) FROM (
            SELECT d.child FROM wsup.dependency d WHERE d.parent = j.id
             ORDER BY d.child LIMIT 100) d) AS awaited_by,
       pr.fraction AS progress, pr.message AS progress_message, pr.attempt AS progress_attempt
  FROM wsup.job j
  LEFT JOIN wsup.waiting w ON w.job = j.id
  LEFT JOIN wsup.outcome o ON o.job = j.id
  LEFT JOIN wsup.progress pr ON pr.job = j.id
  LEFT JOIN LATERAL (
        SELECT c.claimed_at, c.supervisor, s.host
          FROM wsup.claim c LEFT JOIN wsup.supervisor s ON s.id = c.supervisor
         WHERE c.jobs OPERATOR(pg_catalog.@>) j.id LIMIT 1) held ON true
  LEFT JOIN LATERAL wsup.in_line(j.id) line ON true
  LEFT JOIN LATERAL wsup.at_gate(j.id) gate ON true
 WHERE j.id = %(job)s
