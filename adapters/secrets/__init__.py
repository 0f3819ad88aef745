"""Where an installation's secrets are kept, a module a service."""
