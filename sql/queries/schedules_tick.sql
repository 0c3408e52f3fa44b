SELECT name
  FROM wsup.tick(
       %(app)s::text, %(now)s::timestamptz, %(names)s::text[], %(revisions)s::integer[],
       %(seen)s::timestamptz[], %(nexts)s::timestamptz[], %(schedules)s::integer[],
       %(ticks)s::timestamptz[]) AS moved(name)
