# What is made, planned without an account.
provider "google" {
  access_token = "none"
}

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

override_resource {
  target          = google_service_account.caller["invoker"]
  override_during = plan
  values          = { email = "invoker@made" }
}

override_resource {
  target          = google_service_account.caller["push"]
  override_during = plan
  values          = { email = "push@made" }
}

variables {
  project         = "my-project"
  region          = "europe-west1"
  package         = "tests/packages/pushpool-gcp-python3.11.zip"
  make_token_keys = false
}

run "functions_are_told_where_everything_is" {
  command = plan

  assert {
    condition = google_cloudfunctions2_function.this["api"].service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT       = "my-project"
      PUSHPOOL_EVENTS            = "cloud-run-v2:push,cloud-run:push"
      PUSHPOOL_FUNCTION_SECONDS  = "30"
      PUSHPOOL_HEARTBEAT_SECONDS = "120"
      PUSHPOOL_INSTALLATION      = "pushpool"
      PUSHPOOL_LOG_LEVEL         = "INFO"
      PUSHPOOL_PUBLIC_URL        = "https://pushpool-api-123456789012.europe-west1.run.app"
      PUSHPOOL_RETENTION_DAYS    = "30"
      PUSHPOOL_SECRETS           = "secretmanager://my-project/pushpool"
      PUSHPOOL_STORE             = "firestore://my-project/pushpool"
      PUSHPOOL_WAKER             = "cloudtasks:projects/my-project/locations/europe-west1/queues/pushpool-wake?url=https://pushpool-dispatch-123456789012.europe-west1.run.app&service_account=invoker@made"
    })
    error_message = "The API must have these settings and no other."
  }

  assert {
    condition = { for key in ["dispatch", "events"] : key => {
      for name, value in google_cloudfunctions2_function.this[key].service_config[0].environment_variables : name => value
      if lookup(google_cloudfunctions2_function.this["api"].service_config[0].environment_variables, name, "") != value
      } } == {
      dispatch = {
        PUSHPOOL_FUNCTION_SECONDS = "120"
        PUSHPOOL_OIDC_ACCOUNTS    = "invoker@made"
        PUSHPOOL_OIDC_AUDIENCE    = "https://pushpool-dispatch-123456789012.europe-west1.run.app"
        PUSHPOOL_OIDC_SIGNATURE   = "cloud-run"
      }
      events = {
        PUSHPOOL_OIDC_ACCOUNTS  = "push@made"
        PUSHPOOL_OIDC_AUDIENCE  = "https://pushpool-events-123456789012.europe-west1.run.app"
        PUSHPOOL_OIDC_SIGNATURE = "cloud-run"
      }
    }
    error_message = "Dispatch and events must know whom to expect, besides what the API is told."
  }

  assert {
    condition     = { for key, function in google_cloudfunctions2_function.this : function.name => [function.build_config[0].entry_point, function.build_config[0].runtime] } == { for key in ["api", "dispatch", "events"] : "pushpool-${key}" => [key, "python311"] }
    error_message = "The entry points must be those of infra/gcp/main.py, and the runtime that of the package's name."
  }

  assert {
    condition     = { for key, function in google_cloudfunctions2_function.this : key => function.service_config[0].ingress_settings } == { api = "ALLOW_ALL", dispatch = "ALLOW_INTERNAL_ONLY", events = "ALLOW_INTERNAL_ONLY" }
    error_message = "Only the API may be reached from outside."
  }

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.this : function.service_config[0].min_instance_count == 0])
    error_message = "Nothing may run while there is nothing to do."
  }

  assert {
    condition     = output.first_admin_key == "PUSHPOOL_API_URL= PUSHPOOL_STORE='firestore://my-project/pushpool' pushpool api-key create admin --scope admin"
    error_message = "first_admin_key must be the command for this database."
  }
}

