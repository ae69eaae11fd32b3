"""What a file's bytes say: several streams in one file, headers that were never finished, checksums, cut ends."""

import hashlib
import io
import os
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile

from mfcl.audio import containers, open_audio, read_audio
from mfcl.audio.containers import look_at
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.scanning import scan
from tests.sounds import tone


def write(path, wave, rate=16000, **options):
    soundfile.write(path, wave, rate, **options)
    return path


def scanned(path, **part):
    return scan(Manifest((Recording("it", path, **part),), path.parent), progress=False).entries[0]


def noise(seconds, seed=0, rate=16000):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


CODINGS = [("mp3", {}), ("ogg", {}), ("opus", {"format": "OGG", "subtype": "OPUS"}), ("flac", {})]


@pytest.mark.parametrize(("suffix", "options"), CODINGS)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_files_put_one_behind_the_other_are_read_to_the_end_of_the_last(tmp_path, suffix, options, rate):
    one = write(tmp_path / f"one.{suffix}", tone(1.0, 300, rate), rate, **options)
    two = write(tmp_path / f"two.{suffix}", tone(2.0, 600, rate), rate, **options)
    both = tmp_path / f"both.{suffix}"
    both.write_bytes(one.read_bytes() + two.read_bytes() + one.read_bytes())
    samples, _ = read_audio(both)
    alone = [read_audio(path)[0] for path in (one, two, one)]
    np.testing.assert_allclose(samples, np.concatenate(alone), atol=1e-6)
    entry = scanned(both)
    assert entry.problems == ()
    assert entry.seconds == pytest.approx(4.0, abs=0.1)
    part, _ = read_audio(both, start=1.5, end=3.5)  # over a seam
    np.testing.assert_allclose(part, samples[int(1.5 * rate) : int(3.5 * rate)], atol=1e-6)


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac"])
def test_a_second_stream_of_another_rate_is_named(tmp_path, suffix):
    one = write(tmp_path / f"one.{suffix}", tone(1.0))
    two = write(tmp_path / f"two.{suffix}", tone(1.0, 440, 32000), 32000)
    one.write_bytes(one.read_bytes() + two.read_bytes())
    entry = scanned(one)
    assert entry.problems == ("second stream: 32000 Hz, 1 channel, behind 16000 Hz, 1 channel",)
    assert entry.usable
    assert entry.seconds == pytest.approx(1.0, abs=0.1)


def without_count(path):
    """Return an MP3's bytes without the first frame, which says how many frames there are."""
    content = path.read_bytes()
    assert b"Xing" in content[:64] or b"Info" in content[:64]
    return content[content.find(content[:2], 4) :]


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_without_a_count_of_frames_is_read_to_its_end(tmp_path, rate, channels):
    # quiet, then loud: a decoder that guesses the length from the first frames' sizes is far off
    wave = np.concatenate([1e-3 * noise(1.0, rate=rate), 5 * noise(2.0, rate=rate)])
    counted = write(tmp_path / "counted.mp3", np.stack([wave, -0.5 * wave], axis=1)[:, :channels], rate)
    plain = tmp_path / "plain.mp3"
    plain.write_bytes(without_count(counted))
    assert scanned(plain).seconds == pytest.approx(3.0, abs=0.15)
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes(b"ID3\x03\0\0\0\0\x02\x00" + bytes(256) + without_count(counted) + b"TAG" + bytes(125))
    assert scanned(tagged).seconds == pytest.approx(scanned(plain).seconds, abs=0.06)
    twice = tmp_path / "twice.mp3"
    twice.write_bytes(without_count(counted) + counted.read_bytes())
    assert scanned(twice).seconds == pytest.approx(6.0, abs=0.3)


