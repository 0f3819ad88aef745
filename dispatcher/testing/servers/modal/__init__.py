"""Modal on this machine: the gRPC API of one workspace, on the package's own service base; sandboxes really run.

* `theirs`        grpclib and Modal's messages, and ids as the service makes them
* `refusals`      errors, in gRPC's codes; `faults` those that are ordered
* `rules`         what the service refuses of a sandbox
* `named`         apps, secrets and volumes; `images` what a sandbox runs
* `sandboxes`     a sandbox from creation to its end
* `workspace`     the state: what is there
* `calls`, `sandbox_calls`, `output`  what each call does to it and answers
* `service`       the calls as gRPC services; `door` what no client can ask for
* `serving`       `modal(folder)`: all of it, with the test's hand on it

The protocol is private: what is here is what the client of 1.6.4 asks for, behaving as that client's source and the
manual say. An idempotency key counts for whoever sends it, which is an assumption. Weaker than the service: everything
is seen as soon as it is written, builds take no time unless it is asked for, there are no images but those that are
told of, volumes are not mounted, networks are not held to anything, and stdout and stderr are one.
"""

from dispatcher.testing.servers.modal.door import door
from dispatcher.testing.servers.modal.serving import IMAGE, ModalApi, modal

__all__ = ["IMAGE", "ModalApi", "door", "modal"]
