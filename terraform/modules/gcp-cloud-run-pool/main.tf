data "google_project" "this" {
  project_id = var.project
}

locals {
  number = data.google_project.this.number
  name   = replace(replace(lower(coalesce(var.name, "pushpool-${var.pool}")), ".", "-"), "_", "-")

  # Who dispatches: an account of Google Cloud, or one that a role in AWS acts as.
  dispatcher       = var.aws_dispatcher == null ? var.dispatcher : google_service_account.dispatcher[0].member
  service_accounts = length(var.service_accounts) > 0 ? var.service_accounts : google_service_account.jobs[*].email

  pool = {
    type = "cloud-run-v2:push"
    variables = {
      project              = var.project
      region               = var.region
      service_account_name = local.service_accounts[0]
    }
  }
}

resource "google_project_service" "this" {
  for_each = var.enable_apis ? toset(concat(
    ["iam.googleapis.com", "run.googleapis.com"],
    var.aws_dispatcher == null ? [] : ["iamcredentials.googleapis.com", "sts.googleapis.com"],
  )) : []

  project            = var.project
  service            = each.value
  disable_on_destroy = false # others in the project may use it
}

# What jobs run as where none is given: it may do nothing but read the named secrets.
resource "google_service_account" "jobs" {
  count = length(var.service_accounts) == 0 ? 1 : 0

  project      = var.project
  account_id   = "${local.name}-jobs"
  display_name = substr("pushpool: jobs of the pool ${var.pool}", 0, 100)

  depends_on = [google_project_service.this]
}

# Cloud Run reads them with the job's own account.
resource "google_secret_manager_secret_iam_member" "jobs" {
  for_each = {
    for pair in setproduct(var.secrets, range(length(local.service_accounts))) :
    "${pair[0]} ${pair[1]}" => { secret = pair[0], account = local.service_accounts[pair[1]] }
  }

  project   = split("/", each.value.secret)[1]
  secret_id = split("/", each.value.secret)[3]
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${each.value.account}"
}

# Who makes a job must be able to read its image, and so must Cloud Run itself (Cloud Run documentation, "Create jobs",
# "Required roles"; "Deploying images from other Google Cloud projects").
resource "google_artifact_registry_repository_iam_member" "images" {
  for_each = {
    for pair in setproduct(var.repositories, ["dispatcher", "service"]) :
    "${pair[0]} ${pair[1]}" => { repository = pair[0], by = pair[1] }
  }

  project    = split("/", each.value.repository)[1]
  location   = split("/", each.value.repository)[3]
  repository = split("/", each.value.repository)[5]
  role       = "roles/artifactregistry.reader"
  member     = each.value.by == "dispatcher" ? local.dispatcher : "serviceAccount:service-${local.number}@serverless-robot-prod.iam.gserviceaccount.com"

  depends_on = [google_project_service.this] # with which Cloud Run's own account comes
}
