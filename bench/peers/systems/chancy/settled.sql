SELECT NOT EXISTS (SELECT FROM chancy_jobs WHERE state IN ('pending', 'running', 'retrying'))
