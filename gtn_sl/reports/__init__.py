"""What people look at: plots, tables and pictures of batches."""
