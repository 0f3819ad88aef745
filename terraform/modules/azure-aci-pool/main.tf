data "azurerm_client_config" "current" {}

data "azurerm_resource_group" "this" {
  count = var.resource_group_name == null ? 0 : 1

  name = var.resource_group_name
}

locals {
  name           = replace(coalesce(var.name, "pushpool-${var.pool}"), ".", "-")
  resource_group = one(concat(data.azurerm_resource_group.this[*], azurerm_resource_group.this[*]))

  pool = {
    type = "azure-container-instance:push"
    variables = merge(
      {
        subscription_id     = data.azurerm_client_config.current.subscription_id
        resource_group_name = local.resource_group.name
        region              = var.region
      },
      length(var.other_regions) == 0 ? {} : { other_regions = var.other_regions },
      length(var.identities) == 0 ? {} : { identities = [var.identities[0]] },
      length(var.subnet_ids) == 0 ? {} : { subnet_ids = [var.subnet_ids[0]] },
    )
  }
}

# Nothing but the pool's container groups and the identity that dispatches them.
resource "azurerm_resource_group" "this" {
  count = var.resource_group_name == null ? 1 : 0

  name     = local.name
  location = var.region
  tags     = var.tags
}
