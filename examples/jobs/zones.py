"""What the example deployments run: questions to the table of the world's time zones, `data/zone1970.tab`."""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

TABLE = Path(__file__).parents[1] / "data" / "zone1970.tab"


def read() -> list[tuple[list[str], float, float, str]]:
    """(countries, latitude, longitude, zone) of every row."""
    rows = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            countries, coordinates, zone = line.split("\t")[:3]
            split = max(coordinates.rfind("+"), coordinates.rfind("-"))
            rows.append((countries.split(","), degrees(coordinates[:split]), degrees(coordinates[split:]), zone))
    return rows


def degrees(text: str) -> float:
    """ISO 6709, ±DDMM, ±DDDMM, ±DDMMSS or ±DDDMMSS, as degrees."""
    digits = text[1:]
    whole = 3 if len(digits) in (5, 7) else 2
    minutes, seconds = int(digits[whole : whole + 2]), int(digits[whole + 2 :] or 0)
    value = int(digits[:whole]) + minutes / 60 + seconds / 3600
    return -value if text[0] == "-" else value


def count(top: int = 5) -> None:
    """How many zones the countries with the most of them have."""
    per_country = Counter(country for countries, *_ in read() for country in countries)
    print(f"{len(per_country)} countries in {len(read())} zones")
    for country, zones in per_country.most_common(top):
        print(f"  {country} {zones}")


def midnight() -> None:
    """In which zones it is midnight now, to the hour."""
    now = datetime.now(ZoneInfo("UTC"))
    found = [zone for *_, zone in read() if now.astimezone(ZoneInfo(zone)).hour == 0]
    print(f"midnight in {len(found)} zones: {', '.join(found[:4])}")


def farthest(zone: str) -> None:
    """Which zone's city is farthest from that of `zone`, over the ground."""
    places = {name: (latitude, longitude) for _, latitude, longitude, name in read()}
    if zone not in places:
        sys.exit(f"{zone!r} is not in {TABLE.name}")
    name, distance = max(((other, apart(places[zone], places[other])) for other in places), key=lambda pair: pair[1])
    time.sleep(0.5)
    print(f"farthest from {zone}: {name}, {distance:.0f} km")


def apart(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Kilometres between two places on a sphere of the earth's mean radius."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(half))


def check() -> None:
    """Fails on purpose: the table never holds a zone on the moon."""
    if not any(zone.startswith("Moon/") for *_, zone in read()):
        print("no zone on the moon", file=sys.stderr)
        sys.exit(3)


def second_time_lucky() -> None:
    """Fails in its first attempt and completes in its second."""
    if os.environ["PUSHPOOL_ATTEMPT"] == "1":
        sys.exit("not this time")
    print(f"{len(read())} zones read in attempt {os.environ['PUSHPOOL_ATTEMPT']}")


def slow(seconds: float = 60) -> None:
    """Walks through the table, slowly."""
    rows = read()
    for *_, zone in rows:
        print(zone, flush=True)
        time.sleep(seconds / len(rows))
