"""The figures that matter, as lines of the log from which Terraform makes log-based metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from dispatcher import logs
from dispatcher.functions import figures


class Figures(figures.Figures):
    """Lines whose `message` is "figures", with `installation`, perhaps `pool`, and one number a name in `figures`."""

    MOST_VALUES: ClassVar[int] = 1  # a metric takes one value of an entry ("Distribution metrics", Cloud Logging)

    def line(self, pool: str, values: Mapping[str, list[float]], now: float) -> str:
        words = logs.SEVERITY
        said = {words.at: datetime.fromtimestamp(now, UTC).isoformat(), words.level: "INFO", words.what: "figures"}
        named = {"installation": self.installation, **({"pool": pool} if pool else {})}
        return json.dumps({**said, **named, "figures": {name: found[0] for name, found in values.items()}})
