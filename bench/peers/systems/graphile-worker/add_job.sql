SELECT FROM graphile_worker.add_job($1, $2::json)
