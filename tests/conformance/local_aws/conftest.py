from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from dispatcher.testing.servers.aws_account import AwsAccount
from dispatcher.testing.servers.ecs_cluster import EcsCluster


@pytest.fixture
def cluster(aws_account: AwsAccount) -> Iterator[EcsCluster]:
    yield EcsCluster(aws_account)
    aws_account.forget_faults()


@pytest.fixture
def log_group(aws_account: AwsAccount) -> str:
    name = f"/jobs/{uuid4().hex[:8]}"
    aws_account.client("logs").create_log_group(logGroupName=name)
    return name
