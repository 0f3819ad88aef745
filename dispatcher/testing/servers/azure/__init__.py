"""Azure Container Instances on this machine: the REST API of one subscription, and container groups that really run.

* `theirs`       Azure's own client and models
* `schema`       what the SDK's models say of a request; `rules` what the manuals say besides
* `refusals`     errors, as Resource Manager and the service word them; `faults` those that are ordered
* `limits`       how many calls there may be in a while; `regions` where groups can be, how large, and how many
* `subscription` the state: what is there, and what each call does to it
* `life`         a group from creation to its end; `containers` its processes, and what is told of them
* `resources`    groups, operations and logs as the REST API shows them
* `routes`       the paths of that API; `door` what no client can ask for
* `serving`      `azure(folder)`: all of it, with the test's hand on it
* `cloud`        the hand as the infrastructure suite wants it; `resource_group` Azure's own client of it
* `entra`        who gives tokens to those that another cloud signs for

Weaker than the service: nothing takes time, there are no images but those that are told of, init containers are not
run, networks, volumes, probes and ports are checked for their form alone, and who may do what is told by `Manner`.
"""

from dispatcher.testing.servers.azure.serving import IMAGE, REGION, RESOURCE_GROUP, AzureApi, azure

__all__ = ["IMAGE", "REGION", "RESOURCE_GROUP", "AzureApi", "azure"]
