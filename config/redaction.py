"""Connection strings without their passwords, for messages, logs and statuses."""

import re

# Greedy, and blind to what a string means: one that libpq can't read must not leak either, and
# hiding too much does no harm. In a URI: from the first colon to the last @.
_IN_URI = re.compile(r":(?!//).*@", re.DOTALL)
_IN_PAIRS = re.compile(
    r"(?i)((?:\w*password|\w*secret|scram_\w+_key)\s*=\s*)"
    r"('(?:[^'\\]|\\.)*'|'.*|(?:[^\s&\\]|\\.)+)",
    re.DOTALL,
)
HIDDEN = "***"


def redacted(dsn: str) -> str:
    """`dsn` (a URI or key=value pairs, even malformed) with its passwords replaced by ***."""
    return _IN_PAIRS.sub(rf"\1{HIDDEN}", _IN_URI.sub(f":{HIDDEN}@", dsn))
