"""The meta-gradient by every method that `benchmarks/meta_gradient.py` compares, and how one of them is measured."""
