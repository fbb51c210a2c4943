"""What the README quotes.

`run.py` is `make bench`: `peers/` are the systems that it holds side by side, `cases/` what it measures,
`report/` what it writes. `demo.py`, `operations.py`, `engine.py` and `codec.py` are other make targets.
"""
