"""Runs as processes of this machine: they outlive the dispatcher, and whoever comes after it takes them over.

* `rendering`  a job's configuration as a request; pure
* `shim`       how a command is started: by a shell that writes down who it is and how the command ended
* `folders`    the folder of an attempt: the claim, and all that is known of it
* `words`      what a folder says and what an error means, in the words of the core
* `processes`  which process is which, and all that belongs to one
* `stopping`   SIGTERM, SIGKILL after the grace, and nothing is left
* `watching`   one thread that sleeps until a process ends
* `adapter`    the above, as `Infrastructure`
"""

from adapters.infrastructure.process.adapter import Process, open  # noqa: A004 - its fixed name

__all__ = ["Process", "open"]
