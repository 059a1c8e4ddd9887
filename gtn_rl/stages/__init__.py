"""The stages of a meta-training: one file for each way that a stage works, and one that runs them by name."""

from gtn_rl.stages.run import is_done, run_stage

__all__ = ["is_done", "run_stage"]
