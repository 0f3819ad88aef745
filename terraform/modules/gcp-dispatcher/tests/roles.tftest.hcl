# Who may do what, planned without an account: what only Google could say is said here.
provider "google" {
  access_token = "none"
}

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

override_resource {
  target          = google_service_account.function
  override_during = plan
  values          = { member = "serviceAccount:made" }
}

override_resource {
  target          = google_service_account.caller["invoker"]
  override_during = plan
  values          = { email = "invoker@made", member = "serviceAccount:invoker@made", name = "projects/my-project/serviceAccounts/invoker@made" }
}

override_resource {
  target          = google_service_account.caller["push"]
  override_during = plan
  values          = { email = "push@made", member = "serviceAccount:push@made", name = "projects/my-project/serviceAccounts/push@made" }
}

override_resource {
  target          = google_project_iam_custom_role.this["secrets"]
  override_during = plan
  values          = { name = "projects/my-project/roles/pushpool_secrets" }
}

override_resource {
  target          = google_project_iam_custom_role.this["store"]
  override_during = plan
  values          = { name = "projects/my-project/roles/pushpool_store" }
}

override_resource {
  target          = google_project_iam_custom_role.this["wake"]
  override_during = plan
  values          = { name = "projects/my-project/roles/pushpool_wake" }
}

override_resource {
  target          = google_project_iam_custom_role.this["act_as"]
  override_during = plan
  values          = { name = "projects/my-project/roles/pushpool_act_as" }
}

variables {
  project         = "my-project"
  region          = "europe-west1"
  package         = "tests/packages/pushpool-gcp-python3.11.zip"
  make_token_keys = false
}

run "each_account_has_what_its_calls_need_and_nothing_else" {
  command = plan

  assert {
    condition = { for key, role in google_project_iam_custom_role.this : role.role_id => sort(role.permissions) } == {
      pushpool_store   = tolist(["datastore.entities.create", "datastore.entities.delete", "datastore.entities.get", "datastore.entities.list", "datastore.entities.update"])
      pushpool_wake    = tolist(["cloudtasks.tasks.create"])
      pushpool_act_as  = tolist(["iam.serviceAccounts.actAs"])
      pushpool_secrets = tolist(["secretmanager.versions.access"])
    }
    error_message = "The roles must have these permissions, each by its name."
  }

  assert {
    condition = alltrue([for member in google_project_iam_member.store :
      member.role == "projects/my-project/roles/pushpool_store" && member.condition[0].expression == "resource.name == \"projects/my-project/databases/pushpool\""
    ])
    error_message = "Functions must reach the installation's database alone."
  }

  assert {
    condition     = sort(keys(google_project_iam_member.store)) == tolist(["api", "dispatch", "events"]) && sort(keys(google_cloud_tasks_queue_iam_member.wake)) == tolist(["api", "dispatch", "events"])
    error_message = "Every function must reach the database and send wakes."
  }

  assert {
    condition     = alltrue([for member in google_service_account_iam_member.act_as : member.service_account_id == "projects/my-project/serviceAccounts/invoker@made" && member.role == "projects/my-project/roles/pushpool_act_as"])
    error_message = "Functions must be able to act as the account that calls dispatch, and as no other."
  }

  assert {
    condition     = alltrue([for member in google_cloud_tasks_queue_iam_member.wake : member.name == "pushpool-wake" && member.role == "projects/my-project/roles/pushpool_wake"])
    error_message = "Tasks must be made in the wake queue alone."
  }

  assert {
    condition = { for key, member in google_secret_manager_secret_iam_member.token_keys : key => [member.secret_id, member.role] } == {
      api      = ["pushpool-token-keys", "projects/my-project/roles/pushpool_secrets"]
      dispatch = ["pushpool-token-keys", "projects/my-project/roles/pushpool_secrets"]
    }
    error_message = "The token keys must be read by the API and dispatch, and by events never."
  }

  assert {
    condition     = google_project_iam_member.job_secrets.condition[0].expression == "resource.name.startsWith(\"projects/123456789012/secrets/pushpool-secrets-\")"
    error_message = "The secrets of jobs must be those of the prefix."
  }

  assert {
    condition = { for key, member in google_cloud_run_v2_service_iam_member.invoker : key => [member.name, member.role, member.member] } == {
      api      = ["pushpool-api", "roles/run.invoker", "allUsers"]
      dispatch = ["pushpool-dispatch", "roles/run.invoker", "serviceAccount:invoker@made"]
      events   = ["pushpool-events", "roles/run.invoker", "serviceAccount:push@made"]
    }
    error_message = "Dispatch must be for the schedule and the queue, events for Pub/Sub."
  }

  assert {
    condition = google_service_account_iam_member.push_token.service_account_id == "projects/my-project/serviceAccounts/push@made" && alltrue([
      for member in [google_service_account_iam_member.push_token.member, google_pubsub_topic_iam_member.dead_letters.member, google_pubsub_subscription_iam_member.dead_letters.member] :
      member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    ])
    error_message = "Pub/Sub's own account must make the push account's tokens and forward dead letters."
  }

  assert {
    condition     = { for key, member in google_project_iam_member.build : key => member.role } == { logs = "roles/logging.logWriter", images = "roles/artifactregistry.writer", sources = "roles/storage.objectViewer" }
    error_message = "The builder must have the three roles that the documentation names."
  }

  assert {
    condition     = google_project_iam_member.build["sources"].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-123456789012-\") || resource.name.startsWith(\"projects/_/buckets/my-project-pushpool-functions/\")"
    error_message = "The builder must read the buckets of functions' sources alone."
  }
}

run "dispatch_alone_may_read_the_token_for_modal" {
  command = plan

  variables {
    make_modal_token = true
  }

  assert {
    condition     = [for member in google_secret_manager_secret_iam_member.modal_token : [member.secret_id, member.role, member.member]] == [["pushpool-modal-token", "projects/my-project/roles/pushpool_secrets", google_service_account.function["dispatch"].member]]
    error_message = "Dispatch, and it alone, must be able to read this one secret."
  }

  assert {
    condition     = !startswith(google_secret_manager_secret.modal_token[0].secret_id, output.job_secret_prefix)
    error_message = "No job must be able to name it."
  }

  assert {
    condition     = length(google_secret_manager_secret_version.modal_token) == 0
    error_message = "Its value must be somebody else's to put in, as long as no version of it is given."
  }
}

run "an_api_behind_ones_own_door_is_not_public" {
  command = plan

  variables {
    api = { public = false }
  }

  assert {
    condition     = !anytrue([for member in google_cloud_run_v2_service_iam_member.invoker : member.member == "allUsers"])
    error_message = "Nobody but named accounts may call a function."
  }
}