def test_an_mp3_is_never_called_cut_short_by_an_estimated_length(tmp_path):
    path = write(tmp_path / "it.mp3", noise(3.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    entry = scanned(path)
    assert entry.problems == ()
    assert 1.5 < entry.seconds < 2.5


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1, 1)])
def test_a_flac_stream_without_notes_is_joined_like_others(tmp_path, order):
    """Encoders that write no names and tags mark the first block of a stream as its last one."""
    wave = noise(1.0)
    whole = write(tmp_path / "it.flac", wave, subtype="PCM_16").read_bytes()
    place, last = 4, False
    while not last:
        last, length = whole[place] >= 128, int.from_bytes(whole[place + 1 : place + 4], "big")
        place += 4 + length
    bare = whole[:4] + b"\x80" + whole[5:42] + whole[place:]
    (tmp_path / "both.flac").write_bytes(b"".join((whole, bare)[one] for one in order))
    samples, _ = read_audio(tmp_path / "both.flac")
    np.testing.assert_allclose(samples, np.concatenate([wave, wave]), atol=1e-4)
    assert scanned(tmp_path / "both.flac").problems == ()


@pytest.mark.parametrize("kept", [0.5, "1 byte of a page", "20 bytes of a page"])
def test_an_ogg_file_that_ends_inside_a_page_is_cut_short(tmp_path, kept):
    path = write(tmp_path / "it.ogg", noise(60.0))
    content = path.read_bytes()
    middle = len(content) // 2
    length = middle if kept == 0.5 else content.find(b"OggS", middle) + int(kept.split()[0])
    path.write_bytes(content[:length])
    assert scanned(path).problems == ("cut short: the file ends inside a page",)
    assert scanned(path).seconds > 20


