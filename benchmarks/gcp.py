"""`make bench-gcp`: what pushpool costs and does on Google Cloud, measured on this machine, with DESIGN's marks."""

from __future__ import annotations

from itertools import chain

from benchmarks import cloud_run, cold_start, firestore
from benchmarks.bench import shown


def main() -> None:
    with firestore.local() as bench:
        rows = chain(cold_start.on_google(), cloud_run.rows(), firestore.rows(bench))
        shown("pushpool on Google Cloud", rows, on="the Firestore emulator of gcloud")


if __name__ == "__main__":
    main()
