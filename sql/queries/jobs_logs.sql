-- What a job has logged after a piece, by which the next look goes on.
SELECT attempt, at, source, level, line, claim, piece
  FROM wsup.logs(%(job)s::bigint, %(attempt)s::integer, %(claim)s::bigint, %(piece)s::bigint)