run "ticks_wakes_and_events_come_with_a_token_for_the_function" {
  command = plan

  variables {
    dispatch = { timeout_seconds = 600, maximum_concurrency = 8, wakes_per_second = 20 }
  }

  assert {
    condition = [google_cloud_scheduler_job.tick.schedule, google_cloud_scheduler_job.tick.attempt_deadline, tostring(google_cloud_scheduler_job.tick.retry_config[0].retry_count), base64decode(google_cloud_scheduler_job.tick.http_target[0].body)] == [
      "* * * * *", "600s", "0", "{\"source\":\"pushpool.tick\"}"
    ]
    error_message = "A tick must come each minute, have as long as a pass, and never be repeated."
  }

  assert {
    condition     = google_cloud_scheduler_job.tick.http_target[0].oidc_token[0].audience == google_cloud_scheduler_job.tick.http_target[0].uri && google_cloud_scheduler_job.tick.http_target[0].oidc_token[0].service_account_email == "invoker@made"
    error_message = "A tick must carry a token for the function that it calls."
  }

  assert {
    condition     = google_cloud_tasks_queue.wake.rate_limits[0].max_concurrent_dispatches == 8 && google_cloud_tasks_queue.wake.rate_limits[0].max_dispatches_per_second == 20 && google_cloud_tasks_queue.wake.retry_config[0].max_attempts == 3
    error_message = "Wakes must be limited as was asked, and end after three tries."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["dispatch"].service_config[0].max_instance_count > 8 && google_cloudfunctions2_function.this["dispatch"].service_config[0].max_instance_request_concurrency == 1
    error_message = "The tick must have room beside the wakes."
  }

  assert {
    condition     = google_logging_project_sink.executions.filter == "logName=\"projects/my-project/logs/cloudaudit.googleapis.com%2Fsystem_event\" AND resource.type=\"cloud_run_job\" AND protoPayload.methodName=(\"/Jobs.RunJob\" OR \"/Jobs.CreateJob\") AND protoPayload.response.metadata.labels.\"managed-by\"=\"pushpool\""
    error_message = "The sink must take executions of ours and nothing else."
  }

  assert {
    condition     = google_pubsub_subscription.events.push_config[0].push_endpoint == "https://pushpool-events-123456789012.europe-west1.run.app" && google_pubsub_subscription.events.push_config[0].oidc_token[0].audience == google_pubsub_subscription.events.push_config[0].push_endpoint && google_pubsub_subscription.events.push_config[0].oidc_token[0].service_account_email == "push@made"
    error_message = "Events must be pushed with a token for the function that they go to."
  }

  assert {
    condition     = google_pubsub_subscription.events.ack_deadline_seconds > google_cloudfunctions2_function.this["events"].service_config[0].timeout_seconds
    error_message = "An event must not come again while it is being heard."
  }

  assert {
    condition     = google_pubsub_subscription.events.dead_letter_policy[0].dead_letter_topic == "projects/my-project/topics/pushpool-dead-letters" && google_pubsub_subscription.dead_letters.topic == "pushpool-dead-letters"
    error_message = "Events that cannot be heard must be kept."
  }

  assert {
    condition     = google_pubsub_subscription.events.expiration_policy[0].ttl == "" && google_pubsub_subscription.dead_letters.expiration_policy[0].ttl == ""
    error_message = "A subscription must not expire for want of events."
  }
}

