SELECT kind, name, change
  FROM wsup.define_limits(%(app)s::text, %(kinds)s::text[], %(names)s::text[], %(said)s::text[])
