"""The stages of a meta-training: what they share, one file per kind of stage, and one that runs them by name."""
