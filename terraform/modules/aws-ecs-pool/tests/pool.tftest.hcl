# What the module makes and what dispatch may do for the pool, planned by the real provider without credentials.
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

override_resource {
  target          = aws_iam_role.execution
  override_during = plan
  values          = { arn = "arn:aws:iam::123456789012:role/made" }
}

override_resource {
  target          = aws_cloudwatch_log_group.this
  override_during = plan
  values          = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:made" }
}

variables {
  pool               = "fargate"
  dispatch_role_name = "pushpool-dispatch-eu-central-1"
  cluster_arn        = "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs"
  network            = { subnet_ids = ["subnet-0a1b2c3d"] }
}

run "with_subnets_dispatch_starts_only_the_pools_definitions_in_its_cluster" {
  command = plan

  assert {
    condition = one([for statement in jsondecode(aws_iam_role_policy.dispatch.policy).Statement : statement if statement.Sid == "RunTasks"]) == {
      Sid      = "RunTasks"
      Effect   = "Allow"
      Action   = ["ecs:RunTask"]
      Resource = ["arn:aws:ecs:eu-central-1:123456789012:task-definition/pushpool-fargate-????????????????????????:*"]
      Condition = {
        ArnEquals       = { "ecs:cluster" = "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs" }
        StringNotEquals = { "ecs:enable-execute-command" = "true" }
      }
    }
    error_message = "RunTask must be limited to the pool's definitions, its cluster, and tasks without a shell."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.dispatch.policy, "ec2:")
    error_message = "Rights on EC2 must be given only where a VPC is to be looked up."
  }
}

run "dispatch_passes_only_the_named_roles_and_only_to_tasks" {
  command = plan

  variables {
    execution_role_arns = ["arn:aws:iam::123456789012:role/pull"]
    task_role_arns      = ["arn:aws:iam::123456789012:role/jobs/reports", "arn:aws:iam::123456789012:role/jobs/loads"]
  }

  assert {
    condition = one([for statement in jsondecode(aws_iam_role_policy.dispatch.policy).Statement : statement if statement.Sid == "PassRoles"]) == {
      Sid    = "PassRoles"
      Effect = "Allow"
      Action = ["iam:PassRole"]
      Resource = [
        "arn:aws:iam::123456789012:role/pull",
        "arn:aws:iam::123456789012:role/jobs/reports",
        "arn:aws:iam::123456789012:role/jobs/loads",
      ]
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    }
    error_message = "PassRole must be limited to the named roles and to ECS tasks."
  }

  assert {
    condition     = length(aws_iam_role.execution) == 0 && output.execution_role_arn == "arn:aws:iam::123456789012:role/pull"
    error_message = "A given execution role must be used, and none made."
  }
}

run "with_a_vpc_to_look_into_only_what_cannot_be_limited_is_for_everything" {
  command = plan

  variables {
    network = { vpc_id = "vpc-0a1b2c3d" }
  }

  assert {
    condition = alltrue(flatten([for policy in [aws_iam_role_policy.dispatch, aws_iam_role_policy.execution[0]] : [
      for statement in jsondecode(policy.policy).Statement : [for action in statement.Action : !strcontains(action, "*")]
    ]]))
    error_message = "Actions must be named one by one."
  }

  assert {
    condition = sort(flatten([
      for statement in jsondecode(aws_iam_role_policy.dispatch.policy).Statement : statement.Action if contains(statement.Resource, "*")
      ])) == tolist([
      "ec2:DescribeRouteTables",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
      "ecs:DescribeTaskDefinition",
      "ecs:ListTasks",
      "ecs:RegisterTaskDefinition",
    ])
    error_message = "Only these actions may be for every resource: IAM can limit none of them to one."
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.dispatch.policy).Statement : statement if statement.Sid == "ListTasks"]).Condition == { ArnEquals = { "ecs:cluster" = var.cluster_arn } }
    error_message = "ListTasks must be limited to the cluster."
  }

  assert {
    condition     = output.pool.variables.vpc_id == "vpc-0a1b2c3d" && !can(output.pool.variables.network_configuration)
    error_message = "The pool must name the VPC and leave the rest to dispatch."
  }
}

