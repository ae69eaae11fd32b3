"""Upper limits of numbers that a user can set."""

LARGEST_SEED = 2**32 - 1
MOST_THREADS = 1024
MOST_BATCH = 65_536
"""Recordings per training step."""
MOST_PER_CLASS = 1_000_000
"""Labelled items per class."""
MOST_SEEDS = 1000
"""Repetitions of a study, each with its own seed."""
MOST_PARTS = 1_000_000
"""Part files of embeddings."""
MOST_MEGABYTES = 8192
"""Megabytes of a shard of a pack."""
