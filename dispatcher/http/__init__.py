"""The HTTP face: one table of routes, bound to whatever host there is."""
