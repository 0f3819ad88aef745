# The role with which ECS itself pulls images and writes logs, where none is given.
locals {
  makes_execution_role = length(var.execution_role_arns) == 0
  secret_arns          = [for arn in var.execution.secret_arns : arn if strcontains(arn, ":secretsmanager:")]
  parameter_arns       = [for arn in var.execution.secret_arns : arn if strcontains(arn, ":ssm:")]

  execution_statements = concat(
    [{
      Sid      = "Logs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
    }],
    [for arns in length(var.execution.repository_arns) > 0 ? [var.execution.repository_arns] : [] : {
      Sid      = "Images"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = arns
    }],
    # It cannot be limited to a resource (Service Authorization Reference, Amazon ECR).
    [for any in length(var.execution.repository_arns) > 0 ? ["*"] : [] : {
      Sid      = "ImagesToken"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = [any]
    }],
    [for arns in length(local.secret_arns) > 0 ? [local.secret_arns] : [] : {
      Sid      = "Secrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = arns
    }],
    [for arns in length(local.parameter_arns) > 0 ? [local.parameter_arns] : [] : {
      Sid      = "Parameters"
      Effect   = "Allow"
      Action   = ["ssm:GetParameters"]
      Resource = arns
    }],
  )
}

resource "aws_iam_role" "execution" {
  count = local.makes_execution_role ? 1 : 0

  # IAM's names hold for all regions, so they name theirs.
  name                 = "${local.name}-execution-${local.region}"
  description          = "pushpool: what ECS needs to start the tasks of the pool ${var.pool}"
  permissions_boundary = var.permissions_boundary_arn

  # Developer Guide, "Amazon ECS task execution IAM role": against the confused deputy.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        ArnLike      = { "aws:SourceArn" = "${local.ecs}:*" }
        StringEquals = { "aws:SourceAccount" = local.account }
      }
    }]
  })
}

resource "aws_iam_role_policy" "execution" {
  count = local.makes_execution_role ? 1 : 0

  name = "pushpool"
  role = aws_iam_role.execution[0].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.execution_statements
  })
}
