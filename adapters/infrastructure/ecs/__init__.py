"""Runs as tasks of Amazon ECS: on Fargate, Fargate Spot, EC2 or a machine of one's own.

* `rendering`         a job's configuration as one request; pure, as are the next five
* `task_definitions`  what of it is registered, and shared by runs
* `overrides`         what of it is this run's alone
* `containers`        containers in the form that ECS takes
* `sizes`, `tags`     cpu and memory, and the pairs of them that Fargate has; labels as legal tags
* `places`            regions, clusters, tokens and links
* `stops`             a task, as ECS describes it or tells of it, in the words of the core; pure
* `outcomes`          what an answer or an error to RunTask means; pure
* `definitions`       task definitions, registered once and found again
* `networks`          a VPC's subnets for tasks that name none
* `diagnosis`         whether everything is there, for `doctor`
* `clients`           clients of AWS, made when they are needed
* `adapter`           the above, as `Infrastructure`
"""

from adapters.infrastructure.ecs.adapter import Ecs, open  # noqa: A004 - its fixed name

__all__ = ["Ecs", "open"]
