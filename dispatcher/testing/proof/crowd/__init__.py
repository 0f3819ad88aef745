"""Many dispatchers at once on one pool, some of them killed: no limit is exceeded, and no run starts twice."""

from dispatcher.testing.proof.crowd.figures import Crowd
from dispatcher.testing.proof.crowd.meeting import run

__all__ = ["Crowd", "run"]
