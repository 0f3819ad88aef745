# What the module makes and what dispatch may do for the pool, planned without an account.
provider "google" {
  access_token = "none"
}

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

override_resource {
  target          = google_service_account.jobs
  override_during = plan
  values          = { email = "jobs@made" }
}

override_resource {
  target          = google_project_iam_custom_role.dispatch
  override_during = plan
  values          = { name = "projects/my-project/roles/made" }
}

override_resource {
  target          = google_project_iam_custom_role.act_as
  override_during = plan
  values          = { name = "projects/my-project/roles/made_act_as" }
}

variables {
  pool       = "cloud-run"
  project    = "my-project"
  region     = "europe-west1"
  dispatcher = "serviceAccount:pushpool-dispatch@my-project.iam.gserviceaccount.com"
}

run "dispatch_may_make_start_see_and_remove_jobs_and_nothing_else" {
  command = plan

  assert {
    condition = sort(google_project_iam_custom_role.dispatch.permissions) == tolist([
      "run.executions.cancel",
      "run.executions.get",
      "run.executions.list",
      "run.jobs.create",
      "run.jobs.delete",
      "run.jobs.get",
      "run.jobs.run",
      "run.tasks.list",
    ])
    error_message = "The role must have these permissions, each by its name."
  }

  assert {
    condition     = google_project_iam_member.dispatch.role == "projects/my-project/roles/made" && google_project_iam_member.dispatch.member == var.dispatcher
    error_message = "The role must be dispatch's."
  }

  assert {
    condition     = google_project_iam_custom_role.dispatch.role_id == "pushpool_cloud_run_jobs" && google_project_iam_custom_role.act_as.role_id == "pushpool_cloud_run_act_as"
    error_message = "The roles must be named after the pool."
  }
}

run "shared_jobs_are_started_with_a_runs_own_arguments_only_where_it_is_asked_for" {
  command = plan

  variables {
    shared_jobs = true
  }

  assert {
    condition     = contains(google_project_iam_custom_role.dispatch.permissions, "run.jobs.runWithOverrides")
    error_message = "The role must have the permission for overrides."
  }
}

run "dispatch_acts_as_the_named_accounts_alone" {
  command = plan

  variables {
    service_accounts = ["reports@my-project.iam.gserviceaccount.com", "loads@my-project.iam.gserviceaccount.com"]
    secrets          = ["projects/other-project/secrets/db-password"]
  }

  assert {
    condition = [for member in google_service_account_iam_member.act_as : [member.service_account_id, member.role, member.member]] == [
      for email in var.service_accounts : ["projects/-/serviceAccounts/${email}", "projects/my-project/roles/made_act_as", var.dispatcher]
    ]
    error_message = "actAs must be given on each named account, and on nothing wider."
  }

  assert {
    condition     = google_project_iam_custom_role.act_as.permissions == toset(["iam.serviceAccounts.actAs"]) && length(google_service_account.jobs) == 0
    error_message = "The role must allow that alone, and no account be made where some are given."
  }

  assert {
    condition = [for member in google_secret_manager_secret_iam_member.jobs : [member.project, member.secret_id, member.member]] == [
      for email in var.service_accounts : ["other-project", "db-password", "serviceAccount:${email}"]
    ]
    error_message = "Each account must read the named secrets."
  }

  assert {
    condition     = output.service_account == "reports@my-project.iam.gserviceaccount.com"
    error_message = "The first account must be the pool's own choice."
  }
}

run "private_images_are_read_by_dispatch_and_by_cloud_run" {
  command = plan

  variables {
    repositories = ["projects/images/locations/europe/repositories/jobs"]
  }

  assert {
    condition = { for key, member in google_artifact_registry_repository_iam_member.images : member.member => [member.project, member.location, member.repository, member.role] } == {
      for member in [var.dispatcher, "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"] : member => ["images", "europe", "jobs", "roles/artifactregistry.reader"]
    }
    error_message = "Who makes a job and who runs it must be able to read its image."
  }
}

run "a_pool_elsewhere_tells_the_dispatchers_topic" {
  command = plan

  variables {
    project      = "other-project"
    events_topic = "projects/my-project/topics/pushpool-events"
  }

  assert {
    condition     = google_logging_project_sink.executions[0].destination == "pubsub.googleapis.com/projects/my-project/topics/pushpool-events" && strcontains(google_logging_project_sink.executions[0].filter, "logName=\"projects/other-project/logs/cloudaudit.googleapis.com%2Fsystem_event\"")
    error_message = "Executions of that project must be told to the topic."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.executions[0].project == "my-project" && google_pubsub_topic_iam_member.executions[0].topic == "pushpool-events"
    error_message = "The sink must be able to publish to the topic."
  }
}

run "the_pool_is_handed_out_as_it_stands_in_pushpool_yaml" {
  command = plan

  variables {
    pool = "nightly.jobs"
  }

  assert {
    condition = yamldecode(output.work_pools).work_pools["nightly.jobs"] == {
      type      = "cloud-run-v2:push"
      variables = { project = "my-project", region = "europe-west1", service_account_name = "jobs@made" }
    }
    error_message = "The output must be the pool as pushpool.yaml takes it."
  }

  assert {
    condition     = google_service_account.jobs[0].account_id == "pushpool-nightly-jobs-jobs" && length(google_logging_project_sink.executions) == 0 && output.google_credentials == null
    error_message = "An account must be made, and nothing that was not asked for."
  }
}
