"""How a pass over a pool is asked for, now or at a time: one module a means."""
