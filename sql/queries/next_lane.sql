SELECT pg_catalog.nextval('wsup.lane_turn'::pg_catalog.regclass)
