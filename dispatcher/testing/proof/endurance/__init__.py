"""Very many runs, one after another, in one process: it holds no more, and finds nothing slower, than at the start."""

from dispatcher.testing.proof.endurance.figures import Endurance
from dispatcher.testing.proof.endurance.running import run

__all__ = ["Endurance", "run"]
