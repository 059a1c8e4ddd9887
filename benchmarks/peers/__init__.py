"""Measurement of one method of `gtn_sl.peers` in its own process, and the tables of `benchmarks/meta_gradient.py`."""
