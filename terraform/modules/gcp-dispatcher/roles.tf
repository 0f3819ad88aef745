# What each function may do. The API, which the outside world calls, may start no container; only dispatch reads the
# secrets of jobs, and events reads none. Dispatch's rights on Cloud Run come from the pools' modules.
locals {
  role_prefix = replace(var.name, "-", "_")

  roles = {
    # Firestore documentation, "Identity and Access Management", "Required permissions for API methods": BatchGet, Commit
    # of creations, updates and deletions, RunQuery.
    store = {
      title = "store of ${var.name}"
      permissions = [
        "datastore.entities.create",
        "datastore.entities.delete",
        "datastore.entities.get",
        "datastore.entities.list",
        "datastore.entities.update",
      ]
    }
    # CreateTask.
    wake = {
      title       = "wakes of ${var.name}"
      permissions = ["cloudtasks.tasks.create"]
    }
    # Cloud Tasks asks it of whoever makes a task that carries an account's token.
    act_as = {
      title       = "wakes of ${var.name}, as the account that calls dispatch"
      permissions = ["iam.serviceAccounts.actAs"]
    }
    # AccessSecretVersion.
    secrets = {
      title       = "secrets of ${var.name}"
      permissions = ["secretmanager.versions.access"]
    }
  }

  callers = {
    invoker = "pushpool: Cloud Scheduler and Cloud Tasks, calling dispatch"
    push    = "pushpool: Pub/Sub, calling events"
  }
}

resource "google_service_account" "function" {
  for_each = local.functions

  project      = var.project
  account_id   = "${var.name}-${each.key}"
  display_name = each.value.description

  depends_on = [google_project_service.this]
}

# They have no right but to call one function each.
resource "google_service_account" "caller" {
  for_each = local.callers

  project      = var.project
  account_id   = "${var.name}-${each.key}"
  display_name = each.value

  depends_on = [google_project_service.this]
}

resource "google_project_iam_custom_role" "this" {
  for_each = local.roles

  project     = var.project
  role_id     = "${local.role_prefix}_${each.key}"
  title       = "pushpool: ${each.value.title}"
  permissions = each.value.permissions

  depends_on = [google_project_service.this]
}

# Firestore documentation, "Manage databases", "Configure per-database access permissions".
resource "google_project_iam_member" "store" {
  for_each = google_service_account.function

  project = var.project
  role    = google_project_iam_custom_role.this["store"].name
  member  = each.value.member

  condition {
    title      = "database ${local.database}"
    expression = "resource.name == \"projects/${var.project}/databases/${local.database}\""
  }
}

resource "google_cloud_tasks_queue_iam_member" "wake" {
  for_each = google_service_account.function

  project  = var.project
  location = var.region
  name     = google_cloud_tasks_queue.wake.name
  role     = google_project_iam_custom_role.this["wake"].name
  member   = each.value.member
}

resource "google_service_account_iam_member" "act_as" {
  for_each = google_service_account.function

  service_account_id = google_service_account.caller["invoker"].name
  role               = google_project_iam_custom_role.this["act_as"].name
  member             = each.value.member
}

resource "google_secret_manager_secret_iam_member" "token_keys" {
  for_each = { for key, account in google_service_account.function : key => account if key != "events" }

  project   = var.project
  secret_id = local.token_keys
  role      = google_project_iam_custom_role.this["secrets"].name
  member    = each.value.member

  depends_on = [google_secret_manager_secret.token_keys]
}

resource "google_secret_manager_secret_iam_member" "modal_token" {
  count = var.make_modal_token ? 1 : 0

  project   = var.project
  secret_id = google_secret_manager_secret.modal_token[0].secret_id
  role      = google_project_iam_custom_role.this["secrets"].name
  member    = google_service_account.function["dispatch"].member
}

# Secret Manager documentation, "Manage access with IAM Conditions": a version's name begins with its secret's, in which
# the project is its number.
resource "google_project_iam_member" "job_secrets" {
  project = var.project
  role    = google_project_iam_custom_role.this["secrets"].name
  member  = google_service_account.function["dispatch"].member

  condition {
    title      = "secrets of jobs of ${var.name}"
    expression = "resource.name.startsWith(\"projects/${local.number}/secrets/${local.job_secret_prefix}\")"
  }
}
