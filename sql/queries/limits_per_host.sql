SELECT name, per_host FROM wsup.limits WHERE streamed ORDER BY name
