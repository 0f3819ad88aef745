"""The store on one machine: a SQLite file that several processes and threads share."""

from adapters.stores.sqlite.store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
