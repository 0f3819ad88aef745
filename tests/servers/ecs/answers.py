"""What goes back to a caller of ECS: checked against AWS's own model of the operation, or a refusal."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from typing import Any

from tests.servers.ecs.theirs import responses

Answer = tuple[int, dict[str, str], bytes]
Json = dict[str, Any]


class Refused(Exception):
    """An error answer of AWS's: code, message and HTTP status. `members` are what its shape has besides."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members

    def answer(self) -> Answer:
        answer: Answer = responses.error_response_json(self.code, self.message, self.status, self.members)
        return answer


def answer(operation: str, payload: Json) -> Answer:
    """The payload, if it is what botocore's model says `operation` returns; else a 500 that names what is not."""
    strange = list(_strange(payload, _model().operation_model(operation).output_shape, operation))
    if strange:
        return Refused("ServerException", f"not as AWS's model has it: {'; '.join(strange)}", 500).answer()
    whole: Answer = responses.json_response(payload)
    return whole


def payload_of(answer: Answer) -> Json:
    """:raises Refused: it is an error."""
    status, _, body = answer
    found: Json = json.loads(body)
    if status != 200:
        raise Refused(found.pop("__type"), found.pop("message", ""), status, **found)
    return found


@cache
def _model() -> Any:
    loaders = import_module("botocore.loaders")
    model = import_module("botocore.model")
    return model.ServiceModel(loaders.create_loader().load_service_model("ecs", "service-2"))


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "long": int, "boolean": bool, "double": (int, float), "float": (int, float),
    "timestamp": (int, float), "list": list, "map": dict, "structure": dict,
}  # fmt: skip


def _strange(value: Any, shape: Any, where: str) -> list[str]:
    if not _fits(value, shape.type_name):
        # ministack keeps times as text, and turns them into numbers on the way out.
        return [] if shape.type_name == "timestamp" and isinstance(value, str) else [f"{where} is {value!r}"]
    if shape.type_name == "structure":
        unknown = [f"{where}.{name} is unknown" for name in value if name not in shape.members]
        known = [(name, shape.members[name]) for name in value if name in shape.members]
        return unknown + [fault for name, member in known for fault in _strange(value[name], member, f"{where}.{name}")]
    if shape.type_name == "list":
        return [fault for item in value for fault in _strange(item, shape.member, f"{where}[]")]
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        return [f"{where} is {value!r}"]
    return []


def _fits(value: Any, type_name: str) -> bool:
    return isinstance(value, _TYPES[type_name])
