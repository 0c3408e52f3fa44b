SELECT NOT EXISTS (SELECT FROM oban_jobs WHERE state IN ('available', 'executing'))
