"""How throughput grows with subworkers: a model fitted to what was measured."""
