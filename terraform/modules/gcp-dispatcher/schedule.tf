locals {
  wake_queue = "${var.name}-wake"
  waker      = "cloudtasks:projects/${var.project}/locations/${var.region}/queues/${local.wake_queue}?url=${local.urls.dispatch}&service_account=${google_service_account.caller["invoker"].email}"
}

# A pass over every pool, each minute.
resource "google_cloud_scheduler_job" "tick" {
  project          = var.project
  region           = var.region
  name             = "${var.name}-tick"
  description      = "A pass over every pool, each minute."
  schedule         = "* * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "${var.dispatch.timeout_seconds}s"

  # The next minute's tick does what this one could not.
  retry_config {
    retry_count = 0
  }

  http_target {
    uri         = local.urls.dispatch
    http_method = "POST"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(jsonencode({ source = "pushpool.tick" }))

    oidc_token {
      service_account_email = google_service_account.caller["invoker"].email
      audience              = local.urls.dispatch
    }
  }

  # A pass queries; without its index a query fails.
  depends_on = [
    google_cloud_run_v2_service_iam_member.invoker,
    google_firestore_field.this,
    google_firestore_index.this,
  ]
}

# A wake is a hint: one that failed three times tells nothing that the minute's tick has not found.
resource "google_cloud_tasks_queue" "wake" {
  project  = var.project
  location = var.region
  name     = local.wake_queue

  rate_limits {
    max_concurrent_dispatches = var.dispatch.maximum_concurrency
    max_dispatches_per_second = var.dispatch.wakes_per_second
  }

  retry_config {
    max_attempts  = 3
    min_backoff   = "1s"
    max_backoff   = "10s"
    max_doublings = 3
  }

  depends_on = [google_project_service.this]
}
