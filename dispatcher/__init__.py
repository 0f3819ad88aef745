"""The core of pushpool: what a run is, when it may start, and what becomes of it. It knows no cloud.

Third parties need `dispatcher.ports` (the seams), `dispatcher.runs`, `dispatcher.errors` and `dispatcher.testing` (the
suites).
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