def test_what_the_mp3_decoder_notes_does_not_reach_the_terminal_and_other_messages_do(tmp_path):
    path = write(tmp_path / "it.mp3", noise(3.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code = """if True:
        import os, sys, threading
        from concurrent.futures import ThreadPoolExecutor
        from pathlib import Path
        from mfcl.audio import read_audio
        from mfcl.audio.quiet import quiet_decoder
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read_audio, [Path(sys.argv[1])] * 20))
        with quiet_decoder():
            print("a line from elsewhere", file=sys.stderr)
            os.write(2, b"\\nWarning: Xing stream size off\\n")
        print("done", file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["a line from elsewhere", "done"]


def test_an_mp3_is_read_where_nobody_reads_the_messages_of_others_any_more(tmp_path):
    path = write(tmp_path / "it.mp3", tone(1.0))
    code = textwrap.dedent("""
        import os, stat, sys
        from pathlib import Path
        from mfcl.audio import judge
        from mfcl.audio.quiet import quiet_decoder
        with quiet_decoder():
            os.write(2, b"a line from elsewhere")
            found = judge(Path(sys.argv[1]))
        print(found.problems, stat.S_ISFIFO(os.fstat(2).st_mode))
    """)
    there, closed = os.pipe()
    os.close(there)
    done = subprocess.run([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=closed, timeout=60)
    assert done.stdout == b"() True\n"


def test_a_recorder_that_was_stopped_leaves_a_header_of_0_bytes_and_all_sound_is_read(tmp_path):
    wave = tone(0.5)
    for suffix, mark, size in [("wav", b"data", 4), ("au", b".snd", 8)]:
        path = write(tmp_path / f"it.{suffix}", wave, subtype="PCM_16")
        content = bytearray(path.read_bytes())
        place = content.find(mark) + size
        content[place : place + 4] = bytes(4)
        path.write_bytes(content)
        np.testing.assert_allclose(read_audio(path)[0], wave, atol=1e-4)
        entry = scanned(path)
        assert entry.problems == ("unfinished: header says 0 of 16000 bytes",)
        assert entry.usable
    assert scanned(tmp_path / "it.wav", start=0.25).seconds == 0.25


@pytest.mark.parametrize(("stated", "problems"), [(-1, ()), (0, ("unfinished: header says 0 of 16000 bytes",))])
def test_a_caf_of_unknown_length_is_read_to_its_end(tmp_path, stated, problems):
    """The format allows -1 for sound that goes on to the end of the file; a recorder that was stopped leaves 0."""
    wave = tone(0.5)
    path = write(tmp_path / "it.caf", wave, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    place = content.find(b"data") + 4
    content[place : place + 8] = struct.pack(">q", stated)
    path.write_bytes(content)
    np.testing.assert_allclose(read_audio(path)[0], wave, atol=1e-4)
    np.testing.assert_allclose(read_audio(path, start=0.25)[0], wave[4000:], atol=1e-4)
    assert scanned(path).problems == problems


def test_an_empty_wav_with_notes_behind_its_data_is_empty(tmp_path):
    path = write(tmp_path / "it.wav", np.zeros(0, dtype=np.float32))
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 10) + b"INFOabcdef")
    assert scanned(path).kinds == ("empty",)


def short_header(path, stated, behind=b""):
    """Let the header of a WAV file count so many bytes of sound; write something behind the sound."""
    content = bytearray(path.read_bytes())
    place = content.find(b"data") + 4
    content[place : place + 4] = struct.pack("<I", stated)
    path.write_bytes(content + behind)
    return path


@pytest.mark.parametrize("stated", [40000, 40001])
def test_sound_that_the_header_of_a_wav_does_not_count_is_read_and_named(tmp_path, stated):
    wave = noise(4.0)
    path = short_header(write(tmp_path / "it.wav", wave), stated)
    np.testing.assert_allclose(read_audio(path)[0], wave, atol=1e-4)
    np.testing.assert_allclose(read_audio(path, start=3.5)[0], wave[56000:], atol=1e-4)
    entry = scanned(path)
    assert entry.problems == (f"unfinished: header says {stated} of 128000 bytes",)
    assert entry.usable


@pytest.mark.parametrize(
    "behind",
    [
        b"LIST" + struct.pack("<I", 99999) + bytes(99999),  # cut short
        b"ID3\x03" + noise(2.0).tobytes(),
        b"TAG" + noise(2.0).tobytes(),
        bytes(99999),
        noise(1.0).tobytes(),  # 64,000 bytes
    ],
)
def test_what_is_no_sound_behind_the_sound_of_a_wav_is_not_read(tmp_path, behind):
    path = write(tmp_path / "it.wav", noise(1.0))
    path.write_bytes(path.read_bytes() + behind)
    assert read_audio(path)[0].size == 16000
    assert scanned(path).problems == ()


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
@pytest.mark.parametrize(("stated", "problems"), [(16000, ()), (0, ("unfinished: header says 0 of 16000 bytes",))])
def test_a_wav_with_lengths_of_64_bits_is_read_under_both_names_and_where_they_were_never_written(
    tmp_path, name, stated, problems
):
    wave = tone(0.5)
    path = write(tmp_path / "it.wav", wave, format="RF64", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    assert (content[:4], content[12:16]) == (b"RF64", b"ds64")
    content[:4], content[28:36] = name, struct.pack("<Q", stated)
    path.write_bytes(content)
    np.testing.assert_allclose(read_audio(path)[0], wave, atol=1e-4)
    np.testing.assert_allclose(read_audio(path, start=0.25)[0], wave[4000:], atol=1e-4)
    assert scanned(path).problems == problems


@pytest.mark.parametrize("behind", [b"", b"LIST\4\0\0\0INFO"])
@pytest.mark.parametrize("stated", ["the last 32 bits", "all ones"])
def test_a_wav_of_more_than_4_gib_is_read_to_its_end(tmp_path, stated, behind):
    path, samples = write(tmp_path / "it.wav", noise(0.1)), 2**31 + 32000  # of 2 bytes
    length = 2 * samples & 0xFFFFFFFF if stated == "the last 32 bits" else 0xFFFFFFFF
    content = short_header(path, length).read_bytes()[:44]
    end = (32767 * noise(1.0)).astype("<i2")
    with path.open("wb") as file:  # no more than two blocks on the disk
        file.write(content)
        file.seek(2 * samples - end.nbytes, os.SEEK_CUR)
        file.write(end.tobytes() + behind)
    begin = samples / 16000 - 1
    last, _ = read_audio(path, start=begin, end=begin + 1)
    np.testing.assert_array_equal(last, end / np.float32(32768))
    with open_audio(path) as file:
        assert file.notices == (
            [f"unfinished: header says {length} of {2 * samples} bytes"] if length < 0xFFFFFFFF else []
        )
        assert file.frames == samples + (len(behind) // 2 if length == 0xFFFFFFFF else 0)


def test_a_wav_of_nothing_but_zeros_behind_its_header_does_not_take_long_to_refuse(tmp_path):
    path = write(tmp_path / "it.wav", tone())
    looked = []

    class Counting(io.FileIO):
        def read(self, *arguments):
            looked.append(arguments)
            return super().read(*arguments)

    path.write_bytes(path.read_bytes()[:36] + bytes(1_000_000))
    with Counting(path) as file:
        look_at(file)
    assert len(looked) < 10


def with_samples(content, count):
    """Return a FLAC file whose header has another number of samples."""
    changed = bytearray(content)
    packed = int.from_bytes(changed[18:26], "big")
    changed[18:26] = (packed >> 36 << 36 | count).to_bytes(8, "big")
    return bytes(changed)


@pytest.mark.parametrize(("subtype", "channels"), [("PCM_S8", 1), ("PCM_16", 2), ("PCM_24", 3)])
def test_a_flac_is_held_to_its_checksum(tmp_path, subtype, channels):
    wave = np.stack([noise(0.5, seed) for seed in range(channels)], axis=1)
    path = write(tmp_path / "it.flac", wave, subtype=subtype)
    before = soundfile.read(path, dtype="float32", always_2d=True)[0]
    assert scanned(path).problems == ()
    samples, _ = read_audio(path)
    np.testing.assert_array_equal(samples, before.mean(axis=1, dtype=np.float32) if channels > 1 else before[:, 0])
    content = bytearray(path.read_bytes())
    content[26] ^= 1
    path.write_bytes(content)
    entry = scanned(path)
    assert entry.problems == ("checksum: the header's MD5 is not that of the samples",)
    assert entry.usable
    assert scanned(path, start=0.1).problems == ()  # a part has no checksum


def test_a_flac_whose_header_has_half_or_twice_its_samples_or_none_is_read_whole(tmp_path):
    wave = noise(1.0)
    path = write(tmp_path / "it.flac", wave)
    content = path.read_bytes()
    path.write_bytes(with_samples(content, 8000))
    assert scanned(path).problems == ("unfinished: header says 8000 of 16000 samples",)
    assert scanned(path).seconds == 1.0
    path.write_bytes(with_samples(content, 32000))
    assert scanned(path).problems == ("cut short: 1.000 of 2.000 s",)
    path.write_bytes(with_samples(content, 0))
    assert scanned(path).problems == ()
    assert scanned(path).seconds == 1.0


def test_a_digest_of_flac_bytes_is_what_the_encoder_wrote(tmp_path):
    path = write(tmp_path / "it.flac", noise(0.2), subtype="PCM_16")
    numbers = soundfile.read(path, dtype="int16")[0]
    assert hashlib.md5(numbers.astype("<i2").tobytes()).digest() == path.read_bytes()[26:42]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_what_is_no_file_is_left_out_and_named_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    for name, what in [("pipe", "a named pipe"), ("folder", "a folder"), ("device", "a device")]:
        entry = scanned(tmp_path / f"{name}.wav")
        assert entry.problems == (f"unreadable: {what}, not an audio file",)
        assert not entry.usable


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 4_000_000_000])
def test_rates_that_no_sound_has_are_left_out_and_named(tmp_path, rate):
    path = write(tmp_path / "it.wav", tone(), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[24:32] = struct.pack("<II", rate, rate * 2 % 2**32)
    path.write_bytes(content)
    (problem,) = scanned(path).problems
    assert problem.startswith("unreadable: "), problem
    assert not scanned(path).usable
    if rate < 2**31:
        assert problem == f"unreadable: wanted a sample rate of 1000 to 1000000 Hz, got {rate} Hz"


@pytest.mark.parametrize(("suffix", "options"), CODINGS)
def test_a_long_file_is_searched_once_for_all_its_segments_and_again_when_it_changed(
    tmp_path, monkeypatch, suffix, options
):
    searched = []
    search = containers._searched
    monkeypatch.setattr(containers, "_searched", lambda *given, **more: searched.append(1) or search(*given, **more))
    monkeypatch.setattr(containers, "CHUNK", 1 << 14)
    path = write(tmp_path / f"a.{suffix}", noise(20), **options)
    whole, _ = read_audio(path)
    for start in range(5, 15):
        part, _ = read_audio(path, start=float(start), end=start + 1.0)
        np.testing.assert_allclose(part, whole[16000 * start : 16000 * (start + 1)], atol=0.02)
    assert len(searched) == 1
    other = write(tmp_path / f"b.{suffix}", noise(10, seed=1), **options)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    assert len(read_audio(path)[0]) > len(whole) + 150_000  # a second stream, which was not there
    assert len(searched) == 2
