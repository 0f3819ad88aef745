"""The five promises, proved: dispatchers that are really killed, on every store and every infrastructure.

`python -m dispatcher.testing.proof` (or `make prove`) tries it all and prints what it found.
"""
