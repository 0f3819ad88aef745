provider "aws" {
  region = var.region

  default_tags {
    tags = {
      application  = "pushpool"
      installation = var.name
    }
  }
}

data "aws_vpc" "default" {
  count = length(var.subnet_ids) == 0 ? 1 : 0

  default = true
}

data "aws_subnets" "default" {
  count = length(var.subnet_ids) == 0 ? 1 : 0

  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default[0].id]
  }

  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

locals {
  # A task can be attached to 16 subnets at most.
  default_subnet_ids = try(slice(sort(data.aws_subnets.default[0].ids), 0, min(16, length(data.aws_subnets.default[0].ids))), [])
}

module "dispatcher" {
  source = "../../modules/aws-dispatcher"

  name                 = var.name
  package              = var.package
  public_url           = var.public_url
  secret_recovery_days = var.keep_data ? 7 : 0
  cluster_arns         = [module.pool.cluster_arn]

  table = {
    point_in_time_recovery = var.keep_data
    deletion_protection    = var.keep_data
  }

  alarms = {
    topic_arns = var.alarm_topic_arns
  }
}

module "pool" {
  source = "../../modules/aws-ecs-pool"

  pool               = "fargate"
  name               = "${var.name}-fargate"
  dispatch_role_name = module.dispatcher.dispatch_role_name
  task_role_arns     = var.task_role_arns

  execution = {
    repository_arns = var.repository_arns
  }

  network = {
    subnet_ids         = length(var.subnet_ids) > 0 ? var.subnet_ids : local.default_subnet_ids
    security_group_ids = var.security_group_ids
    assign_public_ip   = var.assign_public_ip
  }
}
