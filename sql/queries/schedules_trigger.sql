-- One job as at a tick, now. Of the schedule itself nothing changes.
INSERT INTO wsup.job (queue, priority, task, args, options)
SELECT s.queue, s.priority, s.task, s.args,
       pg_catalog.json_build_object(
           'schedule', s.name, 'scheduled_for', pg_catalog.clock_timestamp())
  FROM wsup.schedule s
 WHERE s.name = %(name)s AND s.app = %(app)s
RETURNING id
