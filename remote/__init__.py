"""The way to a server that has the jobs: what is said to it, and how."""
