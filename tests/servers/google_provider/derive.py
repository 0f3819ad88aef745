"""Derives `schemas.json` from what CDK for Terraform publishes of Google's provider; prints where it went.

    python -m tests.servers.google_provider.derive [FOLDER WITH THE WHEEL]

The published classes hold each argument's type and whether it is required, optional or computed, as comments in the
TypeScript that their source maps carry. What they do not hold is added by hand from the provider's own pages:
write-only arguments, ephemeral resources, and the provider's configuration cut down to what the modules give.
"""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = "cdktf-cdktf-provider-google==16.12.1"
PROVIDER = "6.50.0"
TARGET = Path(__file__).with_name("schemas.json")
NOTICE = (
    f"Derived from {PACKAGE}, Copyright (c) 2025 HashiCorp, Inc., which describes hashicorp/google {PROVIDER}. "
    "This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was "
    "not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/. "
    "Remade by tests/servers/google_provider/derive.py."
)

RESOURCES = [
    "artifact_registry_repository_iam_member", "cloud_run_v2_service_iam_member", "cloud_scheduler_job",
    "cloud_tasks_queue", "cloud_tasks_queue_iam_member", "cloudfunctions2_function", "firestore_database",
    "firestore_field", "firestore_index", "iam_workload_identity_pool", "iam_workload_identity_pool_provider",
    "logging_metric", "logging_project_sink", "monitoring_alert_policy", "project_iam_custom_role",
    "project_iam_member", "project_service", "pubsub_subscription", "pubsub_subscription_iam_member",
    "pubsub_topic", "pubsub_topic_iam_member", "secret_manager_secret", "secret_manager_secret_iam_member",
    "secret_manager_secret_version", "service_account", "service_account_iam_member", "storage_bucket",
    "storage_bucket_object",
]  # fmt: skip
DATA_SOURCES = ["project"]

_STRING = {"type": "string"}
_BOOL = {"type": "bool"}
_WRITE_ONLY = {"google_secret_manager_secret_version": ["secret_data_wo"]}

# Provider documentation, "Ephemeral resources".
_EPHEMERAL: dict[str, Any] = {
    "google_secret_manager_secret_version": {
        **{name: {**_STRING, "optional": True} for name in ("project", "version")},
        "secret": {**_STRING, "required": True},
        "is_secret_data_base64": {**_BOOL, "optional": True},
        **{name: {**_STRING, "computed": True} for name in ("create_time", "destroy_time", "name")},
        "secret_data": {**_STRING, "computed": True, "sensitive": True},
        "enabled": {**_BOOL, "computed": True},
    }
}
# hashicorp/random 3.7, "random_password (Ephemeral Resource)".
_RANDOM: dict[str, Any] = {
    "random_password": {
        "length": {"type": "number", "required": True},
        **{name: {**_BOOL, "optional": True, "computed": True} for name in ("lower", "numeric", "special", "upper")},
        **{
            f"min_{name}": {"type": "number", "optional": True, "computed": True}
            for name in ("lower", "numeric", "special", "upper")
        },
        "override_special": {**_STRING, "optional": True},
        **{name: {**_STRING, "computed": True, "sensitive": True} for name in ("bcrypt_hash", "result")},
    }
}
_CONFIGURATION = ("access_token", "credentials", "project", "region", "zone", "user_project_override")

_MEMBER = re.compile(
    r"// (?P<name>\w+) - computed: (?P<computed>\w+), optional: (?P<optional>\w+), required: (?P<required>\w+)\n"
    r"\s+(?:private _\w+\??(?:: (?P<type>[^;]+?)| = new (?P<made>[\w.]+)\(this, \"\w+\"(?:, (?P<is_set>\w+))?\)); ?\n"
    r"\s+public get \w+\(\) \{\n\s+return (?P<stored>[^;]+);"
    r"|public get \w+\(\) \{\n\s+return (?P<read>[^;]+);)"
)
_CLASS = re.compile(r"^export class (\w+) extends cdktf\.(\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_PLAIN = {
    "getStringAttribute": "string", "getNumberAttribute": "number", "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"], "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
}  # fmt: skip
_MAPS = {"cdktf.StringMap": "string", "cdktf.BooleanMap": "bool", "cdktf.NumberMap": "number"}


