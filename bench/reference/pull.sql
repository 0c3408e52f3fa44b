SELECT pull.claim, pull.job, pull.attempt, pull.task, pull.args
FROM reference.pull($1::int, $2::text[], $3::int) AS pull;
