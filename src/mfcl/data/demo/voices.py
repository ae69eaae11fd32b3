"""Draw the speakers of the synthetic corpus and their rooms, from the seed and the speaker's number only."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mfcl.core import random
from mfcl.data.demo.espeak import Speech
from mfcl.data.demo.rooms import Room

# Excluded: whispers, croaks, robots, voices with a strong echo, and copies of another voice. Also `Reed` and `caleb`:
# their noise comes from the C library's random generator, which the whole process shares.
FEMALE = (
    "Alicia", "Andrea", "Annie", "anika", "aunty", "belinda", "f1", "f2", "f3", "f4", "f5", "grandma", "linda",
    "shelby", "steph", "steph2", "steph3",
)  # fmt: skip
MALE = (
    "Alex", "Andy", "Denis", "Diogo", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike",
    "Nguyen", "Storm", "adam", "announcer", "antonio", "benjamin", "boris", "david", "ed", "edward", "edward2",
    "grandpa", "gustave", "ian", "iven", "iven2", "iven3", "iven4", "john", "kaukovalta", "klatt3", "klatt4",
    "klatt6", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo", "max", "michel", "miguel", "mike2",
    "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "travis", "victor", "zac",
)  # fmt: skip
ACCENTS = {
    "en-us": "American",
    "en-us-nyc": "New York City",
    "en": "British",
    "en-gb-x-rp": "Received Pronunciation",
    "en-gb-scotland": "Scottish",
    "en-gb-x-gbclan": "Lancaster",
    "en-gb-x-gbcwmd": "West Midlands",
    "en-029": "Caribbean",
}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Voice:
    """A speaker: the properties that are the same in all takes."""

    number: int
    """Number from 1 on; with two digits it is the speaker's name."""
    gender: str
    accent: str
    """eSpeak language, such as `en-us`."""
    variant: str
    """eSpeak voice variant, such as `f2`."""
    rate: float
    pitch: float
    range: float
    room: Room

    @property
    def name(self) -> str:
        """Name of the speaker and of the speaker's folder."""
        return f"{self.number:02d}"

    def meta(self) -> dict[str, str]:
        """Return the fields of AudioMNIST's description of a speaker, marked as synthetic."""
        return {
            "accent": ACCENTS[self.accent],
            "age": "synthetic",
            "gender": self.gender,
            "native speaker": "synthetic",
            "origin": f"synthetic, eSpeak NG, variant {self.variant}",
            "recordingdate": "synthetic",
            "recordingroom": f"synthetic room {self.name}",
        }


def draw_voice(seed: int, number: int) -> Voice:
    """Draw a speaker, who is the same in a corpus of any size.

    Every fourth voice is female, about as in AudioMNIST (12 of 60). When all variants are used, they are used again
    with another pitch, accent and room.

    Example:
        >>> draw_voice(0, 1).name
        '01'
    """
    draws = random.generator(seed, "demo voice", number)
    female = number % 4 == 0
    index = number // 4 - 1 if female else number - 1 - number // 4
    variants = FEMALE if female else MALE
    order = random.generator(seed, "demo variants", "female" if female else "male").permutation(len(variants))
    return Voice(
        number=number,
        gender="female" if female else "male",
        accent=list(ACCENTS)[draws.integers(len(ACCENTS))],
        variant=variants[order[index % len(variants)]],
        rate=draws.uniform(95, 140),
        pitch=draws.uniform(25, 75),
        range=draws.uniform(25, 75),
        room=draw_room(draws),
    )


def draw_room(draws: np.random.Generator) -> Room:
    """Draw a room with its microphone and noise."""
    count = int(draws.integers(3, 7))
    delays = np.sort(draws.uniform(0.002, 0.03, count))
    gains = draws.uniform(0.1, 0.5, count) * draws.choice([-1, 1], count) * np.exp(-delays / 0.03)
    return Room(
        seed=int(draws.integers(2**31)),
        delays_seconds=tuple(delays.tolist()),
        gains=tuple(gains.tolist()),
        decay_seconds=draws.uniform(0.08, 0.4),
        tail_db=draws.uniform(-18, -8),
        low_hz=draws.uniform(50, 160),
        high_hz=draws.uniform(4000, 7500),
        level_db=draws.uniform(-32, -20),
        noise_db=draws.uniform(-70, -52),
        noise_colour=draws.uniform(0, 1.2),
    )


def draw_speech(voice: Voice, draws: np.random.Generator) -> Speech:
    """Draw rate and pitch of one take, near the speaker's own."""

    def near(middle: float, spread: float, low: int, high: int) -> int:
        value: Any = np.clip(np.rint(middle + spread * draws.uniform(-1, 1)), low, high)
        return int(value)

    return Speech(
        voice=f"{voice.accent}+{voice.variant}",
        rate=near(voice.rate, 0.12 * voice.rate, 80, 450),
        pitch=near(voice.pitch, 5.0, 0, 99),
        range=near(voice.range, 12.0, 0, 99),
    )
