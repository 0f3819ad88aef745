"""Reads schemas out of what CDK for Terraform publishes of a provider.

The published classes hold each argument's type and whether it is required, optional or computed, as comments in the
TypeScript that their source maps carry.
"""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

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


def sources(wheel: Path, folders: Collection[str]) -> Iterator[tuple[str, Source]]:
    """Each of the named folders that the wheel has."""
    with zipfile.ZipFile(wheel) as packed:
        (inner,) = [name for name in packed.namelist() if name.endswith(".jsii.tgz")]
        archive = io.BytesIO(packed.read(inner))
    with tarfile.open(fileobj=archive) as files:
        for file in files:
            found = re.fullmatch(r"package/lib/([\w-]+)/index\.js", file.name)
            if found and found[1] in folders:
                script = files.extractfile(file)
                assert script is not None
                yield found[1], Source(_typescript(script.read()))


def _typescript(script: bytes) -> str:
    encoded = re.search(rb"sourceMappingURL=data:application/json;base64,(\S+)", script)
    assert encoded is not None
    text: str = json.loads(base64.b64decode(encoded[1]))["sourcesContent"][0]
    return text
