DELETE FROM wsup.sleeper WHERE supervisor = %s
