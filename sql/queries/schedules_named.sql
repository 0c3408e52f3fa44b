SELECT app FROM wsup.schedule
 WHERE name = %(name)s AND app = coalesce(%(app)s::text, app)
 ORDER BY app
