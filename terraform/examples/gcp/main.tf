provider "google" {
  project = var.project
  region  = var.region
}

module "dispatcher" {
  source = "../../modules/gcp-dispatcher"

  project    = var.project
  region     = var.region
  name       = var.name
  package    = var.package
  public_url = var.public_url
  labels     = { application = "pushpool", installation = var.name }

  database = {
    point_in_time_recovery = var.keep_data
    deletion_protection    = var.keep_data
  }

  alerts = {
    notification_channels = var.notification_channels
  }
}

module "pool" {
  source = "../../modules/gcp-cloud-run-pool"

  pool             = "cloud-run"
  name             = "${var.name}-run"
  project          = var.project
  region           = var.region
  dispatcher       = module.dispatcher.dispatch_member
  service_accounts = var.service_accounts
  secrets          = var.secrets
  repositories     = var.repositories
}
