"""What a person looks at: the curves of a meta-training, and pictures of what an environment does."""
