"""Evaluate embeddings: probes, kNN, speaker tasks, geometry, baselines, confidence intervals. Without torch."""
