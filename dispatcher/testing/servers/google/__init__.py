"""A Google Cloud project on this machine: one gRPC port for its APIs, an issuer of identity tokens, and its deliveries.

* `issuer`     makes the tokens that Google's services send along, and serves the certificates
* `courier`    brings HTTP requests at their time, and again if they are not taken
* `tasks`      Cloud Tasks; `secrets` Secret Manager; `pushing` a log sink with a Pub/Sub push subscription
* `services`   the states as gRPC services
* `project`    `google_project(folder)`: all of them and Cloud Run's jobs, with the test's hand on each
* `functions`  a function of `infra/gcp`, or of its archive, as a process

Firestore is Google's own emulator, beside them. Weaker than the services: nobody is throttled unless it is asked for,
roles are not looked at, and what is written is seen at once.
"""
