SELECT app, name, task, queue, cron, timezone, every, catch_up, paused, next_tick, last_tick
  FROM wsup.schedule
 ORDER BY app, name
