# What the module makes and what dispatch may do for the pool, planned without a subscription.
provider "azurerm" {
  subscription_id                 = "11111111-0000-4000-8000-000000000000"
  resource_provider_registrations = "none"

  features {}
}

override_data {
  target = data.azurerm_client_config.current
  values = { subscription_id = "11111111-0000-4000-8000-000000000000" }
}

override_data {
  target = data.azurerm_resource_group.this
  values = { id = "/subscriptions/11111111-0000-4000-8000-000000000000/resourceGroups/jobs", location = "westeurope" }
}

override_resource {
  target          = azurerm_resource_group.this
  override_during = plan
  values          = { id = "/subscriptions/11111111-0000-4000-8000-000000000000/resourceGroups/pushpool-aci" }
}

override_resource {
  target          = azurerm_user_assigned_identity.dispatcher
  override_during = plan
  values          = { id = "/made", principal_id = "made", client_id = "22222222-0000-4000-8000-000000000000", tenant_id = "33333333-0000-4000-8000-000000000000" }
}

override_resource {
  target          = azurerm_role_definition.dispatch
  override_during = plan
  values          = { role_definition_resource_id = "/role" }
}

override_resource {
  target          = azurerm_role_definition.attachment["identities"]
  override_during = plan
  values          = { role_definition_resource_id = "/role-of-identities" }
}

override_resource {
  target          = azurerm_role_definition.attachment["subnets"]
  override_during = plan
  values          = { role_definition_resource_id = "/role-of-subnets" }
}

variables {
  pool           = "aci"
  region         = "westeurope"
  aws_dispatcher = { issuer = "https://a1b2.tokens.sts.global.api.aws", role_arn = "arn:aws:iam::210987654321:role/pushpool-dispatch-eu-central-1" }
}

run "dispatch_may_make_see_stop_and_remove_container_groups_and_nothing_else" {
  command = plan

  assert {
    condition = azurerm_role_definition.dispatch.permissions[0].actions == tolist([
      "Microsoft.ContainerInstance/containerGroups/containers/logs/read",
      "Microsoft.ContainerInstance/containerGroups/delete",
      "Microsoft.ContainerInstance/containerGroups/read",
      "Microsoft.ContainerInstance/containerGroups/stop/action",
      "Microsoft.ContainerInstance/containerGroups/write",
      "Microsoft.Resources/subscriptions/resourceGroups/read",
    ]) && length(azurerm_role_definition.dispatch.permissions) == 1
    error_message = "The role must have these actions, each by its name."
  }

  assert {
    condition     = azurerm_role_definition.dispatch.assignable_scopes == tolist([azurerm_resource_group.this[0].id]) && azurerm_role_definition.dispatch.scope == azurerm_resource_group.this[0].id
    error_message = "The role must be for the one resource group."
  }

  assert {
    condition     = [azurerm_role_assignment.dispatch.scope, azurerm_role_assignment.dispatch.role_definition_id, azurerm_role_assignment.dispatch.principal_id] == [azurerm_resource_group.this[0].id, "/role", "made"]
    error_message = "Dispatch must have the role on the resource group, and nowhere else."
  }

  assert {
    condition     = length(azurerm_role_definition.attachment) + length(azurerm_role_assignment.attachment) == 0
    error_message = "Without identities and subnets there must be no right on any."
  }
}

run "groups_get_the_listed_identities_and_subnets_alone" {
  command = plan

  variables {
    identities = [
      "/subscriptions/s1/resourceGroups/shared/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reports",
      "/subscriptions/s1/resourceGroups/shared/providers/Microsoft.ManagedIdentity/userAssignedIdentities/loads",
    ]
    subnet_ids = ["/subscriptions/s1/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/main/subnets/jobs"]
  }

  assert {
    condition = { for key, role in azurerm_role_definition.attachment : key => [role.permissions[0].actions, role.scope, role.assignable_scopes] } == {
      identities = [tolist(["Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"]), "/subscriptions/s1/resourceGroups/shared", tolist(["/subscriptions/s1/resourceGroups/shared"])]
      subnets    = [tolist(["Microsoft.Network/virtualNetworks/subnets/join/action"]), "/subscriptions/s1/resourceGroups/network", tolist(["/subscriptions/s1/resourceGroups/network"])]
    }
    error_message = "Each role must allow one thing, and be assignable where the listed ones are."
  }

  assert {
    condition = [for assignment in azurerm_role_assignment.attachment : [assignment.scope, assignment.role_definition_id, assignment.principal_id]] == [
      [var.identities[0], "/role-of-identities", "made"],
      [var.identities[1], "/role-of-identities", "made"],
      [var.subnet_ids[0], "/role-of-subnets", "made"],
    ]
    error_message = "Each listed identity and subnet must be dispatch's to give, and nothing wider."
  }

  assert {
    condition     = [output.pool.variables.identities, output.pool.variables.subnet_ids] == [[var.identities[0]], [var.subnet_ids[0]]]
    error_message = "The first of each must be the pool's own choice."
  }
}

