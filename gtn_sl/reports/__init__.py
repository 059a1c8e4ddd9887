"""What a person looks at: plots, tables and pictures of batches."""
