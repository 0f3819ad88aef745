"""The figures that matter, as CloudWatch embedded metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

from dispatcher.functions import figures
from dispatcher.functions.figures import is_count

NAMESPACE = "pushpool"


class Figures(figures.Figures):
    """Metrics of the dimensions Installation and Pool."""

    MOST_VALUES: ClassVar[int] = 100  # in one metric of one line (CloudWatch embedded metric format specification)

    def line(self, pool: str, values: Mapping[str, list[float]], now: float) -> str:
        named = {"Installation": self.installation, **({"Pool": pool} if pool else {})}
        metrics = [{"Name": name, "Unit": "Seconds" if name.endswith("Seconds") else "Count"} for name in values]
        about = {"Namespace": NAMESPACE, "Dimensions": [list(named)], "Metrics": metrics}
        said = {name: found[0] if is_count(name) else found for name, found in values.items()}
        return json.dumps({"_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [about]}, **named, **said})
