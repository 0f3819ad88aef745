"""Runs as container groups of Azure Container Instances, each made by a PUT of its own, not by a deployment.

* `rendering`    a job's configuration as the request; pure, as are all down to `outcomes` but `fields`
* `arm`          the container group of an ARM template, as Prefect's skeleton has it
* `attachments`  what a group is given of others': identities, registries, subnets, a log workspace
* `environment`  what containers are told, in the clear and as secure values
* `sizes`        cpu and memory
* `tags`         whose a group is
* `places`       subscriptions, regions, names, handles and links
* `groups`       a group, as GET answers, in the words of the core
* `reasons`      why one did not do what it should, and what to do
* `outcomes`     what an error means for the submission
* `fields`       a group held against the API's model, as the management library has it
* `diagnosis`    whether everything is there, for `doctor`
* `clients`      clients of Azure's, made when they are needed
* `adapter`      the above, as `Infrastructure`
"""

from adapters.infrastructure.aci.adapter import AzureContainerInstances, open  # noqa: A004 - its fixed name

__all__ = ["AzureContainerInstances", "open"]
