"""What the README quotes: one case a file, `run.py` runs them, `demo.py` is `make demo`."""
