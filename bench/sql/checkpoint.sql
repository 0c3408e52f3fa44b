-- … and nothing left for the disk to do.
CHECKPOINT;
