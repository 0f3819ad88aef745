"""What Firestore's refusals mean: a condition that was lost, a moment to wait, or somebody who must act."""

from __future__ import annotations

import re

from adapters.failures import Failure, Trouble
from dispatcher.errors import PushpoolError, StoreUnavailable, StoreUnusable, TooLarge

_NO_INDEX, _OTHER_MODE, _NO_DATABASE = "requires an index", "Datastore Mode", "does not exist"
_TOO_LARGE = re.compile(r"too (big|large)|too many index entries|longer than|exceeds|larger than max", re.IGNORECASE)
_SIZE_CODES = ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")
_CONDITION_CODES = ("ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND")


def is_lost(failure: Failure) -> bool:
    """Of a commit: a document exists, does not, or was written since."""
    return failure.code in _CONDITION_CODES and not _is_of_the_database(failure)


def _is_of_the_database(failure: Failure) -> bool:
    said = failure.message
    return _OTHER_MODE.lower() in said.lower() or ("database" in said and _NO_DATABASE in said)


def passes(failure: Failure) -> bool:
    """By itself, soon. ABORTED: others are at the same documents."""
    if is_too_large(failure):
        return False
    return failure.trouble in (Trouble.THROTTLED, Trouble.NOT_SENT, Trouble.NO_ANSWER) or failure.code == "ABORTED"


def is_too_large(failure: Failure) -> bool:
    """A message that is too long is RESOURCE_EXHAUSTED to gRPC, as a quota that is used up is to Firestore."""
    return failure.code in _SIZE_CODES and bool(_TOO_LARGE.search(failure.message)) and "uota" not in failure.message


def translated(where: str, operation: str, failure: Failure, project: str) -> PushpoolError:
    if failure.trouble is Trouble.CREDENTIALS:
        return StoreUnusable(
            f"{where}: no usable Google credentials ({failure}); "
            "run as a service account, or set GOOGLE_APPLICATION_CREDENTIALS"
        )
    if failure.trouble is Trouble.DENIED:
        return _denied(where, operation, failure, project)
    if is_too_large(failure):
        return TooLarge(f"{where}: a document may have 1 MiB, and a commit 10 MiB; Firestore said: {failure.message}")
    return _unfit(where, failure) or StoreUnusable(f"{where}: {operation} was refused: {failure}")


def _denied(where: str, operation: str, failure: Failure, project: str) -> StoreUnusable:
    if failure.answer.get("reason") == "SERVICE_DISABLED":
        return StoreUnusable(
            f"{where}: the Firestore API is off in project {project!r} ({failure}); "
            "`gcloud services enable firestore.googleapis.com`"
        )
    return StoreUnusable(
        f"{where}: {operation} is not allowed ({failure}); give the service account roles/datastore.user"
    )


def _unfit(where: str, failure: Failure) -> PushpoolError | None:
    """It is not the database that is wanted, or not yet."""
    said = failure.message
    if _OTHER_MODE.lower() in said.lower():
        return StoreUnusable(
            f"{where} is in Datastore mode, which lacks what is needed; create one in Native mode: "
            "`gcloud firestore databases create --database=NAME --type=firestore-native`, or `terraform apply`"
        )
    if failure.code == "NOT_FOUND" and _is_of_the_database(failure):
        return StoreUnusable(
            f"{where}: there is no such database; create it with `terraform apply` or "
            "`gcloud firestore databases create`, or set PUSHPOOL_STORE to where it is"
        )
    if _NO_INDEX in said and "building" in said:
        return StoreUnavailable(
            f"{where}: one of its indexes is still being built ({said}); try again in a few minutes"
        )
    if _NO_INDEX in said:
        return StoreUnusable(f"{where} lacks an index, which `terraform apply` makes ({said})")
    return None
