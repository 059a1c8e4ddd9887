"""The idx parser: round trips, truncated and malformed content, damaged gzip files."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gtn_core.errors import DataError
from gtn_sl.data.idx import parse_idx, parse_idx_gz

ARRAYS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=6))


def encode(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


SMALL = encode(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@given(ARRAYS)
def test_round_trip_preserves_array(array: NDArray[np.uint8]) -> None:
    for parsed in (parse_idx(encode(array), "x"), parse_idx_gz(gzip.compress(encode(array), 1), "x")):
        assert parsed.dtype == np.uint8
        assert parsed.flags.writeable
        np.testing.assert_array_equal(parsed, array, strict=True)


@given(ARRAYS, st.data())
def test_truncated_and_overlong_content_is_rejected(array: NDArray[np.uint8], data: st.DataObject) -> None:
    content = encode(array)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DataError, match="x"):
        parse_idx(content[:cut], "x")
    with pytest.raises(DataError, match=f"expected {len(content)} bytes .* found {len(content) + 1}"):
        parse_idx(content + b"\0", "x")


@given(st.binary(max_size=80))
def test_arbitrary_bytes_parse_exactly_or_raise_data_error(content: bytes) -> None:
    for candidate in (content, b"\0\0\x08" + content):
        try:
            parsed = parse_idx(candidate, "x")
        except DataError:
            continue
        assert encode(parsed) == candidate


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected it to start with 0000, found nothing"),
        (b"PNG\x08" + SMALL[4:], "found 504e4708"),
        (b"\0\0\x0d\x03" + SMALL[4:], "found type 13 and 3 dimensions"),
        (b"\0\0\x08\0" + SMALL[4:], "found type 8 and 0 dimensions"),
        (b"\0\0\x08\xff" + SMALL[4:], "found type 8 and 255 dimensions"),
        (SMALL[:9], "expected a header of 16 bytes, found 9"),
        (SMALL[:-5], r"expected 40 bytes for \(2, 3, 4\), found 35"),
        (b"\0\0\x08\x02" + struct.pack(">2I", 0, 2**32 - 1), r"found \(0, 4294967295\)"),
    ],
)
def test_error_names_file_and_defect(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"^some/file.* {message}"):
        parse_idx(content, "some/file")


@pytest.mark.parametrize(
    "content",
    [gzip.compress(SMALL)[:-12], gzip.compress(SMALL)[:-4], b"not gzip at all", gzip.compress(SMALL) + b"tail"],
    ids=["cut in the data", "cut in the trailer", "garbage", "trailing garbage"],
)
def test_incomplete_gzip_file_is_rejected(content: bytes) -> None:
    with pytest.raises(DataError, match=rf"^a\.gz is not a complete gzip file \({len(content)} bytes\)"):
        parse_idx_gz(content, "a.gz")


def test_flipped_byte_in_gzip_stream_is_rejected() -> None:
    content = bytearray(gzip.compress(bytes(SMALL)))
    content[15] ^= 0xFF
    with pytest.raises(DataError, match="not a complete gzip file"):
        parse_idx_gz(bytes(content), "a.gz")
