"""Runs as sandboxes of Modal: one for each submission, with any image, a command and an environment.

* `rendering`  a job's configuration as one request; pure, as are all down to `outcomes`
* `registries` where an image comes from, and what is installed on top of it
* `sizes`      cpu, memory, gpu, and how long a sandbox may live
* `places`     apps, environments, names, handles and links
* `sandboxes`  a sandbox, as Modal tells of it, in the words of the core
* `outcomes`   what an exception of Modal's client means for the submission
* `images`     an image of the request as one of Modal's
* `service`    what is asked of Modal, call by call; the only one that imports its client, with `images`
* `clients`    Modal's client, made when it is needed, and its calls, each with a deadline
* `diagnosis`  whether everything is there, for `doctor`
* `adapter`    the above, as `Infrastructure`
"""

from adapters.infrastructure.modal.adapter import Modal, open  # noqa: A004 - its fixed name

__all__ = ["Modal", "open"]
