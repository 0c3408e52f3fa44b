"""The benchmark harness, its peers and its frozen reference."""
