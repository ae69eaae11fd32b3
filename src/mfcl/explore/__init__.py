"""The explorer: a local web page to see, hear and label a collection of recordings. Without torch."""
