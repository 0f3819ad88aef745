# A dispatcher on another cloud: Entra takes that cloud's word for who calls, and lets the one role or account act as an
# identity of this resource group. No key is stored anywhere (Entra documentation, "Workload identity federation").
locals {
  # `sub` of a token that AWS signs is the role's ARN, whatever its session (IAM User Guide, "Understanding token claims");
  # of one that Google signs for a service account, its number.
  trusted = merge(
    var.aws_dispatcher == null ? {} : { aws = { issuer = var.aws_dispatcher.issuer, subject = var.aws_dispatcher.role_arn } },
    var.google_dispatcher == null ? {} : { google = { issuer = "https://accounts.google.com", subject = var.google_dispatcher.unique_id } },
  )

  dispatcher_principal_id = length(local.trusted) == 0 ? var.dispatcher_principal_id : azurerm_user_assigned_identity.dispatcher[0].principal_id
}

resource "azurerm_user_assigned_identity" "dispatcher" {
  count = length(local.trusted) == 0 ? 0 : 1

  name                = "${local.name}-dispatch"
  location            = var.region
  resource_group_name = local.resource_group.name
  tags                = var.tags
}

resource "azurerm_federated_identity_credential" "dispatcher" {
  for_each = local.trusted

  name                = "dispatch-on-${each.key}"
  resource_group_name = local.resource_group.name
  parent_id           = azurerm_user_assigned_identity.dispatcher[0].id
  issuer              = each.value.issuer
  subject             = each.value.subject
  audience            = ["api://AzureADTokenExchange"]
}
