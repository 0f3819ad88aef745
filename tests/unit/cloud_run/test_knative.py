"""A job of the API's first version, as one of the second."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.infrastructure.cloud_run.knative import second_version
from dispatcher.errors import InvalidInput

Json = dict[str, Any]


def job(task: Json | None = None, *, annotations: Json | None = None, **container: Any) -> Json:
    spec = {"containers": [{"image": "etl", **container}], **(task or {})}
    template = {"metadata": {"annotations": annotations or {}}, "spec": {"template": {"spec": spec}}}
    return {"apiVersion": "run.googleapis.com/v1", "kind": "Job", "spec": {"template": template}}


def task_of(body: Json) -> Json:
    found: Json = second_version(body)["template"]["template"]
    return found


def test_what_has_another_name_is_renamed() -> None:
    given = {"serviceAccountName": "a@b", "timeoutSeconds": "600", "maxRetries": 2}
    selector = {"nodeSelector": {"run.googleapis.com/accelerator": "nvidia-l4"}}

    made = task_of(job({**given, **selector}))

    assert (made["serviceAccount"], made["timeout"], made["maxRetries"]) == ("a@b", "600", 2)
    assert made["nodeSelector"] == {"accelerator": "nvidia-l4"}


def test_secrets_are_named_as_the_second_version_does() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "latest"}}},
    ]
    volume = {"name": "v", "secret": {"secretName": "key", "items": [{"key": "3", "path": "key.json"}]}}

    made = task_of(job({"volumes": [volume]}, env=env, volumeMounts=[{"name": "v", "mountPath": "/s"}]))

    secret = {"secretKeyRef": {"secret": "secret", "version": "latest"}}
    assert made["containers"][0]["env"] == [{"name": "A", "value": "1"}, {"name": "B", "valueSource": secret}]
    assert made["volumes"][0]["secret"]["secret"] == "key"
    assert made["volumes"][0]["secret"]["items"][0]["version"] == "3"


def test_system_annotations_become_fields_and_others_stay() -> None:
    prefix = "run.googleapis.com/"
    given = {
        f"{prefix}vpc-access-egress": "all-traffic",
        f"{prefix}network-interfaces": '[{"network": "net", "subnetwork": "sub"}]',
        f"{prefix}cloudsql-instances": "p:r:one,p:r:two",
        f"{prefix}execution-environment": "gen2",
        f"{prefix}client-name": "gcloud",
        f"{prefix}vpc-access-connector": None,
        "team.example/owner": "data",
    }

    made = second_version(job(annotations=given))

    task = made["template"]["template"]
    assert task["vpcAccess"] == {
        "egress": "ALL_TRAFFIC",
        "networkInterfaces": [{"network": "net", "subnetwork": "sub"}],
    }
    assert task["volumes"][0]["cloudSqlInstance"] == {"instances": ["p:r:one", "p:r:two"]}
    assert task["containers"][0]["volumeMounts"] == [{"name": "cloudsql", "mountPath": "/cloudsql"}]
    assert task["executionEnvironment"] == "EXECUTION_ENVIRONMENT_GEN2"
    assert made["annotations"] == {"team.example/owner": "data"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (job(annotations={"run.googleapis.com/new": "x"}), "job_body"),
        (job(annotations={"run.googleapis.com/network-interfaces": "["}), "job_body"),
        (job({"restartPolicy": "Never"}), "job_body.spec.template.spec.template.spec.restartPolicy"),
        (job(securityContext={}), "job_body.spec.template.spec.template.spec.containers[0].securityContext"),
        (job({"containers": {}, "volumes": "x"}), "job_body.spec.template.spec.template.spec.volumes"),
        ({"spec": {"template": "x"}}, "job_body.spec.template"),
        ({"spec": {}, "more": 1}, "job_body.more"),
    ],
)
def test_what_is_not_known_is_refused_with_its_path(body: Json, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        second_version(body)

    assert refused.value.path == path
