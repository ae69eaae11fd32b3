"""The largest numbers that a person may ask for, told once."""

LARGEST_SEED = 2**32 - 1
MOST_THREADS = 1024
MOST_BATCH = 65_536
"""Recordings a step."""
MOST_PER_CLASS = 1_000_000
"""Labels of a class that are used."""
MOST_SEEDS = 1000
"""Repetitions of a study."""
