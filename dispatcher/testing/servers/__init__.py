"""Real servers and emulators for tests and benchmarks, as processes of ours on loopback.

They are installed by `make servers` into `.servers/`, or where PUSHPOOL_SERVERS says.
"""
