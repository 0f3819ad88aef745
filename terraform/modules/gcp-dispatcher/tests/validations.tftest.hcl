# Each run gives each variable one bad value; a variable with several rules has a run for each.
provider "google" {
  access_token = "none"
}

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

variables {
  project         = "my-project"
  region          = "europe-west1"
  package         = "tests/packages/pushpool-gcp-python3.11.zip"
  make_token_keys = false
}

run "bad_values_are_refused" {
  command = plan

  variables {
    project             = "123456789012"
    region              = "europe-west1-b"
    name                = "Pushpool"
    package             = "tests/packages/pushpool.zip"
    public_url          = "https://api.example/"
    api                 = { memory_mb = 256 }
    dispatch            = { memory_mb = 4097 }
    database            = { name = "Runs" }
    retention_days      = 0
    heartbeat_seconds   = 0
    log_level           = "info"
    environment         = { "1" = "starts with a digit" }
    aws_role_arn        = "role/dispatch"
    aws_audience        = "push pool"
    azure_identity      = { tenant_id = "example.onmicrosoft.com", client_id = "22222222-0000-4000-8000-000000000000" }
    aci_creates         = { per_hour = 300, per_five_minutes = 0 }
    make_modal_token    = true
    modal_token_version = -1
    token_keys          = "k1:too-short"
    token_keys_version  = 0
    kms_key             = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
    labels              = { Team = "data" }
    alerts              = { notification_channels = ["ops@example.com"] }
  }

  expect_failures = [
    var.project,
    var.region,
    var.name,
    var.package,
    var.public_url,
    var.api,
    var.dispatch,
    var.database,
    var.retention_days,
    var.heartbeat_seconds,
    var.log_level,
    var.environment,
    var.aws_role_arn,
    var.aws_audience,
    var.azure_identity,
    var.aci_creates,
    var.token_keys,
    var.token_keys_version,
    var.modal_token_version,
    var.kms_key,
    var.labels,
    var.alerts,
  ]
}

run "further_bad_values_are_refused" {
  command = plan

  variables {
    project            = "-project"
    region             = "Frankfurt"
    name               = "pushpool-with-a-long-name"
    package            = "dist/missing/pushpool-gcp-python3.11.zip"
    public_url         = "https://api.example?stage=prod"
    api                = { concurrency = 0 }
    dispatch           = { timeout_seconds = 1801 }
    database           = { location = "eu" }
    retention_days     = 3651
    heartbeat_seconds  = 1.5
    environment        = { PUSHPOOL_STORE = "firestore://other" }
    azure_identity     = { tenant_id = "33333333-0000-4000-8000-000000000000", client_id = "pushpool" }
    aci_creates        = { per_hour = 1.5, per_five_minutes = 1 }
    token_keys         = "mIqOcZkXb6OuVOLJtNYUnGiAaERjzPNBVdP0gjgwFzumsjBsEJEtT06t4GvH6f5J"
    token_keys_version = 1.5
    modal_token        = { token_id = "k1", token_secret = "as-c3D4" }
    labels             = { team = "data science" }
  }

  expect_failures = [
    var.project,
    var.region,
    var.name,
    var.package,
    var.public_url,
    var.api,
    var.dispatch,
    var.database,
    var.retention_days,
    var.heartbeat_seconds,
    var.environment,
    var.azure_identity,
    var.aci_creates,
    var.token_keys,
    var.token_keys_version,
    var.modal_token,
    var.labels,
  ]
}

run "a_package_for_another_runtime_and_no_instances_are_refused" {
  command = plan

  variables {
    package  = "tests/packages/pushpool-gcp-python3.10.zip"
    api      = { maximum_instances = 0 }
    dispatch = { maximum_concurrency = 0 }
  }

  expect_failures = [var.package, var.api, var.dispatch]
}

run "a_name_whose_keys_would_read_as_a_jobs_secret_and_a_version_of_no_token_are_refused" {
  command = plan

  variables {
    name                = "pushpool-secrets"
    make_modal_token    = true
    modal_token_version = 1
  }

  expect_failures = [var.name, var.modal_token]
}

run "more_wakes_than_a_queue_gives_and_a_token_without_its_secret_are_refused" {
  command = plan

  variables {
    dispatch            = { wakes_per_second = 501 }
    modal_token         = { token_id = "ak-a1B2", token_secret = "as-c3D4" }
    modal_token_version = 1
  }

  expect_failures = [var.dispatch, var.modal_token_version]
}

run "values_at_their_borders_are_taken" {
  command = plan

  variables {
    project             = "example.com:my-project"
    region              = "northamerica-northeast1"
    name                = "p234"
    package             = "tests/packages/pushpool-gcp-python3.13.zip"
    public_url          = "https://api.example/pushpool"
    api                 = { memory_mb = 4096, concurrency = 1000, maximum_instances = 1 }
    dispatch            = { memory_mb = 512, timeout_seconds = 1800, maximum_concurrency = 998, wakes_per_second = 0.5 }
    database            = { name = "runs", location = "nam5" }
    retention_days      = 3650
    heartbeat_seconds   = 1
    log_level           = "DEBUG"
    environment         = { HTTPS_PROXY = "http://proxy.example:3128" }
    aws_role_arn        = "arn:aws-us-gov:iam::123456789012:role/teams/dispatch"
    aws_audience        = "https://pushpool.example/aws"
    azure_identity      = { tenant_id = "ABCDEF01-0000-4000-8000-000000000000", client_id = "abcdef01-0000-4000-8000-000000000000" }
    aci_creates         = { per_hour = 1000000, per_five_minutes = 1 }
    token_keys          = "k1:mIqOcZkXb6OuVOLJtNYUnGiAaERjzPNBVdP0gjgwFzumsjBsEJEtT06t4GvH6f5J"
    make_modal_token    = true
    modal_token         = { token_id = "ak-a1B2", token_secret = "as-c3D4" }
    modal_token_version = 1
    labels              = { team = "" }
    alerts              = { notification_channels = ["projects/my-project/notificationChannels/1"] }
  }
}
