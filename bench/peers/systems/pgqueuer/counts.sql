SELECT (SELECT count(DISTINCT job_id) FROM pgqueuer_log WHERE status = 'successful'),
       (SELECT count(*) FROM pgqueuer_log
         WHERE status IN ('exception', 'failed', 'canceled', 'deleted')),
       (SELECT count(*) FROM pgqueuer)
