SELECT name, change
  FROM wsup.define_schedules(
       %(app)s::text, %(names)s::text[], %(tasks)s::text[], %(queues)s::text[],
       %(priorities)s::smallint[], %(args)s::text[], %(crons)s::text[], %(timezones)s::text[],
       %(everys)s::double precision[], %(catch_ups)s::text[])
