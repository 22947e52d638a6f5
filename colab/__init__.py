"""Notebooks, and what executes and stores them."""