run "what_is_asked_for_is_allowed" {
  command = plan

  variables {
    allow_execute_command = true
    task_definition_arns  = ["arn:aws:ecs:eu-central-1:123456789012:task-definition/nightly:*"]

    execution = {
      repository_arns = ["arn:aws:ecr:eu-central-1:123456789012:repository/jobs"]
      secret_arns = [
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf",
        "arn:aws:ssm:eu-central-1:123456789012:parameter/jobs/db",
      ]
    }
  }

  assert {
    condition = one([for statement in jsondecode(aws_iam_role_policy.dispatch.policy).Statement : statement if statement.Sid == "RunTasks"]) == {
      Sid    = "RunTasks"
      Effect = "Allow"
      Action = ["ecs:RunTask"]
      Resource = [
        "arn:aws:ecs:eu-central-1:123456789012:task-definition/pushpool-fargate-????????????????????????:*",
        "arn:aws:ecs:eu-central-1:123456789012:task-definition/nightly:*",
      ]
      Condition = { ArnEquals = { "ecs:cluster" = "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs" } }
    }
    error_message = "RunTask must reach the named definitions too, with or without a shell."
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : statement.Sid => statement.Resource } == {
      Logs        = ["arn:aws:logs:eu-central-1:123456789012:log-group:made:*"]
      Images      = ["arn:aws:ecr:eu-central-1:123456789012:repository/jobs"]
      ImagesToken = ["*"]
      Secrets     = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf"]
      Parameters  = ["arn:aws:ssm:eu-central-1:123456789012:parameter/jobs/db"]
    }
    error_message = "The execution role must read the named images, secrets and parameters alone."
  }

  assert {
    condition     = aws_iam_role.execution[0].name == "pushpool-fargate-execution-eu-central-1"
    error_message = "The execution role's name must be the pool's and the region's."
  }
}

run "the_pool_is_handed_out_as_it_stands_in_pushpool_yaml" {
  command = plan

  variables {
    pool           = "nightly.jobs"
    task_role_arns = ["arn:aws:iam::123456789012:role/reports"]
    network        = { subnet_ids = ["subnet-0a1b2c3d"], security_group_ids = ["sg-0a1b2c3d"], assign_public_ip = false }
  }

  assert {
    condition = yamldecode(output.work_pools).work_pools["nightly.jobs"] == {
      type = "ecs:push"
      variables = {
        cluster                   = "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs"
        execution_role_arn        = "arn:aws:iam::123456789012:role/made"
        task_role_arn             = "arn:aws:iam::123456789012:role/reports"
        configure_cloudwatch_logs = true
        cloudwatch_logs_options   = { awslogs-group = "/ecs/pushpool-nightly-jobs", awslogs-create-group = "false" }
        network_configuration     = { subnets = ["subnet-0a1b2c3d"], securityGroups = ["sg-0a1b2c3d"], assignPublicIp = "DISABLED" }
      }
    }
    error_message = "The output must be the pool as pushpool.yaml takes it."
  }

  assert {
    condition     = length(aws_ecs_cluster.this) == 0
    error_message = "With a cluster given, none must be made."
  }
}

run "a_dispatcher_on_google_cloud_gets_the_same_rights_by_its_own_role" {
  command = plan

  variables {
    dispatch_role_name       = null
    google_dispatcher        = { unique_id = "100000000000000000001", audience = "pushpool" }
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition = jsondecode(aws_iam_role.google_dispatcher[0].assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Federated = "accounts.google.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "accounts.google.com:aud"  = "100000000000000000001"
          "accounts.google.com:oaud" = "pushpool"
          "accounts.google.com:sub"  = "100000000000000000001"
        }
      }
    }]
    error_message = "The role must be for that account's tokens of that audience alone."
  }

  assert {
    condition     = aws_iam_role.google_dispatcher[0].name == "pushpool-fargate-dispatch-eu-central-1" && aws_iam_role.google_dispatcher[0].permissions_boundary == var.permissions_boundary_arn
    error_message = "The role must be named after the pool and the region, and bounded."
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.dispatch.policy).Statement : statement.Sid], "RunTasks")
    error_message = "The policy must be the one that a dispatcher on AWS gets."
  }
}
