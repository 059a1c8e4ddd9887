"""Memory: how much there is, how much an outer step takes, and what is given up if that is too much."""
