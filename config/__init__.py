"""What a supervisor is told: its settings, where they come from, and which database they name."""
