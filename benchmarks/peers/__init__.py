"""How one method of `gtn_sl.peers` is measured in a process of its own, and the tables of `benchmarks/meta_gradient.py`."""
