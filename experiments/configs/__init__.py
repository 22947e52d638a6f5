"""Settings of the launchers: one module each, with its presets."""
