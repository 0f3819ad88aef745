"""What a pool's jobs run on: one module a kind of infrastructure."""
