"""The Gymnasium face of teachers: registration, synthetic and data-stream environments, weights. Empty in 0.1."""
