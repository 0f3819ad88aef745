"""A provider that knows its resources' schemas, and makes nothing: what is applied is in Terraform's state alone.

Given names become the names that the cloud would give, so that what refers to them reads as it would. The one thing
that it keeps is what was written into secrets, in PUSHPOOL_PROVIDER_STUB, so that it can be read again.
"""

from __future__ import annotations

import json
import os
import secrets
import string
from pathlib import Path
from typing import Any

from tests.servers.terraform_providers.names import ambient, name_of
from tests.servers.terraform_providers.protocol import message
from tests.servers.terraform_providers.values import completed, emptiest, is_unknown, packed, planned, unpacked

SCHEMAS = Path(__file__).with_name("schemas")
_NESTING = {"single": 1, "list": 2, "set": 3}


class Provider:
    """One method for each call of the protocol, of the request the response."""

    def __init__(self, name: str) -> None:
        self._schemas: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
        self._ambient = ambient(name, {})
        self._name = name

    def get_provider_schema(self, _: Any) -> Any:
        answer = message("GetProviderSchema.Response")(server_capabilities={"get_provider_schema_optional": True})
        answer.provider.CopyFrom(_schema(self._schemas["provider"]))
        for part in ("resource_schemas", "data_source_schemas", "ephemeral_resource_schemas"):
            for name, schema in self._schemas.get(part, {}).items():
                getattr(answer, part)[name].CopyFrom(_schema(schema))
        return answer

    def configure_provider(self, request: Any) -> Any:
        self._ambient = ambient(self._name, unpacked(request.config.msgpack) or {})
        return message("ConfigureProvider.Response")()

    def upgrade_resource_state(self, request: Any) -> Any:
        return message("UpgradeResourceState.Response")(upgraded_state={"json": request.raw_state.json})

    def read_resource(self, request: Any) -> Any:
        return message("ReadResource.Response")(new_state=request.current_state)

    def plan_resource_change(self, request: Any) -> Any:
        block = self._schemas["resource_schemas"][request.type_name]["block"]
        proposed = unpacked(request.proposed_new_state.msgpack)
        plan = self._placed(planned(block, proposed, unpacked(request.config.msgpack)))
        return message("PlanResourceChange.Response")(planned_state={"msgpack": packed(plan)})

    def apply_resource_change(self, request: Any) -> Any:
        block = self._schemas["resource_schemas"][request.type_name]["block"]
        plan = unpacked(request.planned_state.msgpack)
        if request.type_name == "google_secret_manager_secret_version":
            _keep(plan, unpacked(request.config.msgpack))
        made = completed(block, plan, lambda path, kind: self._made(request.type_name, plan, path, kind))
        return message("ApplyResourceChange.Response")(new_state={"msgpack": packed(made)})

    def read_data_source(self, request: Any) -> Any:
        block = self._schemas["data_source_schemas"][request.type_name]["block"]
        config = unpacked(request.config.msgpack)
        asked = self._placed(planned(block, config, config))
        made = completed(block, asked, lambda path, kind: self._made(request.type_name, asked, path, kind))
        return message("ReadDataSource.Response")(state={"msgpack": packed(made)})

    def open_ephemeral_resource(self, request: Any) -> Any:
        schemas = self._schemas["ephemeral_resource_schemas"]
        config = unpacked(request.config.msgpack)
        asked = planned(schemas[request.type_name]["block"], config, config)
        text = _random(asked) if request.type_name == "random_password" else _kept(config["secret"])
        made = completed(schemas[request.type_name]["block"], asked, lambda _, kind: emptiest(kind, text))
        return message("OpenEphemeralResource.Response")(result={"msgpack": packed(made)})

    def _placed(self, value: Any) -> Any:
        """In the project or subscription that the provider is configured for, where no other is named."""
        if not isinstance(value, dict):
            return value
        unsaid = {name for name, each in value.items() if is_unknown(each)}
        return {**value, **{name: each for name, each in self._ambient.items() if name in unsaid}}

    def _made(self, kind: str, known: dict[str, Any], path: str, of: Any) -> Any:
        known = {name: value for name, value in known.items() if not is_unknown(value)}
        named = name_of(kind, path, {**self._ambient, **known})
        return emptiest(of, f"{kind}.{path}") if named is None else named


def _schema(schema: dict[str, Any]) -> Any:
    return message("Schema")(version=schema.get("version", 0), block=_block(schema["block"]))


def _block(block: dict[str, Any]) -> Any:
    attributes = [
        {**each, "name": name, "type": json.dumps(each["type"]).encode()}
        for name, each in block.get("attributes", {}).items()
    ]
    nested = [
        {
            "type_name": name, "block": _block(each["block"]), "nesting": _NESTING[each["nesting_mode"]],
            "min_items": each.get("min_items", 0), "max_items": each.get("max_items", 0),
        }
        for name, each in block.get("block_types", {}).items()
    ]  # fmt: skip
    return message("Schema.Block")(attributes=attributes, block_types=nested)


def _random(asked: dict[str, Any]) -> str:
    letters = string.ascii_letters + string.digits + ("" if asked["special"] is False else "!@#$%&*()-_=+[]{}<>:?")
    return "".join(secrets.choice(letters) for _ in range(asked["length"]))


def _file(secret: str) -> Path | None:
    folder = os.environ.get("PUSHPOOL_PROVIDER_STUB")
    return Path(folder) / secret.rpartition("/")[2] if folder else None


def _keep(plan: dict[str, Any] | None, config: dict[str, Any] | None) -> None:
    file = _file(plan["secret"]) if plan else None
    if file and config and isinstance(config["secret_data_wo"], str):
        file.write_text(config["secret_data_wo"], encoding="utf-8")


def _kept(secret: str) -> str:
    file = _file(secret)
    return file.read_text(encoding="utf-8") if file and file.exists() else ""
