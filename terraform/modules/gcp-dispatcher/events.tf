# How executions ended: Cloud Run's audit log of system events → sink → topic → push to the function.
locals {
  pubsub_agent = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  # A field's name with a hyphen is quoted (Cloud Logging documentation, "Logging query language", "Field path identifiers").
  executions = join(" AND ", [
    "logName=\"projects/${var.project}/logs/cloudaudit.googleapis.com%2Fsystem_event\"",
    "resource.type=\"cloud_run_job\"",
    "protoPayload.methodName=(\"/Jobs.RunJob\" OR \"/Jobs.CreateJob\")", # of an execution; of a job that never gets ready
    "protoPayload.response.metadata.labels.\"managed-by\"=\"pushpool\"",
  ])
}

resource "google_pubsub_topic" "this" {
  for_each = toset(["events", "dead-letters"])

  project      = var.project
  name         = "${var.name}-${each.key}"
  labels       = var.labels
  kms_key_name = var.kms_key

  depends_on = [google_project_service.this]
}

resource "google_logging_project_sink" "executions" {
  project                = var.project
  name                   = "${var.name}-executions"
  description            = "Executions that pushpool started, as they end."
  destination            = "pubsub.googleapis.com/projects/${var.project}/topics/${google_pubsub_topic.this["events"].name}"
  filter                 = local.executions
  unique_writer_identity = true
}

resource "google_pubsub_topic_iam_member" "executions" {
  project = var.project
  topic   = google_pubsub_topic.this["events"].name
  role    = "roles/pubsub.publisher"
  member  = google_logging_project_sink.executions.writer_identity
}

resource "google_pubsub_subscription" "events" {
  project                    = var.project
  name                       = "${var.name}-events"
  topic                      = google_pubsub_topic.this["events"].name
  labels                     = var.labels
  ack_deadline_seconds       = 60 # longer than the function may take
  message_retention_duration = "86400s"

  push_config {
    push_endpoint = local.urls.events

    oidc_token {
      service_account_email = google_service_account.caller["push"].email
      audience              = local.urls.events
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = "projects/${var.project}/topics/${google_pubsub_topic.this["dead-letters"].name}"
    max_delivery_attempts = 20
  }

  # Unused for a month it would else be gone.
  expiration_policy {
    ttl = ""
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker, google_service_account_iam_member.push_token]
}

resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.this["dead-letters"].name
  labels                     = var.labels
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub documentation, "Authentication for push subscriptions": its own account makes the token.
resource "google_service_account_iam_member" "push_token" {
  service_account_id = google_service_account.caller["push"].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.pubsub_agent

  depends_on = [google_pubsub_topic.this] # in a new project the account comes with the first
}

# Pub/Sub documentation, "Handle message failures", "Grant forwarding permissions".
resource "google_pubsub_topic_iam_member" "dead_letters" {
  project = var.project
  topic   = google_pubsub_topic.this["dead-letters"].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  project      = var.project
  subscription = google_pubsub_subscription.events.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
