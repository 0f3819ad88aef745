"""Terraform's plugin protocol, version 6.8: what the pinned release of `tf` has of it, and what that lacks.

It lacks ephemeral resources and write-only arguments (hashicorp/terraform, docs/plugin-protocol/tfplugin6.8.proto).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_descriptors: Any = import_module("google.protobuf.descriptor_pb2")
_factory: Any = import_module("google.protobuf.message_factory")
_pools: Any = import_module("google.protobuf.descriptor_pool")
_theirs: Any = import_module("tf.gen.tfplugin_pb2")

_FIELD = _descriptors.FieldDescriptorProto
_VALUE, _DIAGNOSTIC = ".tfplugin6.DynamicValue", ".tfplugin6.Diagnostic"


def _add(message: Any, name: str, number: int, kind: int, *, of: str = "", repeated: bool = False) -> None:
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    message.field.add(name=name, number=number, type=kind, label=label, type_name=of or None)


def _nested(parent: Any, *names: str) -> Any:
    for name in names:
        parent = next(each for each in parent.nested_type if each.name == name)
    return parent


def _ephemeral(file: Any, name: str, *, asks_value: bool) -> None:
    call = file.message_type.add(name=name)
    request, response = call.nested_type.add(name="Request"), call.nested_type.add(name="Response")
    _add(request, "type_name", 1, _FIELD.TYPE_STRING)
    if asks_value:
        _add(request, "config", 2, _FIELD.TYPE_MESSAGE, of=_VALUE)
    _add(response, "diagnostics", 1, _FIELD.TYPE_MESSAGE, of=_DIAGNOSTIC, repeated=True)
    if name == "OpenEphemeralResource":
        _add(response, "result", 3, _FIELD.TYPE_MESSAGE, of=_VALUE)


def _extended() -> Any:
    file = _descriptors.FileDescriptorProto()
    _theirs.DESCRIPTOR.CopyToProto(file)
    messages = {each.name: each for each in file.message_type}
    _add(_nested(messages["Schema"], "Attribute"), "write_only", 11, _FIELD.TYPE_BOOL)
    answer = _nested(messages["GetProviderSchema"], "Response")
    entry = answer.nested_type.add(name="EphemeralResourceSchemasEntry")
    entry.options.map_entry = True
    _add(entry, "key", 1, _FIELD.TYPE_STRING)
    _add(entry, "value", 2, _FIELD.TYPE_MESSAGE, of=".tfplugin6.Schema")
    of = ".tfplugin6.GetProviderSchema.Response.EphemeralResourceSchemasEntry"
    _add(answer, "ephemeral_resource_schemas", 8, _FIELD.TYPE_MESSAGE, of=of, repeated=True)
    _ephemeral(file, "ValidateEphemeralResourceConfig", asks_value=True)
    _ephemeral(file, "OpenEphemeralResource", asks_value=True)
    _ephemeral(file, "CloseEphemeralResource", asks_value=False)
    pool = _pools.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _extended()


def message(name: str) -> Any:
    """The class of a message, as in `Schema.Block`."""
    return _factory.GetMessageClass(_POOL.FindMessageTypeByName(f"tfplugin6.{name}"))
