"""Architecture search: spaces, rankers that judge architectures cheaply, how far to trust them, and searches that use them."""
