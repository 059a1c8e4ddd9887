"""The idx format of MNIST: a magic number, big-endian dimensions, then unsigned bytes.

Format: http://yann.lecun.com/exdb/mnist/ - bytes 0 and 1 are zero, byte 2 is the element type (8: unsigned byte, the
only one read here), byte 3 the number of dimensions, then one 32-bit integer per dimension.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from gtn_core.errors import DataError

UNSIGNED_BYTE = 8
MAX_DIMENSIONS = 4


def parse_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """Returns the array in an uncompressed idx file, as a writable copy.

    Args:
        content: The whole file.
        name: Name of the file, for error messages.

    Raises:
        DataError: The magic number, the dimensions or the length is wrong.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(
            f"{name} is not an idx file: expected it to start with 0000, found {content[:4].hex() or 'nothing'}"
        )
    kind, ndim = content[2], content[3]
    if kind != UNSIGNED_BYTE or not 1 <= ndim <= MAX_DIMENSIONS:
        raise DataError(
            f"{name} is not an idx file of unsigned bytes: expected type 8 and 1 to {MAX_DIMENSIONS} dimensions, "
            f"found type {kind} and {ndim} dimensions"
        )
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DataError(f"{name} is truncated: expected a header of {start} bytes, found {len(content)} bytes")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    if 0 in shape:
        raise DataError(f"{name} holds no elements: expected dimensions of at least 1, found {shape}")
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise DataError(f"{name} has the wrong length: expected {expected} bytes for {shape}, found {len(content)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def parse_idx_gz(content: bytes, name: str) -> NDArray[np.uint8]:
    """Returns the array in a gzipped idx file; arguments as for ``parse_idx``.

    Raises:
        DataError: The compressed stream is truncated or corrupt, or ``parse_idx`` rejects its content.
    """
    try:
        plain = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} is not a complete gzip file ({len(content)} bytes): {error}") from error
    return parse_idx(plain, name)
