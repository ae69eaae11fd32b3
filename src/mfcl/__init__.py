"""Multi-format contrastive learning of audio representations."""

__version__ = "0.1.0"
