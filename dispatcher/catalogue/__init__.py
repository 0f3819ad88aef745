"""Pools, queues, deployments and schedules as people register them."""
