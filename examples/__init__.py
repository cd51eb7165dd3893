"""Complete programs written with Remuda. Each is run by `python -m examples.NAME`."""
