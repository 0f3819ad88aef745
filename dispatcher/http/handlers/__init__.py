"""What each route does: operations of the core, shown. Each takes a Call and, by name, what its route declares."""
