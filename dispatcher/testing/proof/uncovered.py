"""What a proof says nothing about. It is printed with what was proved."""

UNCOVERED = """\
What this says nothing about:
* Real clouds. Stores are SQLite, DynamoDB Local and Firestore's emulator; ECS is an emulator's, with real containers;
  Cloud Run, Container Instances and Modal are stand-ins with the clouds' own models. What each is weaker in, it says
  in its file.
* The wire. Calls that are not answered are cut between the core and the adapter; that adapters tell a lost reply from
  a refusal is what the conformance suites and tests/faults/test_*_trouble.py try.
* Several misfortunes in one life: one call goes wrong in each. Many deaths, one after another, only the crowd has.
* Reads that go unanswered, and whoever registers deployments and creates runs: the steps are the calls that write, in
  passes, callbacks and events. Wakes are all lost, and nobody has a webhook.
* Changes of mind: nobody pauses a pool or a queue, or lowers a limit, while a life goes on; tests/unit and the state
  machine in tests/faults have those. A death in the midst of one store call: tests/faults/test_dynamodb_leftovers.py.
* Everything everywhere. On DynamoDB and Firestore no container is killed, forgotten or over its timeout, and no
  deployment has a limit; on SQLite all of that is, but with a real cloud's infrastructure dispatchers are killed at
  every third step of it. matrix.py has how far apart the steps are. Collision strategies only tests/faults has.
* What CONTRIBUTING.md names as not found under "Does the proof bite?".
* The runner: containers speak by script, with the token that they were really given. tests/e2e has the runner.
* Power: what was written before a SIGKILL is there after it, synced or not.
* Clocks that differ by more than two seconds, or go backwards.
* Shared jobs of Cloud Run, pools of its first API, EC2 capacity of ECS, GPUs: those have the conformance suites alone.
* What ARCHITECTURE.md names under "Known gaps".
"""
