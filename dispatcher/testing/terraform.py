"""Terraform on a copy of the project's modules, with the real AWS provider.

The provider is taken from a filesystem mirror: the one that PUSHPOOL_TERRAFORM_PROVIDERS names, or where a machine's
packages put one. Where there is none, `terraform init` fetches it.
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

from dispatcher.testing.servers.processes import Missing

MODULES = Path(__file__).parents[2] / "terraform"
EXAMPLE = "examples/aws"

# Terraform's own places for a mirror (CLI Configuration, "Implied Local Mirror Directories"), and what images use.
_MIRRORS = ("~/.terraform.d/plugins", "~/.local/share/terraform/plugins", "/usr/local/share/terraform/plugins")
_FURTHER_MIRRORS = ("/usr/share/terraform/plugins", "/opt/*")


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


def terraform(folder: Path) -> Terraform:
    """:raises Missing: Terraform or the provider is not to be had here."""
    if shutil.which("terraform") is None:
        raise Missing("terraform is not on PATH: install 1.11 or later of its first major version")
    if not MODULES.is_dir():
        raise Missing(f"{MODULES} is not there: the modules need a checkout, not a wheel")
    copy = folder / "terraform"
    shutil.copytree(MODULES, copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", ".terraform.lock.hcl"))
    made = Terraform(copy, _environment(folder))
    try:
        made.init(EXAMPLE)
    except TerraformFailed as exc:
        way_out = "name a filesystem mirror that has it in PUSHPOOL_TERRAFORM_PROVIDERS"
        raise Missing(f"the AWS provider could not be fetched; {way_out}\n{exc}") from exc
    return made


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the shell's that would lead to an account of AWS, or change what Terraform does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_", "PUSHPOOL_"))}
    mirror = _mirror()
    configuration = folder / "terraform.tfrc"
    # Without a `direct` block a provider that the mirror lacks fails at once.
    source = f"filesystem_mirror {{\n    path = {json.dumps(str(mirror))}\n  }}" if mirror else "direct {}"
    configuration.write_text(f"provider_installation {{\n  {source}\n}}\n", encoding="utf-8")
    return {
        **kept,
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _mirror() -> Path | None:
    if given := os.environ.get("PUSHPOOL_TERRAFORM_PROVIDERS"):
        return Path(given).expanduser().absolute()
    return next((place for place in _places() if any(place.glob("*/hashicorp/aws/**/terraform-provider-aws*"))), None)


def _places() -> Iterable[Path]:
    for pattern in (*_MIRRORS, *_FURTHER_MIRRORS):
        path = Path(pattern).expanduser()
        yield from path.parent.glob(path.name)
