"""Reloads during a run at full speed: what they cost, and that no job is lost or repeated."""
