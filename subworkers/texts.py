"""Texts out of user code, made fit to be stored."""


def storable(text: str) -> str:
    """`text` as PostgreSQL can hold it: NULs and lone surrogates as they would be escaped."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def shortened(text: str, most: int) -> str:
    """At most `most` characters of a text, and how many were cut off."""
    if len(text) <= most:
        return text
    return f"{text[:most]} [… {len(text) - most} characters left out]"
