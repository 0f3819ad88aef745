"""The store on AWS: one DynamoDB table that any number of functions share."""

from adapters.stores.dynamodb.store import DynamoStore, open_store

__all__ = ["DynamoStore", "open_store"]
