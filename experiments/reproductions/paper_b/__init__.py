"""Studies of paper B: sensible adversarial training beside other methods."""
