"""The work as a Prefect flow; read by Prefect's own virtual environment alone."""

from importlib import import_module

from benchmarks.prefect.job import work

job = import_module("prefect").flow(work)
