"""What is meta-learned: environments and rewards as flat vectors, populations of variants, and copies to step."""
