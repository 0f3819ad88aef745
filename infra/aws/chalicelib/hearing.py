"""What EventBridge brings of attempts of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatcher.context import Context
from dispatcher.functions import hearing

POOL_TYPE: Mapping[str, str] = {"aws.ecs": "ecs:push"}  # of whom that source speaks


def hear(context: Context, raw: Mapping[str, Any]) -> None:
    whose = {"event": raw.get("id"), "source": raw.get("source")}
    hearing.hear(context, POOL_TYPE.get(str(raw.get("source"))), raw, whose)
