# What the dispatch function may do for this pool. Roles of one's own are known to the whole tenant by their names, so these
# name their place.
resource "azurerm_role_definition" "dispatch" {
  name              = "${local.name}: container groups in ${local.resource_group.id}"
  description       = "pushpool: dispatch, for the pool ${var.pool}"
  scope             = local.resource_group.id
  assignable_scopes = [local.resource_group.id]

  permissions {
    actions = [
      "Microsoft.ContainerInstance/containerGroups/containers/logs/read",
      "Microsoft.ContainerInstance/containerGroups/delete",
      "Microsoft.ContainerInstance/containerGroups/read",
      "Microsoft.ContainerInstance/containerGroups/stop/action",
      "Microsoft.ContainerInstance/containerGroups/write",
      "Microsoft.Resources/subscriptions/resourceGroups/read", # its location, for a pool without a region
    ]
  }
}

resource "azurerm_role_assignment" "dispatch" {
  scope              = local.resource_group.id
  role_definition_id = azurerm_role_definition.dispatch.role_definition_resource_id
  principal_id       = local.dispatcher_principal_id
  principal_type     = "ServicePrincipal" # so that one that was just made is not looked for
}

locals {
  # What a group can be given, each on the listed ones alone: Azure asks it of whoever makes the group.
  attachments = {
    identities = { action = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", ids = var.identities }
    subnets    = { action = "Microsoft.Network/virtualNetworks/subnets/join/action", ids = var.subnet_ids }
  }

  # A role can be assigned below these; they cannot be single resources (Azure RBAC documentation, "AssignableScopes").
  attachment_scopes = {
    for kind, attachment in local.attachments : kind => distinct([for id in attachment.ids : regex("^/subscriptions/[^/]+/resourceGroups/[^/]+", id)])
  }
}

resource "azurerm_role_definition" "attachment" {
  for_each = { for kind, attachment in local.attachments : kind => attachment if length(attachment.ids) > 0 }

  name              = "${local.name}: ${each.key} of ${local.resource_group.id}"
  description       = "pushpool: what container groups of the pool ${var.pool} can be given"
  scope             = local.attachment_scopes[each.key][0]
  assignable_scopes = local.attachment_scopes[each.key]

  permissions {
    actions = [each.value.action]
  }
}

resource "azurerm_role_assignment" "attachment" {
  for_each = merge([
    for kind, attachment in local.attachments : { for index, id in attachment.ids : "${kind} ${index}" => { kind = kind, id = id } }
  ]...)

  scope              = each.value.id
  role_definition_id = azurerm_role_definition.attachment[each.value.kind].role_definition_resource_id
  principal_id       = local.dispatcher_principal_id
  principal_type     = "ServicePrincipal"
}
