"""What the functions of `main` do, a module each, and their `parts`; this folder lies beside it in the archive."""

from dispatcher import logs
from dispatcher.functions.parts import Parts
from gcpfunctions.figures import Figures

parts = Parts(Figures, logs.SEVERITY)
