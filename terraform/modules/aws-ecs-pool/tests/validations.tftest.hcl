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
  pool               = "fargate"
  dispatch_role_name = "pushpool-dispatch-eu-central-1"
  network            = { subnet_ids = ["subnet-0a1b2c3d"] }
}

run "bad_values_are_refused" {
  command = plan

  variables {
    pool                     = "with space"
    dispatch_role_name       = "arn:aws:iam::123456789012:role/dispatch"
    cluster_arn              = "jobs"
    execution_role_arns      = ["arn:aws:iam::123456789012:role/*"]
    task_role_arns           = ["*"]
    task_definition_arns     = ["arn:aws:ecs:eu-central-1:123456789012:task-definition/*"]
    execution                = { repository_arns = ["*"] }
    network                  = {}
    log_retention_days       = 31
    kms_key_arn              = "alias/pushpool"
    permissions_boundary_arn = "boundary"
  }

  expect_failures = [
    var.pool,
    var.dispatch_role_name,
    var.cluster_arn,
    var.execution_role_arns,
    var.task_role_arns,
    var.task_definition_arns,
    var.execution,
    var.network,
    var.log_retention_days,
    var.kms_key_arn,
    var.permissions_boundary_arn,
  ]
}

run "further_bad_values_are_refused" {
  command = plan

  variables {
    pool      = "a-pool-whose-name-is-too-long-for-the-name-of-a-role"
    execution = { secret_arns = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:*"] }
    network   = { vpc_id = "default" }
  }

  expect_failures = [var.name, var.execution, var.network]
}

run "what_is_no_service_account_is_refused" {
  command = plan

  variables {
    dispatch_role_name = null
    google_dispatcher  = { unique_id = "dispatch@project.iam.gserviceaccount.com", audience = "push pool" }
  }

  expect_failures = [var.google_dispatcher]
}

run "two_dispatchers_are_refused" {
  command = plan

  variables {
    google_dispatcher = { unique_id = "100000000000000000001" }
  }

  expect_failures = [var.dispatch_role_name]
}

run "no_dispatcher_is_refused" {
  command = plan

  variables {
    dispatch_role_name = null
  }

  expect_failures = [var.dispatch_role_name]
}

run "what_is_no_subnet_and_no_name_is_refused" {
  command = plan

  variables {
    name    = "-starts-with-a-hyphen"
    network = { subnet_ids = ["sg-0a1b2c3d"] }
  }

  expect_failures = [var.name, var.network]
}

run "more_than_five_security_groups_are_refused" {
  command = plan

  variables {
    network = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0a", "sg-0b", "sg-0c", "sg-0d", "sg-0e", "sg-0f"] }
  }

  expect_failures = [var.network]
}

run "values_at_their_borders_are_taken" {
  command = plan

  variables {
    pool                     = "a-pool-whose-name-is-too-long-for-the-name-of-a-role"
    name                     = "short"
    cluster_arn              = "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/jobs_1"
    execution_role_arns      = ["arn:aws:iam::123456789012:role/teams/pull+push@example"]
    task_definition_arns     = ["arn:aws:ecs:eu-central-1:123456789012:task-definition/nightly:3"]
    network                  = { vpc_id = "vpc-0a1b2c3d", security_group_ids = ["sg-0a", "sg-0b", "sg-0c", "sg-0d", "sg-0e"] }
    log_retention_days       = 1
    kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"
    permissions_boundary_arn = "arn:aws:iam::aws:policy/PowerUserAccess"
  }
}
