"""Inspect the bytes of an audio file before decoding: chained streams, and headers without a length."""

import io
import os
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mfcl.audio.mpeg import mpeg_streams
from mfcl.audio.riff import LARGEST, MOST_CHUNKS, uncounted
from mfcl.core.remote import Opened, RemoteFile
from mfcl.errors import MfclError

CHUNK = 1 << 20  # bytes read at once in a search
LONG_WAVS = (b"RF64", b"BW64")  # two names of one header, of which the decoder knows the first
FLAC_STARTS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
"""The marker, and the header of the STREAMINFO block of 34 bytes, which may be the only block."""
FLAC_INFO = 8  # offset of the contents of STREAMINFO
CAF_HEAD, CAF_EDITS = 8, 4  # bytes of a CAF file's header, and of the number of edits before its sound
OGG_HEAD = 27  # bytes of a page before its segment table
MOST_KNOWN = 1000  # files of which what was found is kept
OGG_FIRST = 2  # flag of the first page of a stream
VORBIS = b"\x01vorbis"  # begins the contents of the first page


@dataclass(frozen=True)
class Stream:
    """A byte range of a file that is decoded on its own.

    Attributes:
        start: Offset of the first byte.
        stop: Offset after the last byte.
        before: Bytes to insert at the beginning: a missing header.
        replaced: Offset in the file -> bytes to read there instead.
    """

    start: int
    stop: int
    before: bytes = b""
    replaced: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """Format and streams of a file.

    Attributes:
        kind: `wav`, `aiff`, `au`, `caf`, `flac`, `ogg`, `mpeg`, or an empty string for any other format.
        streams: Byte ranges to decode one after another; empty: decode the file as it is.
        notices: Problems of the file, each beginning with its kind.
        digest: MD5 of the decoded samples from a FLAC header; empty if there is none.
        sought: Last frame that the decoder finds by itself; None: any. It is not exact in the last page of Ogg Vorbis,
            as it counts back from the page's end, which is mostly cut.
    """

    kind: str
    streams: tuple[Stream, ...] = ()
    notices: tuple[str, ...] = ()
    digest: bytes = b""
    sought: int | None = None


def look_at(handle: Opened, *, ignore_length: bool = False) -> Container:
    """Find the format and streams of an open file, and rewind it.

    What is found of a long file is kept: the search reads all of some formats, and each segment opens its file anew.

    Args:
        handle: The file.
        ignore_length: Decode a FLAC file to its end and ignore the number of samples in its header.
    """
    size = handle.seek(0, os.SEEK_END)
    version = _version(handle) if size > CHUNK else None
    found = _known.get((version, ignore_length))
    if found is None:
        found = _searched(handle, size, ignore_length=ignore_length)
        if version is not None:
            if len(_known) >= MOST_KNOWN:
                _known.clear()
            _known[version, ignore_length] = found
    handle.seek(0)
    return found


def special_file(mode: int) -> str:
    """Return the kind of a path that is not a regular file, such as a pipe; an empty string for a file."""
    names = {
        stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }  # fmt: skip
    return names.get(stat.S_IFMT(mode), "" if stat.S_ISREG(mode) else "no file")


_known: dict[tuple[object, bool], Container] = {}


