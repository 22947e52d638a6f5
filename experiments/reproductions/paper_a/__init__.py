"""Reproductions of paper A: its models, and what each experiment asks of them."""
