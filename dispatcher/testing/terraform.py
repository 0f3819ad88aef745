"""Terraform on a copy of the project's modules, with the real AWS provider, and with the others' or their stand-ins.

A provider is taken from a filesystem mirror: the one that PUSHPOOL_TERRAFORM_PROVIDERS names, or where a machine's
packages put one. Where there is none of AWS's, `terraform init` fetches it. The stand-ins for Google's and Azure's are
in a mirror that `make servers` makes: they know every argument, compute nothing that only the cloud could, and make
nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.testing.servers.processes import Missing, installed

MODULES = Path(__file__).parents[2] / "terraform"
EXAMPLE = "examples/aws"
GOOGLE_EXAMPLE = "examples/gcp"
AZURE_MODULE = "modules/azure-aci-pool"
AWS_TO_OTHERS = "examples/aws-azure-modal"
GOOGLE_TO_OTHERS = "examples/gcp-azure-modal"
ACROSS = "examples/across"

_PROVIDERS = {
    EXAMPLE: ("aws",),
    GOOGLE_EXAMPLE: ("google", "random"),
    AZURE_MODULE: ("azurerm",),
    GOOGLE_TO_OTHERS: ("azurerm", "google", "random"),
    ACROSS: ("aws", "azurerm", "google", "random"),
}

# Terraform's own places for a mirror (CLI Configuration, "Implied Local Mirror Directories"), and what images use.
_MIRRORS = ("~/.terraform.d/plugins", "~/.local/share/terraform/plugins", "/usr/local/share/terraform/plugins")
_FURTHER_MIRRORS = ("/usr/share/terraform/plugins", "/opt/*")

_MIRRORED = "  filesystem_mirror {\n    path = %s\n    include = [%s]\n  }\n"
_DIRECT = "  direct {\n    include = [%s]\n  }\n"


class TerraformFailed(Exception):
    """The message is all that it printed."""


@dataclass(frozen=True, slots=True)
class Terraform:
    """`folder` is the copy, with everything that Terraform writes."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def __call__(self, where: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """What a command printed in the folder `where` of the copy. :raises TerraformFailed:"""
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder / where}", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, env={**self.environment, **(environment or {})},
        )  # fmt: skip
        if done.returncode:
            raise TerraformFailed(f"terraform {' '.join(arguments)} in {where}: {done.stdout}{done.stderr}")
        return done.stdout

    def init(self, where: str) -> None:
        """:raises TerraformFailed: without a mirror and offline, for one."""
        self(where, "init", "-input=false", "-no-color")

    def planned(self, where: str, *, environment: Mapping[str, str]) -> Any:
        """A plan as `terraform show -json` tells it."""
        self(where, "plan", "-input=false", "-out=tests.tfplan", environment=environment)
        return json.loads(self(where, "show", "-json", "tests.tfplan", environment=environment))


def terraform(
    folder: Path, where: str = EXAMPLE, *, stand_in: bool = False, configuration: str | None = None
) -> Terraform:
    """With an example or a module initialised: on the real providers where a mirror has them, or, if asked, never.

    A configuration makes an example of that name.

    :raises Missing: Terraform or a provider is not to be had here.
    """
    if shutil.which("terraform") is None:
        raise Missing("terraform is not on PATH: install 1.11 or later of its first major version")
    if not MODULES.is_dir():
        raise Missing(f"{MODULES} is not there: the modules need a checkout, not a wheel")
    copy = folder / "terraform"
    shutil.copytree(MODULES, copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", ".terraform.lock.hcl"))
    if configuration is not None:
        (copy / where).mkdir()
        (copy / where / "main.tf").write_text(configuration, encoding="utf-8")
    sources = {provider: _source(provider, stand_in=stand_in) for provider in _PROVIDERS[where]}
    made = Terraform(copy, _environment(folder, sources))
    try:
        made.init(where)
    except TerraformFailed as exc:
        way_out = "name a filesystem mirror that has it in PUSHPOOL_TERRAFORM_PROVIDERS"
        raise Missing(f"a provider of {where} could not be fetched; {way_out}\n{exc}") from exc
    return made


def _source(provider: str, *, stand_in: bool) -> Path | None:
    """The mirror that has it; None: Terraform fetches it."""
    if provider == "aws":
        return _mirror(provider)
    real = None if stand_in else _mirror(provider)
    return real or installed("terraform_providers", file="mirror") / "mirror"


def _environment(folder: Path, sources: Mapping[str, Path | None]) -> dict[str, str]:
    """Nothing of the shell's that would lead to an account, or change what Terraform does."""
    foreign = ("AWS_", "ARM_", "TF_", "PUSHPOOL_", "GOOGLE_", "CLOUDSDK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    configuration = folder / "terraform.tfrc"
    # Without a `direct` block a provider that the mirror lacks fails at once.
    blocks = [_installation(provider, mirror) for provider, mirror in sources.items()]
    configuration.write_text(f"provider_installation {{\n{''.join(blocks)}}}\n", encoding="utf-8")
    secrets = folder / "secrets"
    secrets.mkdir()
    return {
        **kept,
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "GOGC": "400",  # a provider lives for moments, in which it reads its schema
        "AWS_EC2_METADATA_DISABLED": "true",
        "PUSHPOOL_PROVIDER_STUB": str(secrets),
    }


def _installation(provider: str, mirror: Path | None) -> str:
    name = json.dumps(f"hashicorp/{provider}")
    return _MIRRORED % (json.dumps(str(mirror)), name) if mirror else _DIRECT % name


def _mirror(provider: str) -> Path | None:
    """The one that is named is believed to have AWS's; the others' it may have."""
    pattern = f"*/hashicorp/{provider}/**/terraform-provider-{provider}*"
    given = os.environ.get("PUSHPOOL_TERRAFORM_PROVIDERS")
    named = Path(given).expanduser().absolute() if given else None
    if named is not None and (provider == "aws" or any(named.glob(pattern))):
        return named
    return next((place for place in _places() if any(place.glob(pattern))), None)


def _places() -> Iterable[Path]:
    for pattern in (*_MIRRORS, *_FURTHER_MIRRORS):
        path = Path(pattern).expanduser()
        yield from path.parent.glob(path.name)
