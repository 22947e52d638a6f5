"""What `experiments.reproduce` can reproduce, by paper and table."""
