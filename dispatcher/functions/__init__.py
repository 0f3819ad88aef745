"""What the functions of every cloud are made of, whoever calls for them; `infra` binds it to one host each.

`parts` puts a function together once a process, `passes` and `hearing` are what it does, `figures` counts what it did.
"""
