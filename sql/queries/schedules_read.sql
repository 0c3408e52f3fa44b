SELECT pg_catalog.clock_timestamp(), name, cron, timezone, every, catch_up, revision, next_tick
  FROM wsup.schedule
 WHERE app = %s AND NOT paused
 ORDER BY name
