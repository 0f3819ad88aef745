"""How the local Azure Container Instances run out: of capacity, of rates, of groups and of cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from azure.core import exceptions

from dispatcher.testing.clock import HandClock
from dispatcher.testing.servers.azure.limits import Limit
from dispatcher.testing.servers.azure.regions import Size
from dispatcher.testing.servers.azure.resource_group import ResourceGroup, current, refused, retry_after

Json = dict[str, Any]
LACKS = "is not available in the location 'westeurope' at this moment"


class TestCapacity:
    @pytest.mark.parametrize("how", ["at once", "later"])
    def test_what_found_none_is_there_and_may_start_later(self, mine: ResourceGroup, how: str) -> None:
        mine.api.fail_next("capacity" if how == "at once" else "provisioning")
        if how == "at once":
            with pytest.raises(exceptions.HttpResponseError, match=LACKS) as caught:
                mine.put(mine.body("true"), "late")
            assert refused(caught.value) == (409, "ServiceUnavailable")
        else:
            with pytest.raises(exceptions.HttpResponseError, match=LACKS):
                mine.groups.begin_create_or_update(mine.name, "late", mine.body("true")).result()
        found = mine.get("late")
        assert (found.provisioning_state, found.instance_view.state, current(found).state) == (
            "Failed", "Pending", "Waiting",
        )  # fmt: skip

        assert mine.api.capacity_returns() == ["late"]

        assert mine.ended("late").instance_view.state == "Succeeded"

    def test_what_was_deleted_never_starts(self, mine: ResourceGroup) -> None:
        mine.api.behave(without_capacity=frozenset({"westeurope"}))
        with pytest.raises(exceptions.HttpResponseError, match=LACKS):
            mine.put(mine.body("true"), "deleted")
        mine.delete("deleted")

        assert mine.api.capacity_returns() == []

    def test_what_was_stopped_never_starts(self, mine: ResourceGroup) -> None:
        mine.api.fail_next("provisioning")
        name = mine.start("true")
        mine.groups.stop(mine.name, name)

        assert mine.api.capacity_returns() == []
        assert mine.get(name).instance_view.state == "Stopped"

    def test_another_region_has_its_own(self, mine: ResourceGroup) -> None:
        mine.api.behave(without_capacity=frozenset({"westeurope"}))

        name = mine.put(mine.body("true", location="North Europe"))

        assert mine.ended(name).location == "northeurope"

    @pytest.mark.parametrize(
        "asked",
        [
            {"cpu": 5, "memoryInGB": 8},
            {"cpu": 1, "memoryInGB": 17},
            {"cpu": 1, "memoryInGB": 1, "gpu": {"count": 1, "sku": "V100"}},
        ],
    )
    def test_what_is_too_large_for_a_region_is_said_so_too(self, mine: ResourceGroup, asked: Json) -> None:
        mine.api.behave(sizes={"westeurope": Size(4, 16)})

        with pytest.raises(exceptions.HttpResponseError, match=LACKS):
            mine.start("true", container={"resources": {"requests": asked}})

    def test_an_image_that_cannot_be_pulled_keeps_it_waiting(self, mine: ResourceGroup) -> None:
        mine.api.fail_next("image pull")
        name = mine.start("true")

        found = mine.get(name)

        assert (found.provisioning_state, current(found).detail_status) == ("Failed", "ImagePullBackOff")
        assert "Failed to pull image" in found.containers[0].instance_view.events[-1].message


class TestLimits:
    def test_there_are_100_creates_in_any_five_minutes(self, mine: ResourceGroup, clock: HandClock) -> None:
        """A name that is taken counts as one that is new."""
        name = mine.start("sleep", "60")
        mine.until(name, "Running")
        for _ in range(49):
            mine.put(mine.body("sleep", "60"), name)
        clock.move(timedelta(minutes=4))
        for _ in range(50):
            mine.put(mine.body("sleep", "60"), name)

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.start("true")

        assert refused(caught.value) == (429, "TooManyRequests")
        assert retry_after(caught.value) == 60
        clock.move(timedelta(minutes=1))
        mine.start("true")

    def test_there_are_as_many_in_an_hour_as_there_may_be(self, mine: ResourceGroup, clock: HandClock) -> None:
        mine.api.behave(rates=(Limit(3, 60), Limit(2, 5)))
        for _ in range(3):
            mine.start("true")
            clock.move(timedelta(minutes=5))

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.start("true")

        assert retry_after(caught.value) == 45 * 60
        mine.ended(mine.put(mine.body("true", location="northeurope")))

    def test_deletes_are_counted_for_themselves(self, mine: ResourceGroup) -> None:
        names = [mine.start("true"), mine.start("true")]
        for name in names:
            mine.ended(name)
        mine.api.behave(rates=(Limit(1, 5),))
        mine.delete(names[0])

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.delete(names[1])

        assert refused(caught.value) == (429, "TooManyRequests")

    def test_groups_count_until_they_are_deleted(self, mine: ResourceGroup) -> None:
        mine.api.behave(most_groups=1)
        name = mine.start("true")
        mine.ended(name)

        with pytest.raises(exceptions.HttpResponseError, match="quota 'ContainerGroups' exceeded") as caught:
            mine.start("true")

        assert refused(caught.value) == (400, "ContainerGroupQuotaReached")
        mine.delete(name)
        mine.start("true")

    def test_cores_count_until_they_are_given_back(self, mine: ResourceGroup) -> None:
        mine.api.behave(most_cores=1)
        name = mine.start("sleep", "60")

        with pytest.raises(exceptions.HttpResponseError, match="quota 'StandardCores' exceeded"):
            mine.start("true")

        mine.until(name, "Running")
        mine.groups.stop(mine.name, name)
        mine.until(name, "Stopped")
        mine.start("true")

    def test_many_at_once_are_counted_one_by_one(self, mine: ResourceGroup) -> None:
        mine.api.behave(rates=(Limit(5, 5),))

        def start(_: int) -> bool:
            try:
                mine.start("true")
            except exceptions.HttpResponseError:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(start, range(16))) == 5
