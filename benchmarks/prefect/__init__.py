"""Beside Prefect: the same work on the same machine, on a Prefect server with a worker and on pushpool.

* `job`, `flow`   the work, which says when it starts and when it ends
* `listening`     the one who hears that
* `side`          what is asked of either system; `theirs` and `ours` are the two, `postgres` a database for theirs
* `processes`     programs that are up while a block lasts; `standing` is what they use of the machine
* `measures`      what is measured, the same way on both sides
* `local`, `limits`, `ecs`   the arrangements: processes, two pollers, tasks of ECS
* `report`        the table
"""
