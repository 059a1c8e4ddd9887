"""The stages of a meta-training: what they share, one file for each way that a stage works, and one that runs them by name."""
