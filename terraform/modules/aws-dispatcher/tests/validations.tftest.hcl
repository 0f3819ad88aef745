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
    azure_identity           = { tenant_id = "example.onmicrosoft.com", client_id = "22222222-0000-4000-8000-000000000000" }
    aci_creates              = { per_hour = 300, per_five_minutes = 0 }
    make_modal_token         = true
    modal_token_version      = -1
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
    var.azure_identity,
    var.aci_creates,
    var.token_keys,
    var.token_keys_version,
    var.modal_token_version,
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
    azure_identity       = { tenant_id = "33333333-0000-4000-8000-000000000000", client_id = "pushpool" }
    aci_creates          = { per_hour = 1.5, per_five_minutes = 1 }
    modal_token          = { token_id = "k1", token_secret = "as-c3D4" }
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
    var.azure_identity,
    var.aci_creates,
    var.token_keys,
    var.token_keys_version,
    var.modal_token,
    var.secret_recovery_days,
  ]
}

run "a_package_for_another_runtime_no_concurrency_and_a_version_of_no_token_are_refused" {
  command = plan

  variables {
    package  = "tests/packages/pushpool-aws-python3.9-x86_64.zip"
    api      = { requests_per_second = 0 }
    dispatch = { maximum_concurrency = 1 }

    make_modal_token    = true
    modal_token_version = 1
  }

  expect_failures = [var.package, var.api, var.dispatch, var.modal_token]
}

run "a_reservation_without_room_for_the_tick_and_a_token_without_its_secret_are_refused" {
  command = plan

  variables {
    api                 = { request_burst = 5001 }
    dispatch            = { maximum_concurrency = 5, reserved_concurrency = 5 }
    modal_token         = { token_id = "ak-a1B2", token_secret = "as-c3D4" }
    modal_token_version = 1
  }

  expect_failures = [var.api, var.dispatch, var.modal_token_version]
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
    azure_identity           = { tenant_id = "ABCDEF01-0000-4000-8000-000000000000", client_id = "abcdef01-0000-4000-8000-000000000000" }
    aci_creates              = { per_hour = 1000000, per_five_minutes = 1 }
    token_keys               = "k1:mIqOcZkXb6OuVOLJtNYUnGiAaERjzPNBVdP0gjgwFzumsjBsEJEtT06t4GvH6f5J"
    make_modal_token         = true
    modal_token              = { token_id = "ak-a1B2", token_secret = "as-c3D4" }
    modal_token_version      = 1
    secret_recovery_days     = 0
    kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/teams/boundary"
    alarms                   = { topic_arns = ["arn:aws:sns:eu-central-1:123456789012:ops"] }
  }
}
