"""What embeddings are worth: probes, kNN, speakers, geometry, baselines, intervals. Nothing here loads torch."""
