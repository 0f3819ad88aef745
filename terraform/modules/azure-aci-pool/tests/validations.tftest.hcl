# Each run gives each variable one bad value; a variable with several rules has a run for each.
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
  values = { id = "/subscriptions/11111111-0000-4000-8000-000000000000/resourceGroups/jobs" }
}

variables {
  pool           = "aci"
  region         = "westeurope"
  aws_dispatcher = { issuer = "https://a1b2.tokens.sts.global.api.aws", role_arn = "arn:aws:iam::210987654321:role/dispatch" }
}

run "bad_values_are_refused" {
  command = plan

  variables {
    pool                = "with space"
    region              = "West Europe"
    resource_group_name = "ends.with.a.dot."
    aws_dispatcher      = { issuer = "http://a1b2.tokens.sts.global.api.aws", role_arn = "arn:aws:iam::210987654321:role/dispatch" }
    google_dispatcher   = { unique_id = "dispatch@my-project.iam.gserviceaccount.com" }
    identities          = ["reports"]
    subnet_ids          = ["/subscriptions/s1/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/main"]
    tags                = { "a/b" = "data" }
  }

  expect_failures = [
    var.pool,
    var.region,
    var.resource_group_name,
    var.aws_dispatcher,
    var.google_dispatcher,
    var.identities,
    var.subnet_ids,
    var.tags,
  ]
}

run "further_bad_values_are_refused" {
  command = plan

  variables {
    pool                = join("", [for _ in range(72) : "p"])
    region              = "westeurope-1"
    resource_group_name = join("", [for _ in range(91) : "g"])
    aws_dispatcher      = { issuer = "https://a1b2.tokens.sts.global.api.aws", role_arn = "arn:aws:sts::210987654321:assumed-role/dispatch/session" }
    identities          = ["/subscriptions/s1/resourceGroups/shared/providers/Microsoft.ManagedIdentity/userAssignedIdentities/a/b"]
    tags                = { team = join("", [for _ in range(257) : "d"]) }
  }

  expect_failures = [
    var.region,
    var.resource_group_name,
    var.name,
    var.aws_dispatcher,
    var.identities,
    var.tags,
  ]
}

run "what_is_no_region_and_a_slash_behind_the_issuer_are_refused" {
  command = plan

  variables {
    other_regions  = ["North Europe"]
    aws_dispatcher = { issuer = "https://a1b2.tokens.sts.global.api.aws/", role_arn = "arn:aws:iam::210987654321:role/dispatch" }
  }

  expect_failures = [var.other_regions, var.aws_dispatcher]
}

run "the_pools_own_region_and_what_is_no_principal_are_refused" {
  command = plan

  variables {
    other_regions           = ["westeurope"]
    aws_dispatcher          = null
    dispatcher_principal_id = "dispatch"
  }

  expect_failures = [var.other_regions, var.dispatcher_principal_id]
}

run "a_subnet_and_other_regions_are_refused" {
  command = plan

  variables {
    other_regions = ["northeurope"]
    subnet_ids    = ["/subscriptions/s1/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/main/subnets/jobs"]
  }

  expect_failures = [var.other_regions]
}

run "nobody_who_dispatches_is_refused" {
  command = plan

  variables {
    aws_dispatcher = null
  }

  expect_failures = [var.dispatcher_principal_id]
}

run "two_identities_that_dispatch_are_refused" {
  command = plan

  variables {
    dispatcher_principal_id = "44444444-0000-4000-8000-000000000000"
  }

  expect_failures = [var.dispatcher_principal_id]
}

run "values_at_their_borders_are_taken" {
  command = plan

  variables {
    pool                = join("", [for _ in range(100) : "p"])
    name                = "Short.Name_1"
    region              = "uksouth"
    other_regions       = ["eastus2"]
    resource_group_name = "Jobs_(of.all)-"
    aws_dispatcher      = { issuer = "https://a1b2c3d4-e5f6-4000-8000-000000000000.tokens.sts.global.api.aws", role_arn = "arn:aws-us-gov:iam::123456789012:role/teams/dispatch" }
    google_dispatcher   = { unique_id = "123456789012345678901" }
    identities          = ["/subscriptions/s1/resourceGroups/Shared_(1)/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reports_1"]
    tags                = { "hidden-title" = "" }
  }
}
