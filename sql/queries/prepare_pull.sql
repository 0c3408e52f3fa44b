PREPARE pull (integer, text[], integer, boolean) AS
SELECT claim, job, attempt, task, queue, args, options FROM wsup.pull($1, $2, $3, $4)
