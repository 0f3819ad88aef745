# Each run gives each variable one bad value; a variable with several rules has a run for each.
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

variables {
  package         = "tests/packages/pushpool-aws-python3.11-x86_64.zip"
  make_token_keys = false
}

run "bad_values_are_refused" {
  command = plan

  variables {
    name                     = "Pushpool"
    package                  = "tests/packages/pushpool.zip"
    public_url               = "https://api.example/"
    api                      = { memory_mb = 128 }
    dispatch                 = { memory_mb = 128 }
    cluster_arns             = ["default"]
    retention_days           = 0
    heartbeat_seconds        = 0
    log_level                = "info"
    log_retention_days       = 31
    environment              = { "1" = "starts with a digit" }
    google_credentials       = jsonencode({ type = "service_account", private_key = "key" })
    token_keys               = "k1:too-short"
    token_keys_version       = 0
    secret_recovery_days     = 6
    kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:alias/pushpool"
    permissions_boundary_arn = "boundary"
    alarms                   = { topic_arns = ["topic"] }
  }

  expect_failures = [
    var.name,
    var.package,
    var.public_url,
    var.api,
    var.dispatch,
    var.cluster_arns,
    var.retention_days,
    var.heartbeat_seconds,
    var.log_level,
    var.log_retention_days,
    var.environment,
    var.google_credentials,
    var.token_keys,
    var.token_keys_version,
    var.secret_recovery_days,
    var.kms_key_arn,
    var.permissions_boundary_arn,
    var.alarms,
  ]
}

run "further_bad_values_are_refused" {
  command = plan

  variables {
    name                 = "ends-with-a-hyphen-"
    package              = "dist/missing/pushpool-aws-python3.11-x86_64.zip"
    public_url           = "https://api.example?stage=prod"
    api                  = { reserved_concurrency = 0 }
    dispatch             = { timeout_seconds = 901 }
    retention_days       = 3651
    heartbeat_seconds    = 1.5
    environment          = { PUSHPOOL_STORE = "dynamodb://other" }
    google_credentials   = "gs://bucket/credentials.json"
    token_keys           = "mIqOcZkXb6OuVOLJtNYUnGiAaERjzPNBVdP0gjgwFzumsjBsEJEtT06t4GvH6f5J"
    token_keys_version   = 1.5
    secret_recovery_days = 31
  }

  expect_failures = [
    var.name,
    var.package,
    var.public_url,
    var.api,
    var.dispatch,
    var.retention_days,
    var.heartbeat_seconds,
    var.environment,
    var.google_credentials,
    var.token_keys,
    var.token_keys_version,
    var.secret_recovery_days,
  ]
}

run "a_package_for_another_runtime_and_no_concurrency_are_refused" {
  command = plan

  variables {
    package  = "tests/packages/pushpool-aws-python3.9-x86_64.zip"
    api      = { requests_per_second = 0 }
    dispatch = { maximum_concurrency = 1 }
  }

  expect_failures = [var.package, var.api, var.dispatch]
}

run "a_reservation_without_room_for_the_tick_is_refused" {
  command = plan

  variables {
    api      = { request_burst = 5001 }
    dispatch = { maximum_concurrency = 5, reserved_concurrency = 5 }
  }

  expect_failures = [var.api, var.dispatch]
}

run "values_at_their_borders_are_taken" {
  command = plan

  variables {
    name                     = "p2"
    package                  = "tests/packages/pushpool-aws-python3.13-arm64.zip"
    public_url               = "https://api.example/pushpool"
    api                      = { memory_mb = 256, reserved_concurrency = 1, requests_per_second = 0.5, request_burst = 1 }
    dispatch                 = { memory_mb = 10240, timeout_seconds = 900, maximum_concurrency = 2, reserved_concurrency = 3 }
    cluster_arns             = ["arn:aws-us-gov:ecs:us-gov-west-1:123456789012:cluster/jobs_1"]
    retention_days           = 3650
    heartbeat_seconds        = 1
    log_level                = "DEBUG"
    log_retention_days       = 3653
    environment              = { HTTPS_PROXY = "http://proxy.example:3128" }
    token_keys               = "k1:mIqOcZkXb6OuVOLJtNYUnGiAaERjzPNBVdP0gjgwFzumsjBsEJEtT06t4GvH6f5J"
    secret_recovery_days     = 0
    kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/teams/boundary"
    alarms                   = { topic_arns = ["arn:aws:sns:eu-central-1:123456789012:ops"] }
  }
}
