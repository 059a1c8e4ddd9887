"""Memory: what there is, what an outer step takes, and what is given up where that is too much."""
