SELECT pg_catalog.clock_timestamp(), name, cron, timezone, every, catch_up, revision, paused,
       next_tick
  FROM wsup.schedule
 WHERE app = %s
 ORDER BY name
