"""The store on Google Cloud: one Firestore database that any number of functions share.

* `store`: the `Store`, and `open_store`
* `layout`: collections and indexes, for Terraform
* `names`: documents by name, and the marks that pages end with
* `database`, `refusals`: the one place that calls Firestore, and what its errors mean
* `commits`: conditional changes, decided anew when a condition is lost
* `documents`: runs and requests as documents
* `runs`, `moves`, `slots`, `listing`, `records`, `owed`: the methods of the store, by subject
"""

from adapters.stores.firestore.store import FirestoreStore, open_store

__all__ = ["FirestoreStore", "open_store"]
