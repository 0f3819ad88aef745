provider "google" {
  project = var.project
  region  = var.region
}

provider "azurerm" {
  subscription_id                 = var.azure_subscription_id
  resource_provider_registrations = "none"
  resource_providers_to_register  = ["Microsoft.ContainerInstance", "Microsoft.ManagedIdentity"]

  features {}
}

module "dispatcher" {
  source = "../../modules/gcp-dispatcher"

  project             = var.project
  region              = var.region
  name                = var.name
  package             = var.package
  azure_identity      = module.aci.azure_identity
  make_modal_token    = true
  modal_token         = var.modal_token
  modal_token_version = var.modal_token_version
  labels              = { application = "pushpool", installation = var.name }

  database = {
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

  google_dispatcher = {
    unique_id = module.dispatcher.dispatch_unique_id
  }
}

# Of a pool on Modal there is nothing to make but its token: Modal makes the app when the first run asks for it.
locals {
  modal = {
    type      = "modal:push"
    variables = { app = var.name }
  }
}
