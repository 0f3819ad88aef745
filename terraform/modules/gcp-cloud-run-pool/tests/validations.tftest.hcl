# Each run gives each variable one bad value; a variable with several rules has a run for each.
provider "google" {
  access_token = "none"
}

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

variables {
  pool       = "cloud-run"
  project    = "my-project"
  region     = "europe-west1"
  dispatcher = "serviceAccount:pushpool-dispatch@my-project.iam.gserviceaccount.com"
}

run "bad_values_are_refused" {
  command = plan

  variables {
    pool             = "with space"
    project          = "My project"
    region           = "europe"
    dispatcher       = "allUsers"
    service_accounts = ["*"]
    secrets          = ["db-password"]
    repositories     = ["europe-docker.pkg.dev/images/jobs"]
    events_topic     = "pushpool-events"
  }

  expect_failures = [
    var.pool,
    var.project,
    var.region,
    var.dispatcher,
    var.service_accounts,
    var.secrets,
    var.repositories,
    var.events_topic,
  ]
}

run "further_bad_values_are_refused" {
  command = plan

  variables {
    pool             = "a-pool-whose-name-is-too-long-for-an-account"
    dispatcher       = "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/aws/*"
    service_accounts = ["serviceAccount:jobs@my-project.iam.gserviceaccount.com"]
    secrets          = ["projects/my-project/secrets/db-password/versions/1"]
  }

  expect_failures = [var.name, var.dispatcher, var.service_accounts, var.secrets]
}

run "no_dispatcher_and_no_name_of_an_account_are_refused" {
  command = plan

  variables {
    name       = "1st-pool"
    dispatcher = null
  }

  expect_failures = [var.name, var.dispatcher]
}

run "two_dispatchers_are_refused" {
  command = plan

  variables {
    aws_dispatcher = { account_id = "210987654321", role_name = "dispatch" }
  }

  expect_failures = [var.dispatcher]
}

run "what_is_no_account_of_aws_is_refused" {
  command = plan

  variables {
    dispatcher     = null
    aws_dispatcher = { account_id = "2109-8765-4321", role_name = "dispatch" }
  }

  expect_failures = [var.aws_dispatcher]
}

run "what_is_no_name_of_a_role_is_refused" {
  command = plan

  variables {
    dispatcher     = null
    aws_dispatcher = { account_id = "210987654321", role_name = "arn:aws:iam::210987654321:role/dispatch" }
  }

  expect_failures = [var.aws_dispatcher]
}

run "what_is_no_partition_is_refused" {
  command = plan

  variables {
    dispatcher     = null
    aws_dispatcher = { account_id = "210987654321", role_name = "dispatch", partition = "china" }
  }

  expect_failures = [var.aws_dispatcher]
}

run "values_at_their_borders_are_taken" {
  command = plan

  variables {
    pool             = "a-pool-whose-name-is-too-long-for-an-account"
    name             = "Short.Name_1"
    project          = "example.com:my-project"
    region           = "northamerica-northeast1"
    dispatcher       = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/aws/subject/dispatch"
    service_accounts = ["123456789012-compute@developer.gserviceaccount.com"]
    secrets          = ["projects/123456789012/secrets/DB_password-1"]
    repositories     = ["projects/images/locations/europe/repositories/jobs"]
    events_topic     = "projects/my-project/topics/events"
  }
}
