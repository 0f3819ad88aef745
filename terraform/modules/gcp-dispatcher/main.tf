data "google_project" "this" {
  project_id = var.project
}

locals {
  number  = data.google_project.this.number
  package = regex("pushpool-gcp-python(?P<major>3)\\.(?P<minor>[0-9]+)\\.zip$", var.package)

  # A service's URL can be told before it is there (Cloud Run documentation, "Invoke with an HTTPS request",
  # "Deterministic URL"), and a function's service has its name. So each function can be told of the others.
  urls       = { for key in ["api", "dispatch", "events"] : key => "https://${var.name}-${key}-${local.number}.${var.region}.run.app" }
  public_url = coalesce(var.public_url, local.urls.api)

  functions = {
    api = {
      description = "pushpool: the HTTP API and the containers' callbacks"
      timeout     = 30
      memory      = var.api.memory_mb
      concurrency = var.api.concurrency
      instances   = var.api.maximum_instances
      ingress     = "ALLOW_ALL"
    }
    dispatch = {
      description = "pushpool: passes, each minute and when woken"
      timeout     = var.dispatch.timeout_seconds
      memory      = var.dispatch.memory_mb
      concurrency = 1
      instances   = var.dispatch.maximum_concurrency + 2 # the minute's tick has room beside the wakes
      ingress     = local.internal
    }
    events = {
      description = "pushpool: what Cloud Run says of its executions"
      timeout     = 30
      memory      = 512
      concurrency = 10
      instances   = 5
      ingress     = local.internal
    }
  }

  # Cloud Scheduler, Cloud Tasks and Pub/Sub of the same project are internal where they use the run.app URL (Cloud Run
  # documentation, "Restrict network ingress").
  internal = "ALLOW_INTERNAL_ONLY"

  environment = merge(var.environment, {
    GOOGLE_CLOUD_PROJECT       = var.project
    PUSHPOOL_INSTALLATION      = var.name
    PUSHPOOL_STORE             = "firestore://${var.project}/${local.database}"
    PUSHPOOL_PUBLIC_URL        = local.public_url
    PUSHPOOL_WAKER             = local.waker
    PUSHPOOL_SECRETS           = "secretmanager://${var.project}/${var.name}"
    PUSHPOOL_RETENTION_DAYS    = tostring(var.retention_days)
    PUSHPOOL_HEARTBEAT_SECONDS = tostring(var.heartbeat_seconds)
    PUSHPOOL_LOG_LEVEL         = var.log_level
    PUSHPOOL_EVENTS            = "cloud-run-v2:push,cloud-run:push"
  })

  # Cloud Run verifies a caller's token, and hands it on without its signature.
  senders = { for key, caller in { dispatch = "invoker", events = "push" } : key => {
    PUSHPOOL_OIDC_AUDIENCE  = local.urls[key]
    PUSHPOOL_OIDC_ACCOUNTS  = google_service_account.caller[caller].email
    PUSHPOOL_OIDC_SIGNATURE = "cloud-run"
  } }

  # Not with the functions above: the accounts, which are made of those, must not wait for a role that lets one of them in.
  environments = {
    api      = {}
    dispatch = merge(local.senders.dispatch, local.clouds)
    events   = local.senders.events
  }
}

locals {
  clouds = merge(
    var.aws_role_arn == null ? {} : { PUSHPOOL_AWS_ROLE_ARN = var.aws_role_arn, PUSHPOOL_AWS_AUDIENCE = var.aws_audience },
    var.azure_identity == null ? {} : {
      PUSHPOOL_AZURE_TENANT_ID  = var.azure_identity.tenant_id
      PUSHPOOL_AZURE_CLIENT_ID  = var.azure_identity.client_id
      PUSHPOOL_AZURE_FEDERATION = "google"
    },
    var.aci_creates == null ? {} : {
      PUSHPOOL_ACI_CREATES_PER_HOUR         = tostring(var.aci_creates.per_hour)
      PUSHPOOL_ACI_CREATES_PER_FIVE_MINUTES = tostring(var.aci_creates.per_five_minutes)
    },
  )
}

resource "google_project_service" "this" {
  for_each = var.enable_apis ? toset([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtasks.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ]) : []

  project            = var.project
  service            = each.value
  disable_on_destroy = false # others in the project may use it
}

resource "google_cloudfunctions2_function" "this" {
  for_each = local.functions

  project     = var.project
  location    = var.region
  name        = "${var.name}-${each.key}"
  description = each.value.description
  labels      = var.labels

  build_config {
    runtime         = "python${local.package.major}${local.package.minor}"
    entry_point     = each.key
    service_account = google_service_account.build.name

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.package.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    available_cpu                    = "1" # less would allow one request at a time alone
    available_memory                 = "${each.value.memory}Mi"
    timeout_seconds                  = each.value.timeout
    min_instance_count               = 0
    max_instance_count               = each.value.instances
    max_instance_request_concurrency = each.value.concurrency
    ingress_settings                 = each.value.ingress
    all_traffic_on_latest_revision   = true

    environment_variables = merge(
      local.environment,
      { PUSHPOOL_FUNCTION_SECONDS = tostring(each.value.timeout) },
      local.environments[each.key],
    )
  }

  # Without its rights a function must not be reached, nor built without the builder's.
  depends_on = [
    google_cloud_tasks_queue_iam_member.wake,
    google_project_iam_member.build,
    google_project_iam_member.job_secrets,
    google_project_iam_member.store,
    google_secret_manager_secret_iam_member.modal_token,
    google_secret_manager_secret_iam_member.token_keys,
    google_service_account_iam_member.act_as,
  ]

  lifecycle {
    postcondition {
      condition     = endswith(self.service_config[0].service, "/${var.name}-${each.key}")
      error_message = "the function's service has another name than the function, so its URL is not the one that the others were told"
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = merge(
    { dispatch = google_service_account.caller["invoker"].member, events = google_service_account.caller["push"].member },
    # Who may do what is decided by the function: API keys with scopes, and run tokens.
    var.api.public ? { api = "allUsers" } : {},
  )

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.this[each.key].name
  role     = "roles/run.invoker"
  member   = each.value
}
