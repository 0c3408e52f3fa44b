"""Large bodies are compressed; small ones would cost more than they save."""

import zlib

#: Bytes from which on it pays.
WORTH_BYTES = 16 * 1024
#: Bytes from which on it takes some milliseconds, in which a server has better to do.
LONG_BYTES = 1 << 20
#: zlib's quickest: JSON shrinks to a fifth all the same.
LEVEL = 1
#: zlib's own window with a gzip header, as HTTP names it.
_GZIP = 16 + zlib.MAX_WBITS


class TooLarge(Exception):
    """The body is larger than it may be."""


def packed(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, wbits=_GZIP)
    return packer.compress(body) + packer.flush()


def unpacked(body: bytes, most: int) -> bytes:
    """Raises TooLarge above `most` bytes, before there are more; zlib.error."""
    unpacker = zlib.decompressobj(wbits=_GZIP)
    data = unpacker.decompress(body, most + 1)
    if len(data) > most:
        raise TooLarge
    if not unpacker.eof:
        raise zlib.error("it ends too early")
    return data
