"""The server: it pulls and commits for many supervisors at once, over HTTP."""
