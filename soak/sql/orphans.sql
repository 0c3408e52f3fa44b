SELECT o.job FROM wsup.outcome o LEFT JOIN wsup.job j ON j.id = o.job WHERE j.id IS NULL
