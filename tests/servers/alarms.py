"""What ministack forgets to say of alarms in XML, which Terraform's provider speaks: it has all of it."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any
from xml.sax.saxutils import escape

cloudwatch: Any = import_module("ministack.services.cloudwatch")

_DATES = ("StateUpdatedTimestamp", "AlarmConfigurationUpdatedTimestamp")


def install() -> None:
    """DescribeAlarms answers in XML what it answers in JSON."""
    describe = cloudwatch._describe_alarms

    def described(params: Any, cbor_data: Any, is_cbor: bool, is_json: bool = False) -> Any:
        if is_cbor or is_json:
            return describe(params, cbor_data, is_cbor, is_json)
        names = [cloudwatch._p(params, name) for name in params if name.startswith("AlarmNames.member.")]
        status, _, body = describe({}, {"AlarmNames": names}, is_cbor, True)
        alarms = json.loads(body)["MetricAlarms"]
        told = f"<DescribeAlarmsResult><MetricAlarms>{_xml(alarms)}</MetricAlarms></DescribeAlarmsResult>"
        return cloudwatch._xml(status, "DescribeAlarmsResponse", told)

    cloudwatch._describe_alarms = described


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(part)}</{name}>" for name, part in value.items() if _told(name, part))
    if isinstance(value, list):
        return "".join(f"<member>{_xml(part)}</member>" for part in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))


def _told(name: str, part: Any) -> bool:
    return part is not None and name not in _DATES
