"""Runs as executions of Cloud Run jobs.

There are two ways to submit: a job for each run, which starts as it is created and exactly once; and a job that runs
share, whose executions take what is a run's alone as overrides.

* `rendering`    a job's configuration as the requests; pure, as are all down to `outcomes`
* `knative`      a job of the API's first version, as Prefect's older templates have it, as one of the second
* `environment`  what the containers are told, in the clear and out of Secret Manager
* `sizes`        cpu and memory, the pairs of them that Cloud Run has, and how long a task may run
* `labels`       whose a job is, as labels
* `places`       projects, regions, names, handles and links
* `executions`   an execution, as the API or the audit log has it, in the words of the core
* `reasons`      why an execution did not do what it should, and what to do
* `events`       entries of the audit log
* `outcomes`     what an error means for the submission
* `messages`     JSON as Google's messages, and back
* `shared_jobs`  jobs that runs share, made once and found again
* `diagnosis`    whether everything is there, for `doctor`
* `clients`      clients of Google's, made when they are needed
* `adapter`      the above, as `Infrastructure`
"""

from adapters.infrastructure.cloud_run.adapter import CloudRun, open_v1, open_v2

__all__ = ["CloudRun", "open_v1", "open_v2"]
