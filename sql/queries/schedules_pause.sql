-- A schedule that goes on does so with the next tick from then: the others were not missed.
UPDATE wsup.schedule s
   SET paused = %(pause)s, next_tick = NULL
 WHERE s.name = %(name)s AND s.app = %(app)s AND s.paused <> %(pause)s
RETURNING pg_catalog.pg_notify('wsup', 'schedules')
