SELECT pg_catalog.current_setting('default_transaction_isolation')
