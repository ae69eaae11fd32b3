"""Packs: recordings in a few large tars, which WebDataset and this package read; `writing` makes them."""
