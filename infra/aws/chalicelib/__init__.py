"""What the functions of `app` do, a module each, and their `parts`; Chalice packs this folder beside it."""

from chalicelib.figures import Figures
from dispatcher.functions.parts import Parts

parts = Parts(Figures)
