"""What came out: accuracies, tables and figures, beside what others published."""
