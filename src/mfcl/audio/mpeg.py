"""Frames of an MP3 file: find concatenated streams, and count the frames of a stream whose header has no count."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from mfcl.core.remote import Opened

CHUNK = 1 << 20  # bytes read at once in a search
LONGEST_JUNK = 1 << 16  # bytes without a frame after which the search ends
COUNTED = (b"Xing", b"Info")  # tags of a first frame that holds the number of frames instead of audio
SIDE_INFO = {(3, False): 32, (3, True): 17, (2, False): 17, (2, True): 9, (0, False): 17, (0, True): 9}
"""(version, mono) -> bytes of side information, between a frame's header and such a tag."""
RATES = (44100, 48000, 32000)  # Hz, of MPEG version 1; half of it in version 2, a quarter in version 2.5
KILOBITS = {  # (is version 1, layer code) -> kilobits per second, by the bit rate code from 1 on
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class _Head(NamedTuple):
    version: int  # code: 3 is version 1, 2 is version 2, 0 is version 2.5
    layer: int  # code: 3 is layer I, 2 is layer II, 1 is layer III
    rate: int  # Hz
    mono: bool
    size: int  # bytes of the frame


def mpeg_streams(handle: Opened, size: int) -> list[tuple[int, int, bytes]]:
    """Return the streams of an MPEG audio file: first byte, byte after the last, bytes to put in front.

    Encoders write a first frame with the number of frames. A second such frame begins a second stream, which a decoder
    that trusts the first count would skip. A stream without a count gets one, since a decoder would estimate it from
    the first frame's size.

    Returns:
        The streams; empty if the file can be decoded as it is, or if no frame is found.
    """
    starts = sorted(_counted_frames(handle, size))
    first = _first_frame(handle, size)
    if first is None:
        return []
    if not starts or starts[0] > first:
        starts.insert(0, first)
    streams = []
    for number, (start, stop) in enumerate(zip(starts, [*starts[1:], size], strict=True)):
        counts = number > 0 or _is_counted(handle, start)
        streams.append((start, stop, b"" if counts else _counting_frame(handle, start, stop)))
    return streams if len(streams) > 1 or streams[0][2] else []


def _first_frame(handle: Opened, size: int) -> int | None:
    handle.seek(0)
    head = handle.read(10)
    place = 0
    if head[:3] == b"ID3" and len(head) == 10:
        place = 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    return next((start for start, _ in _frames(handle, place, size)), None)


def _frames(handle: Opened, place: int, stop: int) -> Iterator[tuple[int, _Head]]:
    """Yield offset and header of the frames in a byte range; after other bytes, continue at the next two frames."""
    sure = False
    while place + 4 <= stop:
        handle.seek(place)
        head = _head(handle.read(4))
        if head is not None and not sure:
            handle.seek(place + head.size)
            sure = place + head.size >= stop or _alike(_head(handle.read(4)), head)
        if head is None or not sure:
            found = _next_frame(handle, place + 1, min(stop, place + LONGEST_JUNK))
            if found is None:
                return
            place, sure = found, True
            continue
        yield place, head
        place += head.size
        handle.seek(place)
        sure = _alike(_head(handle.read(4)), head)


def _next_frame(handle: Opened, place: int, stop: int) -> int | None:
    """Return the next offset with two consecutive frames of the same version, layer and rate."""
    handle.seek(place)
    data = handle.read(max(stop - place, 0) + 4)
    at = data.find(b"\xff")
    while 0 <= at < stop - place:
        head = _head(data[at : at + 4])
        if head is not None:
            handle.seek(place + at + head.size)
            if _alike(_head(handle.read(4)), head):
                return place + at
        at = data.find(b"\xff", at + 1)
    return None


def _alike(one: _Head | None, other: _Head) -> bool:
    return one is not None and one[:3] == other[:3]


def _head(four: bytes) -> _Head | None:
    """Parse the four bytes of a frame header; None if they are no header, or do not give the frame's size."""
    if len(four) < 4 or four[0] != 0xFF or four[1] & 0xE0 != 0xE0:
        return None
    version, layer = four[1] >> 3 & 3, four[1] >> 1 & 3
    bits, hertz, padding = four[2] >> 4, four[2] >> 2 & 3, four[2] >> 1 & 1
    if version == 1 or layer == 0 or bits in (0, 15) or hertz == 3:
        return None
    rate = RATES[hertz] >> {3: 0, 2: 1, 0: 2}[version]
    bitrate = 1000 * KILOBITS[version == 3, layer][bits - 1]
    if layer == 3:
        size = (12 * bitrate // rate + padding) * 4
    else:
        size = (72 if layer == 1 and version != 3 else 144) * bitrate // rate + padding
    return _Head(version, layer, rate, four[3] >> 6 == 3, size)


def _counted_frames(handle: Opened, size: int) -> Iterator[int]:
    """Yield the offsets of frames that hold the number of frames after them."""
    keep = 3
    for first in range(0, size, CHUNK):
        handle.seek(first)
        chunk = handle.read(CHUNK + keep)
        for mark in COUNTED:
            place = chunk.find(mark)
            while place >= 0:
                for distance in sorted(set(SIDE_INFO.values())):
                    start = first + place - distance - 4
                    if start >= 0 and _is_counted(handle, start):
                        yield start
                place = chunk.find(mark, place + 1)


def _is_counted(handle: Opened, start: int) -> bool:
    handle.seek(start)
    data = handle.read(40)
    head = _head(data[:4])
    if head is None or head.layer != 1:
        return False
    distance = SIDE_INFO[head.version, head.mono]
    return not any(data[4 : 4 + distance]) and data[4 + distance : 8 + distance] in COUNTED


def _counting_frame(handle: Opened, start: int, stop: int) -> bytes:
    """Return a frame that holds the number of frames in a byte range; empty if they cannot be counted."""
    handle.seek(start)
    four = handle.read(4)
    head = _head(four)
    if head is None or head.layer != 1:
        return b""
    count = sum(1 for _ in _frames(handle, start, stop))
    distance = SIDE_INFO[head.version, head.mono]
    # the lowest bit rate whose frames have room for the count, without a checksum
    for bits in range(1, 15):
        header = bytes([0xFF, four[1] | 1, bits << 4 | four[2] & 0x0C, four[3]])
        made = _head(header)
        if made is not None and made.size >= 4 + distance + 12:
            body = header + bytes(distance) + b"Xing" + struct.pack(">II", 1, count)
            return body.ljust(made.size, b"\0")
    return b""
