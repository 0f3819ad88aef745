"""`make bench-aws`: what pushpool costs and does on AWS, measured on this machine, with DESIGN's marks beside it."""

from __future__ import annotations

from itertools import chain

from adapters.stores.dynamodb import DynamoStore
from benchmarks import cold_start, dynamodb, ecs_rate
from benchmarks.bench import shown


def main() -> None:
    with dynamodb.local() as bench:
        rows = chain(cold_start.on_aws(), dynamodb.rows(bench), ecs_rate.rows(DynamoStore(bench.table())))
        shown("pushpool on AWS", rows, on="DynamoDB Local 1.25.1")


if __name__ == "__main__":
    main()
