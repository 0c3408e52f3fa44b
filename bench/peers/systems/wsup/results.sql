SELECT result FROM wsup.outcome
