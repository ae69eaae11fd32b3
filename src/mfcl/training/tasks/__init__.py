"""Training objectives: contrastive, supervised, and both together."""
