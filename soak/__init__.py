"""The soak: wsup at work while everything under it is killed, and the audit after it."""
