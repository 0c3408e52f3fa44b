SELECT pruned, reached, more
  FROM wsup.prune(%(supervisor)s::integer, %(after)s::bigint, %(states)s::wsup.outcome_state[],
                  %(keep)s::double precision, %(most)s::integer)
