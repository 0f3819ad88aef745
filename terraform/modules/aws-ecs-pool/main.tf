data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  ecs       = "arn:${local.partition}:ecs:${local.region}:${local.account}"

  name = replace(coalesce(var.name, "pushpool-${var.pool}"), ".", "-")

  # As the program makes a family's name of a pool's. Its hash has 24 digits: counted, so that a pool cannot reach the
  # definitions of another whose name begins with its own.
  families = "${local.ecs}:task-definition/pushpool-${replace(var.pool, ".", "-")}-????????????????????????:*"

  cluster_arn        = var.cluster_arn == null ? aws_ecs_cluster.this[0].arn : var.cluster_arn
  cluster            = element(split("/", local.cluster_arn), 1)
  execution_role_arn = length(var.execution_role_arns) > 0 ? var.execution_role_arns[0] : aws_iam_role.execution[0].arn
  looks_up_network   = length(var.network.subnet_ids) == 0

  network_configuration = merge(
    length(var.network.subnet_ids) == 0 ? {} : { subnets = var.network.subnet_ids },
    length(var.network.security_group_ids) == 0 ? {} : { securityGroups = var.network.security_group_ids },
    var.network.assign_public_ip == null ? {} : { assignPublicIp = var.network.assign_public_ip ? "ENABLED" : "DISABLED" },
  )

  pool = {
    type = "ecs:push"
    variables = merge(
      {
        cluster                   = local.cluster_arn
        execution_role_arn        = local.execution_role_arn
        configure_cloudwatch_logs = true
        cloudwatch_logs_options = {
          awslogs-group        = aws_cloudwatch_log_group.this.name
          awslogs-create-group = "false"
        }
      },
      length(var.task_role_arns) == 0 ? {} : { task_role_arn = var.task_role_arns[0] },
      length(local.network_configuration) == 0 ? {} : { network_configuration = local.network_configuration },
      local.looks_up_network ? { vpc_id = var.network.vpc_id } : {},
    )
  }
}

resource "aws_ecs_cluster" "this" {
  count = var.cluster_arn == null ? 1 : 0

  name = local.name

  setting {
    name  = "containerInsights"
    value = "disabled" # it is billed by the metric; the figures that matter are pushpool's own
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  count = var.cluster_arn == null ? 1 : 0

  cluster_name       = aws_ecs_cluster.this[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
