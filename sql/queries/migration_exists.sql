SELECT to_regclass('wsup.migration') IS NOT NULL
