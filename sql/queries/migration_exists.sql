SELECT pg_catalog.to_regclass('wsup.migration'::pg_catalog.text) IS NOT NULL
