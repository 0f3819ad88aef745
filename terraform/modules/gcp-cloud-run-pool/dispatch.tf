# What the dispatch function may do for this pool. Cloud Run's permissions can be given on a project or on one job that is
# there: those of the jobs that are to be made are the project's (Cloud Run documentation, "IAM roles").
resource "google_project_iam_custom_role" "dispatch" {
  project     = var.project
  role_id     = "${replace(local.name, "-", "_")}_jobs"
  title       = substr("pushpool: jobs of the pool ${var.pool}", 0, 100)
  permissions = concat(local.permissions, var.shared_jobs ? ["run.jobs.runWithOverrides"] : [])

  depends_on = [google_project_service.this]
}

locals {
  permissions = [
    "run.executions.cancel", # CancelExecution
    "run.executions.get",    # GetExecution
    "run.executions.list",   # ListExecutions
    "run.jobs.create",       # CreateJob
    "run.jobs.delete",       # DeleteJob
    "run.jobs.get",          # GetJob
    "run.jobs.run",          # RunJob, and CreateJob with a start token
    "run.tasks.list",        # ListTasks, for exit codes
  ]
}

resource "google_project_iam_member" "dispatch" {
  project = var.project
  role    = google_project_iam_custom_role.dispatch.name
  member  = local.dispatcher
}

# On these accounts alone: a job that names another is refused.
resource "google_project_iam_custom_role" "act_as" {
  project     = var.project
  role_id     = "${replace(local.name, "-", "_")}_act_as"
  title       = substr("pushpool: accounts of the pool ${var.pool}", 0, 100)
  permissions = ["iam.serviceAccounts.actAs"]

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "act_as" {
  count = length(local.service_accounts)

  service_account_id = "projects/-/serviceAccounts/${local.service_accounts[count.index]}"
  role               = google_project_iam_custom_role.act_as.name
  member             = local.dispatcher
}

# A pool in another project than the dispatcher's: there the executions' ends are told to its topic too.
resource "google_logging_project_sink" "executions" {
  count = var.events_topic == null ? 0 : 1

  project                = var.project
  name                   = "${local.name}-executions"
  description            = "Executions that pushpool started, as they end."
  destination            = "pubsub.googleapis.com/${var.events_topic}"
  unique_writer_identity = true

  filter = join(" AND ", [
    "logName=\"projects/${var.project}/logs/cloudaudit.googleapis.com%2Fsystem_event\"",
    "resource.type=\"cloud_run_job\"",
    "protoPayload.methodName=(\"/Jobs.RunJob\" OR \"/Jobs.CreateJob\")", # of an execution; of a job that never gets ready
    "protoPayload.response.metadata.labels.\"managed-by\"=\"pushpool\"",
  ])
}

resource "google_pubsub_topic_iam_member" "executions" {
  count = var.events_topic == null ? 0 : 1

  project = split("/", var.events_topic)[1]
  topic   = split("/", var.events_topic)[3]
  role    = "roles/pubsub.publisher"
  member  = google_logging_project_sink.executions[0].writer_identity
}
