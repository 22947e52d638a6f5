"""Speed and accuracy, measured; each module runs with `python -m`."""
