"""Container groups of Azure as a far side: each life has a resource group of its own in one subscription."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from dispatcher.testing.proof.clouds.gated import ALL_FAULTS, Gated, Key, Sight, key_of, told_key
from dispatcher.testing.servers.azure import AzureApi, azure
from dispatcher.testing.servers.azure.life import Group, environment


@contextmanager
def aci(folder: Path) -> Iterator[Callable[[], ResourceGroup]]:
    with azure(folder) as api:
        api.behave(rates=(), most_groups=1000, most_cores=1000, grace_seconds=1.0)
        numbers = count(1)
        yield lambda: ResourceGroup(api, f"life-{next(numbers)}")


class ResourceGroup(Gated):
    """What is in it is read from the subscription itself."""

    type = "azure-container-instance:push"
    faults = ALL_FAULTS

    def __init__(self, api: AzureApi, name: str) -> None:
        place = {"subscription_id": api.subscription.id, "resource_group_name": name, "region": api.region}
        super().__init__(variables={"image": api.image, **place}, environment=api.environment())
        self._api, self._place = api, f"/subscriptions/{api.subscription.id}/resourceGroups/{name}/".lower()
        self._evicted: list[Key] = []
        api.subscription.resource_groups[name] = api.region

    def crash(self, name: str) -> None:
        """Evicted: it is killed, and started once more under the same name (see `restarted`)."""
        key = self.key(name)
        for group in self._live(key):
            self._evicted.append(key)
            self._api.evict(group.id)
        self.wait_for_end(name)

    def restarted(self) -> list[str]:
        """One for each eviction."""
        found = []
        for key, times in Counter(self._evicted).items():
            same = [each.name for each in self.containers() if key_of(each) == key]
            found += same[1 : 1 + times]
        return found

    def forget(self, name: str) -> None:
        for group in self._live(self.key(name)):
            self._api.delete(group.id)
        self.wait_for_end(name)

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        self._api.fail_next(kind, times=times)

    def see(self) -> Sight:
        with self._api.subscription.changing:
            live = [group for group in self._groups() if _is_live(group)]
            return Sight([_key(group) for group in live], [group.name for group in live if _is_ending(group)])

    def left(self) -> list[str]:
        return [group.name for group in self._groups()]

    def close(self) -> None:
        super().close()
        self._api.subscription.ordered.forget()
        for group in self._groups():
            self._api.delete(group.id)

    def _groups(self) -> list[Group]:
        with self._api.subscription.changing:
            known = self._api.subscription.groups.items()
            return [group for id_, group in known if id_.startswith(self._place)]

    def _live(self, key: Key) -> list[Group]:
        return [group for group in self._groups() if _key(group) == key and _is_live(group)]


def _is_live(group: Group) -> bool:
    return group.deployment is not None and not group.deployment.ended.is_set()


def _is_ending(group: Group) -> bool:
    return group.provisioning == "Deleting" or (group.deployment is not None and group.deployment.is_stopping)


def _key(group: Group) -> Key:
    return told_key(environment(group.body["properties"]["containers"][0]))