class Source:
    """One resource's classes."""

    def __init__(self, text: str) -> None:
        self._bodies = {name: body for name, _, body in _CLASS.findall(text)}
        self._root = next(
            name for name, kind, _ in _CLASS.findall(text) if kind in {"TerraformResource", "TerraformDataSource"}
        )
        # In the form for HCL each says whether it is written as a block.
        self._blocks = set(re.findall(r"(\w+): \{\n\s+value: [^\n]+\n\s+isBlock: true", text))
        self._singles = set(re.findall(r"(\w+): \{\n\s+value: [^\n]+\n\s+isBlock: true,\n\s+type: \"struct\"", text))

    def schema(self) -> dict[str, Any]:
        return {"version": 0, "block": self._block(self._root)}

    def _block(self, name: str) -> dict[str, Any]:
        block: dict[str, Any] = {"attributes": {}, "block_types": {}}
        for member in _MEMBER.finditer(self._bodies[name]):
            if self._is_block(member):
                block["block_types"][member["name"]] = self._nested(member)
            else:
                block["attributes"][member["name"]] = {"type": self._type(member), **_flags(member)}
        return {kind: dict(sorted(found.items())) for kind, found in block.items() if found}

    def _is_block(self, member: re.Match[str]) -> bool:
        made = member["made"]
        return bool(
            made and made not in _MAPS and member["name"] in self._blocks and _flags(member) != {"computed": True}
        )

    def _nested(self, member: re.Match[str]) -> dict[str, Any]:
        made = member["made"]
        mode = "single" if member["name"] in self._singles else "set" if member["is_set"] == "true" else "list"
        nested: dict[str, Any] = {"nesting_mode": mode, "block": self._block(_element(made))}
        if member["required"] == "true":
            nested["min_items"] = 1
        if made.endswith("OutputReference") and mode != "single":
            nested["max_items"] = 1
        return nested

    def _type(self, member: re.Match[str]) -> Any:
        made = member["made"]
        if made in _MAPS:
            return ["map", _MAPS[made]]
        if made:
            body = self._bodies[_element(made)]
            fields = {each["name"]: self._type(each) for each in _MEMBER.finditer(body)}
            return ["set" if member["is_set"] == "true" else "list", ["object", fields]]
        read = member["stored"] or member["read"]
        plain: Any = next(kind for getter, kind in _PLAIN.items() if f".{getter}(" in read)
        return ["set", plain[1]] if "tolist(" in read else plain


def _element(made: str) -> str:
    return made if made.endswith("OutputReference") else made.removesuffix("List") + "OutputReference"


def _flags(member: re.Match[str]) -> dict[str, bool]:
    return {flag: True for flag in ("required", "optional", "computed") if member[flag] == "true"}


def _sources(wheel: Path) -> Iterator[tuple[str, str]]:
    """Each folder's name and its TypeScript."""
    with zipfile.ZipFile(wheel) as packed:
        (inner,) = [name for name in packed.namelist() if name.endswith(".jsii.tgz")]
        archive = io.BytesIO(packed.read(inner))
    with tarfile.open(fileobj=archive) as files:
        for file in files:
            found = re.fullmatch(r"package/lib/([\w-]+)/index\.js", file.name)
            if found and found[1] in _wanted():
                script = files.extractfile(file)
                assert script is not None
                encoded = re.search(rb"sourceMappingURL=data:application/json;base64,(\S+)", script.read())
                assert encoded is not None, file.name
                yield found[1], json.loads(base64.b64decode(encoded[1]))["sourcesContent"][0]


def _wanted() -> dict[str, tuple[str, str]]:
    """Folder → part of the schema, and name in it."""
    resources = {name.replace("_", "-"): ("resource_schemas", f"google_{name}") for name in RESOURCES}
    data = {f"data-google-{name.replace('_', '-')}": ("data_source_schemas", f"google_{name}") for name in DATA_SOURCES}
    return {**resources, **data}


def derived(wheel: Path) -> dict[str, Any]:
    google: dict[str, Any] = {
        "provider": {"block": {"attributes": {name: {**_STRING, "optional": True} for name in _CONFIGURATION}}},
        "resource_schemas": {}, "data_source_schemas": {},
        "ephemeral_resource_schemas": {name: {"block": {"attributes": each}} for name, each in _EPHEMERAL.items()},
    }  # fmt: skip
    for folder, text in sorted(_sources(wheel)):
        part, name = _wanted()[folder]
        google[part][name] = Source(text).schema()
    for resource, names in _WRITE_ONLY.items():
        for name in names:
            google["resource_schemas"][resource]["block"]["attributes"][name]["write_only"] = True
    random = {
        "provider": {"block": {}},
        "ephemeral_resource_schemas": {"random_password": {"block": {"attributes": _RANDOM["random_password"]}}},
    }
    return {"notice": NOTICE, "google": google, "random": random}


def _a_line_each(value: Any, depth: int = 3) -> str:
    """JSON in which every schema is a line, so that a change can be read."""
    if depth == 0 or not isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return (
        "{\n"
        + ",\n".join(f"{json.dumps(name)}: {_a_line_each(each, depth - 1)}" for name, each in value.items())
        + "\n}"
    )


def main(folder: str | None) -> None:
    with tempfile.TemporaryDirectory() as own:
        place = Path(folder or own)
        if not folder:
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", own, PACKAGE]
            subprocess.run(fetch, check=True)
        (wheel,) = place.glob("cdktf_cdktf_provider_google-*.whl")
        found = derived(wheel)
    expected = len(_wanted())
    made = sum(len(found["google"][part]) for part in ("resource_schemas", "data_source_schemas"))
    if made != expected:
        raise SystemExit(f"{wheel.name} has {made} of the {expected} schemas")
    TARGET.write_text(_a_line_each(found) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
