"""What is meta-learned: environments and rewards as flat vectors, a population of variants, and the copies that agents step."""
