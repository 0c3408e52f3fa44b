-- Whatever the system's tables are: vacuumed, with fresh statistics.
VACUUM (ANALYZE);
