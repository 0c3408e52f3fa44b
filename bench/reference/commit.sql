-- Settles results of one claim: $1 claim, $2 jobs, $3 attempts, $4 states, $5 results.
--
-- A result is accepted iff its (job, attempt) is in the claim. FOR UPDATE reads the claim's newest
-- version and holds it until COMMIT, so nobody else can settle the same pair. What is left of the
-- claim is an UPDATE, never DELETE and INSERT: whoever waits for the row must find it again.
-- A batch that equals its claim, the usual case, is checked by comparing arrays; any other by pair.
WITH held AS MATERIALIZED (
    SELECT
        claim.id,
        claim.jobs,
        claim.attempts,
        claim.jobs = $2::bigint[] AND claim.attempts = $3::smallint[] AS whole
    FROM reference.claim
    WHERE claim.id = $1::bigint
    FOR UPDATE
),
accepted AS (
    INSERT INTO reference.outcome (job, state, attempt, finished_at, result)
    SELECT given.job, given.state, given.attempt, now(), given.result
    FROM held,
        unnest($2::bigint[], $3::smallint[], $4::smallint[], $5::json[])
            AS given (job, attempt, state, result)
    WHERE held.whole OR (given.job, given.attempt) IN (
        SELECT pair.job, pair.attempt
        FROM held, unnest(held.jobs, held.attempts) AS pair (job, attempt)
    )
    RETURNING outcome.job
),
rest AS MATERIALIZED (
    SELECT
        held.id,
        array_agg(pair.job ORDER BY pair.place) AS jobs,
        array_agg(pair.attempt ORDER BY pair.place) AS attempts
    FROM held,
        unnest(held.jobs, held.attempts) WITH ORDINALITY AS pair (job, attempt, place)
    WHERE NOT held.whole AND (pair.job, pair.attempt) NOT IN (
        SELECT given.job, given.attempt
        FROM unnest($2::bigint[], $3::smallint[]) AS given (job, attempt)
    )
    GROUP BY held.id
),
shrunk AS (
    UPDATE reference.claim
    SET jobs = rest.jobs, attempts = rest.attempts
    FROM rest
    WHERE claim.id = rest.id
),
emptied AS (
    DELETE FROM reference.claim
    USING held
    WHERE claim.id = held.id AND NOT EXISTS (SELECT FROM rest)
)
SELECT count(*) FROM accepted;
