-- What unique jobs have returned.
SELECT j.id, (o.result::text)::bigint FROM wsup.job j JOIN wsup.outcome o ON o.job = j.id
 WHERE j.task = 'unique' AND o.state = 'succeeded'
