"""Chunks of a WAV file: sound that its header does not count, and a header that counts it."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from mfcl.core.remote import Opened

MOST_CHUNKS = 1000  # chunks that are read at most
DS64 = 28  # bytes of the chunk with lengths of 64 bits, at least
MOST_FORMAT = 1 << 10  # bytes of a format chunk
LARGEST = 0xFFFFFFFF  # a length in the header has 32 bits
STREAMED = 0x7FFFF000  # bytes; programs that do not know the length write a data size from here on
LOOKED_AT = 1 << 12  # bytes; where the first and the last ones are zeros, all are taken for zeros
MOST_BEHIND = 1 << 16  # bytes behind the sound that may be anything, as may those of a second
TAGS = (b"ID3", b"TAG", b"APETAGEX")  # of titles and pictures, which some programs put behind the chunks


class Uncounted(NamedTuple):
    """Sound of a WAV file that its header does not count."""

    stated: int
    """Bytes of sound by the header."""
    there: int
    """Bytes of sound in the file."""
    place: int
    """Offset of the first of them."""
    form: bytes
    """Contents of the format chunk."""
    long: bool = False
    """Whether the header has lengths of 64 bits already."""

    @property
    def said(self) -> bool:
        """Whether the header is wrong; a program that does not know the length has not said any."""
        return self.stated < STREAMED

    def header(self) -> bytes:
        """Return an RF64 header, whose length has 64 bits, to put in front of the sound."""
        form = self.form + bytes(len(self.form) % 2)
        sizes = struct.pack("<QQQI", self.there + len(form) + 64, self.there, 0, 0)
        return b"".join(
            [
                b"RF64", struct.pack("<I", LARGEST), b"WAVE", b"ds64", struct.pack("<I", len(sizes)), sizes,
                b"fmt ", struct.pack("<I", len(form)), form, b"data", struct.pack("<I", LARGEST),
            ]
        )  # fmt: skip


def uncounted(handle: Opened, size: int) -> Uncounted | None:
    """Return what a WAV file's header does not count; None if it counts all sound.

    A recorder that was interrupted leaves a length of 0, or one of some time before. Of more than 4 GiB a program that
    does not care writes the last 32 bits of the length. Bytes behind the sound that are chunks, tags or zeros are no
    sound, nor are 64 KiB or those of a second.

    Args:
        handle: The file.
        size: Its bytes.
    """
    form, counted = b"", None
    for name, place, length in chunks(handle, 12, size):
        handle.seek(place)
        if name == b"ds64" and length >= DS64:
            counted = struct.unpack("<QQ", handle.read(16))[1]
        if name == b"fmt " and length <= MOST_FORMAT:
            form = handle.read(length)
        if name == b"data":
            stated = length if counted is None or length < LARGEST else counted
            there = _there(handle, place, stated, size, _a_second(form))
            return Uncounted(stated, there, place, form, counted is not None) if there > stated else None
    return None


def chunks(handle: Opened, place: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield consecutive RIFF chunks from an offset on: name, offset of the contents, length of the contents."""
    for _ in range(MOST_CHUNKS):
        handle.seek(place)
        head = handle.read(8)
        if place + 8 > size or not all(32 <= letter < 127 for letter in head[:4]):
            return
        name, length = struct.unpack("<4sI", head)
        yield name, place + 8, length
        place += 8 + length + length % 2


def _there(handle: Opened, place: int, length: int, size: int, second: int) -> int:
    """Return how many bytes of sound there are from an offset on, of which the header counts `length`."""
    if length == 0:
        return 0 if _chunks_until_end(handle, place, size) else size - place
    left_out = (size - place - length) & ~LARGEST  # whole multiples of 4 GiB
    end = place + length + left_out
    if left_out > 0 and (size <= end + 1 or _chunks_until_end(handle, end + length % 2, size)):
        return length + left_out
    behind = place + length
    if not second or size - behind <= max(second, MOST_BEHIND if length < STREAMED else 0):
        return length
    return size - place if all(_is_sound(handle, behind + odd, size) for odd in {0, length % 2}) else length


def _is_sound(handle: Opened, place: int, size: int) -> bool:
    """Return whether the bytes from an offset on, where a chunk would begin, are none, and no tag and no zeros."""
    handle.seek(place)
    head = handle.read(LOOKED_AT)
    handle.seek(max(size - LOOKED_AT, place))
    sounds = any(head) or any(handle.read(LOOKED_AT))
    return sounds and not head.startswith(TAGS) and next(chunks(handle, place, size), None) is None


def _chunks_until_end(handle: Opened, place: int, size: int) -> bool:
    """Return whether the bytes from an offset to the end of the file are complete chunks."""
    end = place
    for _, begin, length in chunks(handle, place, size):
        end = begin + length
    return place < end <= size <= end + 1


def _a_second(form: bytes) -> int:
    """Return the bytes of a second of sound by a format chunk; 0 if it does not tell."""
    return int(struct.unpack("<I", form[8:12])[0]) if len(form) >= 16 else 0
