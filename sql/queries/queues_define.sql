SELECT name, change
  FROM wsup.define_queues(
       %(app)s::text, %(names)s::text[], %(fairs)s::boolean[], %(ageings)s::double precision[])
