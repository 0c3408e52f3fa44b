-- How many agents have given a sign of life since then.
SELECT count(*) FROM wsup.supervisor WHERE agent IS NOT NULL AND beaten_at > %s
