-- Every outcome: the job, and whether it succeeded at its first attempt.
SELECT job, state = 'succeeded' AND attempt = 1 FROM wsup.outcome
