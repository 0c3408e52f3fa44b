-- Large results that don't have the size that was asked for.
SELECT j.id FROM wsup.job j JOIN wsup.outcome o ON o.job = j.id
 WHERE j.task = 'large' AND o.state = 'succeeded'
   AND octet_length(o.result::text) IS DISTINCT FROM (j.args ->> 'size')::integer + 2
