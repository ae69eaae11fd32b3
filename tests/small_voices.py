"""A gallery of seconds: made-up voices in few dimensions, and a listener without a model.

As a script it enrols one voice after another and prints each name when its enrolment is reported as done; it can be
killed at any moment: python -m tests.small_voices GALLERY PREFIX COUNT
"""

import sys
from pathlib import Path

import numpy as np

from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest, Recording
from mfcl.voices import Gallery, Heard
from mfcl.voices.sound import HeardWindows

DIM = 24


def clips_of(voice, count, *, take=0, noise=0.5, dim=DIM):
    """What is heard of clips of one made-up voice: a direction of its own and noise."""
    own = np.random.default_rng([7, voice]).standard_normal(dim)
    draw = np.random.default_rng([11, voice, take])
    vectors = (own + noise * draw.standard_normal((count, dim))).astype(np.float32)
    sources = tuple(f"{voice}-{take}-{clip}.wav" for clip in range(count))
    return Heard(vectors, draw.uniform(0.5, 1.5, count), draw.uniform(-30, -20, count), sources)


class SmallListener:
    """Hears a recording by its labels: `speaker` (a number) and, as noise, its place in the list."""

    digest, folder, part, dim = "a" * 64, "nowhere", "voices", DIM

    def __init__(self, digest="a" * 64, noise=0.5):
        self.digest, self.noise = digest, noise

    def hear(self, manifest: Manifest, left_out: LeftOut | None):
        found = [
            clips_of(int(one.label("speaker")), 1, take=place + 1000, noise=self.noise)
            for place, one in enumerate(manifest)
        ]
        vectors, seconds, levels = (
            np.concatenate([getattr(one, name) for one in found]) for name in ("vectors", "seconds", "levels")
        )
        return Heard(vectors, seconds, levels, tuple(manifest.ids.tolist())), np.arange(len(manifest))

    def windows(self, manifest: Manifest, left_out: LeftOut, *, window: float, hop: float):
        raise NotImplementedError

    def arrays(self, sounds, sample_rate):
        raise NotImplementedError


def recording(turns, *, hop=0.5, window=2.0, noise=0.5):
    """The windows of a recording in which made-up voices take turns: (voice or None for a pause, windows)."""
    voices = [voice for voice, count in turns for _ in range(count)]
    parts = [clips_of(voice or 0, 1, take=5000 + place, noise=noise) for place, voice in enumerate(voices)]
    vectors = np.concatenate([part.vectors for part in parts])
    levels = np.array([-80.0 if voice is None else -25.0 for voice in voices])
    starts = hop * np.arange(len(voices))
    heard = Heard(vectors, np.full(len(voices), window), levels, ("talk.wav",) * len(voices))
    return HeardWindows("talk.wav", heard, starts, starts + window)


def cohort(count=60):
    """Clips of many made-up voices that nobody enrols."""
    clips = [clips_of(10_000 + voice, 1) for voice in range(count)]
    return Heard(
        np.concatenate([one.vectors for one in clips]), np.ones(count), np.full(count, -25.0), ("cohort",) * count
    )


def small_gallery(place, *, voices=(), clips=4, listener=None, **options):
    """A gallery with some made-up voices, called by their numbers."""
    made = Gallery.create(place, listener or SmallListener(), cohort=cohort(), **options)
    for voice in voices:
        made.enrol(f"voice {voice}", clips_of(voice, clips))
    return made


def people(first, count, clips=10):
    """A list of recordings of people who are called by their numbers."""
    rows = [
        Recording(f"{person}-{clip}", Path("none.wav"), labels={"speaker": str(person), "digit": str(clip % 5)})
        for person in range(first, first + count)
        for clip in range(clips)
    ]
    return Manifest(tuple(rows), Path())


def main(place, prefix, count):
    gallery = Gallery.open(Path(place), model=SmallListener())
    for number in range(int(count)):
        name = f"{prefix} {number}"
        gallery.storage.enrol(name, _clips(hash_of(name)))
        print(name, flush=True)


def hash_of(name):
    """A small number for a name, the same in every process."""
    return sum(ord(sign) * (place + 1) for place, sign in enumerate(name))


def _clips(voice):
    from mfcl.voices.enrolment import clips_of as to_store

    return to_store(clips_of(voice, 3), keep_audio=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
