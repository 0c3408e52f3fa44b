"""`wsup demo`: a real job for every source file of the standard library. It starts in run.py."""
