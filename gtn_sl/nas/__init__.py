"""Architecture search: spaces, rankers that score architectures cheaply, measures of ranker quality, and searches."""
