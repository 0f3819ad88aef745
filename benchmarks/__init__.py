"""DESIGN's local figures, measured: `make bench`."""
