provider "aws" {
  region = var.region

  default_tags {
    tags = {
      application  = "pushpool"
      installation = var.name
    }
  }
}

provider "azurerm" {
  subscription_id                 = var.azure_subscription_id
  resource_provider_registrations = "none"
  resource_providers_to_register  = ["Microsoft.ContainerInstance", "Microsoft.ManagedIdentity"]

  features {}
}

module "dispatcher" {
  source = "../../modules/aws-dispatcher"

  name                 = var.name
  package              = var.package
  azure_identity       = module.aci.azure_identity
  make_modal_token     = true
  modal_token          = var.modal_token
  modal_token_version  = var.modal_token_version
  secret_recovery_days = var.keep_data ? 7 : 0

  table = {
    point_in_time_recovery = var.keep_data
    deletion_protection    = var.keep_data
  }
}

module "aci" {
  source = "../../modules/azure-aci-pool"

  pool          = "aci"
  name          = "${var.name}-aci"
  region        = var.azure_region
  other_regions = var.azure_other_regions
  identities    = var.azure_identities
  subnet_ids    = var.azure_subnet_ids
  tags          = { application = "pushpool", installation = var.name }

  aws_dispatcher = {
    issuer   = var.aws_issuer
    role_arn = module.dispatcher.dispatch_role_arn
  }
}

# Of a pool on Modal there is nothing to make but its token: Modal makes the app when the first run asks for it.
locals {
  modal = {
    type      = "modal:push"
    variables = { app = var.name }
  }
}