run "one_role_of_one_account_is_let_in" {
  command = plan

  assert {
    condition = [for credential in azurerm_federated_identity_credential.dispatcher : [credential.name, credential.parent_id, credential.issuer, credential.subject, credential.audience]] == [
      ["dispatch-on-aws", "/made", "https://a1b2.tokens.sts.global.api.aws", "arn:aws:iam::210987654321:role/pushpool-dispatch-eu-central-1", tolist(["api://AzureADTokenExchange"])],
    ]
    error_message = "Only that role, signed for by its account, for Entra alone, must be let in."
  }

  assert {
    condition     = output.azure_identity == { tenant_id = "33333333-0000-4000-8000-000000000000", client_id = "22222222-0000-4000-8000-000000000000" } && output.dispatcher_principal_id == "made"
    error_message = "The dispatcher must be told as whom it acts, and a further pool's module whom to give rights to."
  }
}

run "dispatchers_on_both_clouds_can_be_let_in" {
  command = plan

  variables {
    google_dispatcher = { unique_id = "123456789012345678901" }
  }

  assert {
    condition     = { for key, credential in azurerm_federated_identity_credential.dispatcher : key => [credential.issuer, credential.subject] }.google == ["https://accounts.google.com", "123456789012345678901"] && length(azurerm_federated_identity_credential.dispatcher) == 2
    error_message = "The account must be let in by its number, which no other ever gets."
  }
}

run "a_further_pool_gives_its_rights_to_the_same_identity" {
  command = plan

  variables {
    aws_dispatcher          = null
    dispatcher_principal_id = "44444444-0000-4000-8000-000000000000"
    resource_group_name     = "jobs"
  }

  assert {
    condition     = azurerm_role_assignment.dispatch.principal_id == var.dispatcher_principal_id && azurerm_role_assignment.dispatch.scope == "/subscriptions/11111111-0000-4000-8000-000000000000/resourceGroups/jobs"
    error_message = "The rights must be the given identity's, on the given resource group."
  }

  assert {
    condition     = length(azurerm_resource_group.this) + length(azurerm_user_assigned_identity.dispatcher) + length(azurerm_federated_identity_credential.dispatcher) == 0 && output.azure_identity == null
    error_message = "No resource group and no identity must be made where they are given."
  }
}

run "the_pool_is_handed_out_as_it_stands_in_pushpool_yaml" {
  command = plan

  variables {
    pool          = "nightly.jobs"
    other_regions = ["northeurope", "eastus2"]
    tags          = { team = "data" }
  }

  assert {
    condition = yamldecode(output.work_pools).work_pools["nightly.jobs"] == {
      type = "azure-container-instance:push"
      variables = {
        subscription_id     = "11111111-0000-4000-8000-000000000000"
        resource_group_name = "pushpool-nightly-jobs"
        region              = "westeurope"
        other_regions       = ["northeurope", "eastus2"]
      }
    }
    error_message = "The output must be the pool as pushpool.yaml takes it."
  }

  assert {
    condition     = [azurerm_resource_group.this[0].name, azurerm_user_assigned_identity.dispatcher[0].name, azurerm_resource_group.this[0].location] == ["pushpool-nightly-jobs", "pushpool-nightly-jobs-dispatch", "westeurope"]
    error_message = "What is made must be named after the pool, and lie in its region."
  }

  assert {
    condition     = azurerm_resource_group.this[0].tags == tomap({ team = "data" }) && azurerm_user_assigned_identity.dispatcher[0].tags == tomap({ team = "data" })
    error_message = "What is made must have the tags."
  }
}
