"""Cloud Run's API for jobs on this machine: gRPC with Google's own protos, and executions that really run.

* `theirs`      grpc and Google's messages, and JSON of them
* `schema`      what the official discovery document says of a request; `rules` what the manuals say besides
* `refusals`    errors, as the service words them; `faults` those that are ordered
* `resources`   jobs, executions and tasks as JSON of the REST API, each with its defaults
* `project`     the state: what is there, and what each call does to it
* `life`        an execution from creation to its end; `containers` its processes
* `conditions`  what is told of a job, an execution and a task meanwhile
* `news`        the entries of the audit log
* `service`     the state as gRPC services, on a server of their own or beside others
* `serving`     `cloud_run(folder)`: all of it, with the test's hand on it
* `region`      Google's own clients of it

Weaker than the service: everything is seen as soon as it is written, nobody is throttled unless it is asked for,
permissions are not looked at, and there are no images but those that are told of.
"""

from dispatcher.testing.servers.cloud_run.project import Project
from dispatcher.testing.servers.cloud_run.service import add_to
from dispatcher.testing.servers.cloud_run.serving import IMAGE, CloudRunApi, cloud_run

__all__ = ["IMAGE", "CloudRunApi", "Project", "add_to", "cloud_run"]