def _version(handle: Opened) -> object:
    """Return what is the same as long as a file and its contents are; None if that cannot be told."""
    if isinstance(handle, RemoteFile):
        return (handle.path.url, handle.facts) if handle.facts.version else None
    if not isinstance(handle, io.FileIO):
        return None
    status = os.fstat(handle.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _searched(handle: Opened, size: int, *, ignore_length: bool) -> Container:
    handle.seek(0)
    head = handle.read(64)
    if head[:4] in (b"RIFF", *LONG_WAVS) and head[8:12] == b"WAVE":
        found = _wav(handle, head, size)
    elif head[:4] == b".snd":
        found = _au(head, size)
    elif head[:4] == b"caff":
        found = _caf(handle, size)
    elif head[:4] == b"fLaC":
        found = _flac(handle, head, size, ignore_length=ignore_length)
    elif head[:4] == b"OggS":
        found = _ogg(handle, size)
    elif head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        found = Container("mpeg", tuple(Stream(*one) for one in mpeg_streams(handle, size)))
    else:
        found = Container("aiff" if head[:4] == b"FORM" else "")
    return found


class Window:
    """A stream as a file object, for a decoder that needs only `read`, `seek` and `tell`.

    Attributes:
        error: What went wrong in a read. A decoder in C cannot pass it on and would take it for the end of the file, so
            whoever decodes must look here.
    """

    def __init__(self, handle: Opened, stream: Stream) -> None:
        self.handle = handle
        self.stream = stream
        self.place = 0
        self.error: Exception | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position, as for any file object."""
        length = len(self.stream.before) + self.stream.stop - self.stream.start
        self.place = max(offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: length}[whence], 0)
        return self.place

    def tell(self) -> int:
        """Return the position."""
        return self.place

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes from the position on; none after an error."""
        if self.error is not None:
            return b""
        try:
            return self._bytes(count)
        except (OSError, MfclError) as error:
            self.error = error
            return b""

    def _bytes(self, count: int) -> bytes:
        before = self.stream.before[self.place : self.place + count]
        first = self.stream.start + self.place + len(before) - len(self.stream.before)
        self.handle.seek(max(first, self.stream.start))
        read = bytearray(self.handle.read(max(min(count - len(before), self.stream.stop - first), 0)))
        for place, other in self.stream.replaced.items():
            for offset, value in enumerate(other, start=place - first):
                if 0 <= offset < len(read):
                    read[offset] = value
        self.place += len(before) + len(read)
        return before + bytes(read)


def _wav(handle: Opened, head: bytes, size: int) -> Container:
    """Read sound to its end that the header does not count: the recorder was interrupted, or it is more than 4 GiB."""
    mpeg = head[12:16] == b"fmt " and head[20:22] == b"\x55\x00"
    found = uncounted(handle, size)
    if found is None or (mpeg and found.stated):
        renamed = (Stream(0, size, replaced={0: b"RF64"}),) if head[:4] == b"BW64" else ()
        return Container("mpeg" if mpeg else "wav", renamed)
    if found.form and (found.long or found.there > LARGEST):
        stream = Stream(found.place, found.place + found.there, before=found.header())
    else:
        stream = Stream(0, size, replaced={found.place - 4: struct.pack("<I", min(found.there, LARGEST))})
    return _unfinished("wav", found.stated, found.there, stream) if found.said else Container("wav", (stream,))


def _au(head: bytes, size: int) -> Container:
    first, length = struct.unpack(">II", head[4:12].ljust(8, b"\0"))
    if length == 0 and size > first >= 24:
        return _unfinished("au", 0, size - first, Stream(0, size, replaced={8: b"\xff\xff\xff\xff"}))
    return Container("au")


def _caf(handle: Opened, size: int) -> Container:
    """Give the data chunk its length, of which -1 means that it is the rest of the file."""
    place = CAF_HEAD
    for _ in range(MOST_CHUNKS):
        handle.seek(place)
        chunk = handle.read(12)
        if len(chunk) < 12:
            break
        name, length = struct.unpack(">4sq", chunk)
        place += 12
        if name == b"data":
            there = size - place
            if not -1 <= length <= CAF_EDITS < there:
                break
            stream = Stream(0, size, replaced={place - 8: struct.pack(">q", there)})
            if length == -1:
                return Container("caf", (stream,))
            return _unfinished("caf", 0, there - CAF_EDITS, stream)
        if length < 0:
            break
        place += length
    return Container("caf")


def _unfinished(kind: str, stated: int, there: int, stream: Stream) -> Container:
    return Container(kind, (stream,), (f"unfinished: header says {stated} of {there} bytes",))


def _flac(handle: Opened, head: bytes, size: int, *, ignore_length: bool) -> Container:
    starts = sorted(_found(handle, FLAC_STARTS, size))
    if len(starts) > 1:
        stops = [*starts[1:], size]
        return Container("flac", tuple(Stream(start, stop) for start, stop in zip(starts, stops, strict=True)))
    digest = head[FLAC_INFO + 18 : FLAC_INFO + 34]
    digest = digest if any(digest) else b""
    if not ignore_length:
        return Container("flac", digest=digest)
    place = FLAC_INFO + 13  # the last 36 of these 64 bits are the number of samples; 0: unknown
    repaired = {place: bytes([head[place] & 0xF0, 0, 0, 0, 0])}
    return Container("flac", (Stream(0, size, replaced=repaired),), digest=digest)


def _found(handle: Opened, wanted: Sequence[bytes], size: int) -> Iterator[int]:
    """Yield the offsets at which one of some texts of equal length occurs in a file."""
    keep = len(wanted[0]) - 1
    for first in range(0, size, CHUNK):
        handle.seek(first)
        chunk = handle.read(CHUNK + keep)
        for one in wanted:
            place = chunk.find(one)
            while place >= 0:
                yield first + place
                place = chunk.find(one, place + 1)


def _ogg(handle: Opened, size: int) -> Container:
    """Find chained streams: a first page of a stream that follows other pages begins another recording."""
    starts, place, begins, vorbis = [0], 0, True, False
    ends = [0, 0]  # frames by the end of the last page but one, and of the last
    while place + OGG_HEAD <= size:
        handle.seek(place)
        head = handle.read(OGG_HEAD + 255)
        if head[:4] != b"OggS":
            break
        segments, frames = head[26], int.from_bytes(head[6:14], "little", signed=True)
        vorbis = vorbis or head[OGG_HEAD + segments :].startswith(VORBIS)
        ends = [ends[1], frames] if frames >= 0 else ends  # -1: no packet ends on the page
        first = bool(head[5] & OGG_FIRST)
        if first and not begins:
            starts.append(place)
        begins = first
        place += OGG_HEAD + segments + sum(head[OGG_HEAD : OGG_HEAD + segments])
    handle.seek(place)
    rest = handle.read(OGG_HEAD) if place < size < place + OGG_HEAD else b""
    inside = place > size or (rest and b"OggS".startswith(rest[:4]))
    cut = ("cut short: the file ends inside a page",) if inside else ()
    if len(starts) == 1:
        return Container("ogg", notices=cut, sought=max(ends[0] - 1, 0) if vorbis else None)
    stops = [*starts[1:], size]
    return Container("ogg", tuple(Stream(start, stop) for start, stop in zip(starts, stops, strict=True)), cut)