run "what_is_set_is_what_is_made" {
  command = plan

  variables {
    package         = "tests/packages/pushpool-gcp-python3.13.zip"
    make_token_keys = true
    labels          = { team = "data" }
    kms_key         = "projects/my-project/locations/europe-west1/keyRings/pushpool/cryptoKeys/pushpool"
    alerts          = { notification_channels = ["projects/my-project/notificationChannels/1"] }
    aws_role_arn    = "arn:aws:iam::123456789012:role/pushpool-fargate-dispatch-eu-central-1"
    azure_identity  = { tenant_id = "33333333-0000-4000-8000-000000000000", client_id = "22222222-0000-4000-8000-000000000000" }
    aci_creates     = { per_hour = 3000, per_five_minutes = 500 }
    database        = { name = "(default)", location = "eur3", point_in_time_recovery = false, deletion_protection = false }

    make_modal_token    = true
    modal_token         = { token_id = "ak-a1B2", token_secret = "as-c3D4" }
    modal_token_version = 2
  }

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.this : function.build_config[0].runtime == "python313" && function.labels == tomap({ team = "data" })])
    error_message = "The runtime must be that of the package's name, and the labels the given ones."
  }

  assert {
    condition = alltrue(concat(
      [for topic in google_pubsub_topic.this : topic.kms_key_name == var.kms_key],
      [google_firestore_database.this[0].cmek_config[0].kms_key_name == var.kms_key],
      [google_storage_bucket.source.encryption[0].default_kms_key_name == var.kms_key],
    ))
    error_message = "Database, topics and bucket must use the key."
  }

  assert {
    condition     = { for key, function in google_cloudfunctions2_function.this : key => [for name in ["ROLE_ARN", "AUDIENCE"] : lookup(function.service_config[0].environment_variables, "PUSHPOOL_AWS_${name}", "")] } == { api = ["", ""], dispatch = [var.aws_role_arn, "pushpool"], events = ["", ""] }
    error_message = "Dispatch, and it alone, must know the role in AWS."
  }

  assert {
    condition = { for key, function in google_cloudfunctions2_function.this : key => { for name, value in function.service_config[0].environment_variables : name => value if can(regex("^PUSHPOOL_(AZURE|ACI)_", name)) } } == {
      api = {}
      dispatch = {
        PUSHPOOL_ACI_CREATES_PER_FIVE_MINUTES = "500"
        PUSHPOOL_ACI_CREATES_PER_HOUR         = "3000"
        PUSHPOOL_AZURE_CLIENT_ID              = "22222222-0000-4000-8000-000000000000"
        PUSHPOOL_AZURE_FEDERATION             = "google"
        PUSHPOOL_AZURE_TENANT_ID              = "33333333-0000-4000-8000-000000000000"
      }
      events = {}
    }
    error_message = "Dispatch, and it alone, must know as whom it acts in Azure."
  }

  assert {
    condition     = [google_firestore_database.this[0].name, google_firestore_database.this[0].location_id, google_firestore_database.this[0].delete_protection_state, google_firestore_database.this[0].point_in_time_recovery_enablement] == ["(default)", "eur3", "DELETE_PROTECTION_DISABLED", "POINT_IN_TIME_RECOVERY_DISABLED"]
    error_message = "The database must be as it was asked for."
  }

  assert {
    condition     = alltrue([for alert in concat(values(google_monitoring_alert_policy.this), google_monitoring_alert_policy.no_tick) : alert.notification_channels == tolist(var.alerts.notification_channels)])
    error_message = "Every alert must tell the channels."
  }

  assert {
    condition     = alltrue([for alert in values(google_monitoring_alert_policy.this) : alert.alert_strategy[0].auto_close == "1800s"])
    error_message = "An alert must not stay open because what it counts is no longer there: the next would not be told."
  }

  assert {
    condition     = google_monitoring_alert_policy.no_tick[0].conditions[0].condition_absent[0].duration == "300s"
    error_message = "Five minutes without a tick must be an alert."
  }

  assert {
    condition     = length(google_monitoring_alert_policy.this) == 4
    error_message = "Dead letters, errors of dispatch, failed passes and errors of the API must be alerts."
  }

  assert {
    condition     = google_secret_manager_secret.token_keys[0].secret_id == "pushpool-token-keys" && google_secret_manager_secret.token_keys[0].replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == var.kms_key
    error_message = "The secret must have the name that the functions read, and the key."
  }

  assert {
    condition     = google_secret_manager_secret_version.token_keys[0].secret_data == null && google_secret_manager_secret_version.token_keys[0].secret_data_wo_version == 1
    error_message = "The value must be written, and never be in a plan."
  }

  assert {
    condition     = google_secret_manager_secret.modal_token[0].secret_id == "pushpool-modal-token" && google_secret_manager_secret.modal_token[0].replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == var.kms_key && output.modal_token_secret_name == "pushpool-modal-token"
    error_message = "The secret must have the name that dispatch reads, and the key."
  }

  assert {
    condition     = google_secret_manager_secret_version.modal_token[0].secret_data == null && google_secret_manager_secret_version.modal_token[0].secret_data_wo_version == 2
    error_message = "The value must be written, and never be in a plan."
  }
}

run "a_project_of_a_domain_has_a_bucket_too" {
  command = plan

  variables {
    project = "example.com:my-project"
  }

  # Cloud Storage documentation, "Bucket names".
  assert {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", google_storage_bucket.source.name))
    error_message = "The bucket must have a name that needs no domain's proof."
  }
}

run "what_is_there_already_is_left_alone" {
  command = plan

  variables {
    database    = { name = "shared", make = false }
    enable_apis = false
    alerts      = { enabled = false }
  }

  assert {
    condition     = length(google_firestore_database.this) == 0 && alltrue([for index in google_firestore_index.this : index.database == "shared"]) && alltrue([for field in google_firestore_field.this : field.database == "shared"])
    error_message = "No database must be made, and the indexes in the given one."
  }

  assert {
    condition     = length(google_project_service.this) + length(google_logging_metric.this) + length(google_monitoring_alert_policy.this) + length(google_monitoring_alert_policy.no_tick) + length(google_secret_manager_secret.token_keys) + length(google_secret_manager_secret.modal_token) + length(google_secret_manager_secret_iam_member.modal_token) == 0
    error_message = "No API must be turned on, and no alert or secret made."
  }
}
