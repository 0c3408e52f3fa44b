SELECT NOT EXISTS (SELECT FROM pgboss.job WHERE state IN ('created', 'retry', 'active')
                      AND name NOT LIKE '\_\_pgboss\_\_%') AS settled
