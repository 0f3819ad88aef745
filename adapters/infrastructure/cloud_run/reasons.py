"""Why an execution did not do what it should: whose fault that was, and what to do. Pure.

By Google's messages, which no document lists and which have been seen in the wild, and by the reasons of conditions
(API Condition). The first version of the API spells a reason NonZeroExitCode, the second NON_ZERO_EXIT_CODE; here they
have neither capitals nor underscores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher.ports import Cause

EXIT_CODE = "nonzeroexitcode"
ASKED_FOR = frozenset({"cancelled", "cancelling", "deleted"})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why an execution stopped: `says` in our words, `advice` what to do."""

    cause: Cause
    says: str = ""
    advice: str = ""


def by_message(said: str) -> Diagnosis | None:
    """The first that is found decides."""
    return next((diagnosis for pattern, diagnosis in _BY_MESSAGE if pattern.search(said)), None)


def by_reason(reason: str) -> Diagnosis | None:
    return _BY_REASON.get(reason)


def by_exit_code(code: int) -> Diagnosis:
    if (known := _BY_EXIT_CODE.get(code)) is not None:
        return known
    if 128 < code <= 128 + 64:
        return Diagnosis(Cause.KILLED, f"killed by signal {code - 128}")
    return Diagnosis(Cause.EXITED)


_NO_IMAGE = Diagnosis(Cause.REFUSED, "its image is not there", "check the image's name and tag")
_NO_RIGHT_TO_IMAGE = Diagnosis(
    Cause.REFUSED,
    "its image may not be pulled",
    "let Cloud Run's service agent read it (roles/artifactregistry.reader on its repository)",
)
_NO_SECRET = Diagnosis(
    Cause.REFUSED,
    "a secret of it cannot be had",
    "make it, and give the task's service account roles/secretmanager.secretAccessor on it",
)
_NO_CAPACITY = Diagnosis(
    Cause.INFRASTRUCTURE, "there was no capacity for it", "if it stays so: use another region, or smaller tasks"
)
_OUT_OF_QUOTA = Diagnosis(
    Cause.INFRASTRUCTURE,
    "a quota of the region was used up",
    "ask Google for a higher one, or give the pool a lower concurrency limit",
)
_TROUBLE = Diagnosis(Cause.INFRASTRUCTURE, "Cloud Run had trouble of its own")
_BINARY_POLICY = "see the project's binary authorization policy"
_KILLED = Diagnosis(
    Cause.KILLED, "killed (SIGKILL)", "if it may have run out of memory, give it more; or see what stopped it"
)

_BY_MESSAGE: tuple[tuple[re.Pattern[str], Diagnosis], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), diagnosis)
    for pattern, diagnosis in (
        (
            r"memory limit (was reached|of .* exceeded)|out of memory",
            Diagnosis(Cause.KILLED, "it ran out of memory", "give it more (variable `memory`)"),
        ),
        (
            r"configured timeout was reached|exceeded (its|the) timeout",
            Diagnosis(Cause.KILLED, "it ran longer than Cloud Run was told to let it", "raise the variable `timeout`"),
        ),
        (r"terminated on signal:? (9|SIGKILL)\b", _KILLED),
        (r"terminated on signal", Diagnosis(Cause.KILLED, "killed by a signal", "see its log")),
        (r"image .*not found|image path is incorrect|manifest unknown", _NO_IMAGE),
        (
            r"permission denied on secret|secret.*(not found|was not found|does not exist|disabled)",
            _NO_SECRET,
        ),
        (
            r"(permission|denied|unauthorized).*\bimage\b|\bimage\b.*(permission|denied|unauthorized)",
            _NO_RIGHT_TO_IMAGE,
        ),
        (
            r"exec format error|failed to load",
            Diagnosis(Cause.REFUSED, "its image is not for this processor", "build it for linux/amd64"),
        ),
        (
            r"failed to start|no such file or directory|executable file not found",
            Diagnosis(
                Cause.REFUSED,
                "its container cannot be started",
                "check the command, and that the image has pushpool-run on its PATH; or set runner to its path or to "
                "false",
            ),
        ),
        (r"no capacity|resources? (are|is) (not |un)available|resource.*exhausted", _NO_CAPACITY),
        (r"quota", _OUT_OF_QUOTA),
        (r"internal error|system error|service is currently unavailable", _TROUBLE),
    )
)

_BY_REASON: Mapping[str, Diagnosis] = {
    "containermissing": _NO_IMAGE,
    "containerpermissiondenied": _NO_RIGHT_TO_IMAGE,
    "containerimageunauthorized": Diagnosis(Cause.REFUSED, "its image is not allowed here", _BINARY_POLICY),
    "containerimageauthorizationcheckfailed": Diagnosis(
        Cause.REFUSED, "whether its image is allowed here could not be checked", _BINARY_POLICY
    ),
    "encryptionkeypermissiondenied": Diagnosis(
        Cause.REFUSED,
        "its encryption key may not be used",
        "give Cloud Run's service agent roles/cloudkms.cryptoKeyEncrypterDecrypter on it",
    ),
    "encryptionkeycheckfailed": Diagnosis(
        Cause.REFUSED, "its encryption key cannot be used", "see whether the key is enabled"
    ),
    "secretsaccesscheckfailed": _NO_SECRET,
    "vpcnetworknotfound": Diagnosis(
        Cause.REFUSED, "its VPC network is not there", "check vpc_network, vpc_subnetwork or vpc_connector_name"
    ),
    "progressdeadlineexceeded": _NO_CAPACITY,
    "internal": _TROUBLE,
    "postponedretry": _TROUBLE,
    "waitingforoperation": _TROUBLE,
    "jobstatusservicepollingerror": _TROUBLE,
    "delayedexecutionexceedingdurationlimit": _NO_CAPACITY,
}

_BY_EXIT_CODE: Mapping[int, Diagnosis] = {
    126: Diagnosis(Cause.EXITED, "exit code 126: the command is there and cannot be executed", "make it executable"),
    127: Diagnosis(Cause.EXITED, "exit code 127: the image has no such command", "check its name and the image's PATH"),
    134: Diagnosis(Cause.KILLED, "it aborted (SIGABRT)", "see its log"),
    137: _KILLED,
    139: Diagnosis(Cause.KILLED, "it crashed (SIGSEGV)", "look at native libraries"),
    143: Diagnosis(Cause.KILLED, "terminated (SIGTERM)", "see what stopped it"),
}
