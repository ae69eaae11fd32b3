"""Views of recordings: crops, batches of them, and augmentations."""
