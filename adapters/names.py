"""What clouds call the things of a submission: made of run, attempt and submission, the same whoever makes it."""

from __future__ import annotations

import hashlib
from uuid import UUID


def submission_name(run_id: str, attempt: int, submit_seq: int) -> str:
    """Lower case letters, digits and `-`; 63 characters at the most while both numbers have ten digits together."""
    return f"pushpool-{_hex(run_id)}-{attempt}-{submit_seq}"


def _hex(run_id: str) -> str:
    """32 digits."""
    try:
        return UUID(run_id).hex
    except ValueError:
        return hashlib.sha256(run_id.encode()).hexdigest()[:32]
