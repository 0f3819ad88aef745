# What the dispatch function may do for this pool.
locals {
  dispatch_statements = concat(
    [
      {
        # Authorisation looks at the revision, so the family's ARN must end in `:*` (Developer Guide, "Run task examples").
        Sid      = "RunTasks"
        Effect   = "Allow"
        Action   = ["ecs:RunTask"]
        Resource = concat([local.families], var.task_definition_arns)
        Condition = merge(
          { ArnEquals = { "ecs:cluster" = local.cluster_arn } },
          # Matches too where a request says nothing of it.
          var.allow_execute_command ? {} : { StringNotEquals = { "ecs:enable-execute-command" = "true" } },
        )
      },
      {
        Sid       = "TagTasks"
        Effect    = "Allow"
        Action    = ["ecs:TagResource"]
        Resource  = ["${local.ecs}:task/${local.cluster}/*"]
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid       = "TagTaskDefinitions"
        Effect    = "Allow"
        Action    = ["ecs:TagResource"]
        Resource  = [local.families]
        Condition = { StringEquals = { "ecs:CreateAction" = "RegisterTaskDefinition" } }
      },
      {
        Sid      = "SeeAndStopTasks"
        Effect   = "Allow"
        Action   = ["ecs:DescribeTasks", "ecs:StopTask"]
        Resource = ["${local.ecs}:task/${local.cluster}/*"]
      },
      {
        # ListTasks can be limited to a container instance or, as here, by its cluster (Developer Guide, "List and
        # describe tasks examples"): for all of a cluster's tasks the resource that is authorised is `*`.
        Sid       = "ListTasks"
        Effect    = "Allow"
        Action    = ["ecs:ListTasks"]
        Resource  = ["*"]
        Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arn } }
      },
      {
        # Neither can be limited to a resource (Service Authorization Reference, Amazon ECS). What a definition can give
        # to a container is held by PassRoles, and what may be started by RunTasks.
        Sid      = "TaskDefinitions"
        Effect   = "Allow"
        Action   = ["ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"]
        Resource = ["*"]
      },
      {
        Sid       = "PassRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = distinct(concat([local.execution_role_arn], var.execution_role_arns, var.task_role_arns))
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ],
    # EC2's Describe actions cannot be limited to a resource (Service Authorization Reference, Amazon EC2).
    [for region in local.looks_up_network ? [local.region] : [] : {
      Sid       = "LookUpNetwork"
      Effect    = "Allow"
      Action    = ["ec2:DescribeRouteTables", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
      Resource  = ["*"]
      Condition = { StringEquals = { "ec2:Region" = region } }
    }],
  )
}

resource "aws_iam_role_policy" "dispatch" {
  name = local.name
  role = var.google_dispatcher == null ? var.dispatch_role_name : aws_iam_role.google_dispatcher[0].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.dispatch_statements
  })
}

# A dispatcher on Google Cloud: AWS takes Google's word for who calls. Of a service account's token `aud` is the authorised
# party, its number, `oaud` whom it is for, and `sub` its number again (IAM User Guide, "Available keys for AWS web identity
# federation").
resource "aws_iam_role" "google_dispatcher" {
  count = var.google_dispatcher == null ? 0 : 1

  name                 = "${local.name}-dispatch-${local.region}"
  description          = "pushpool: dispatch on Google Cloud, for the pool ${var.pool}"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = "accounts.google.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "accounts.google.com:aud"  = var.google_dispatcher.unique_id
          "accounts.google.com:oaud" = var.google_dispatcher.audience
          "accounts.google.com:sub"  = var.google_dispatcher.unique_id
        }
      }
    }]
  })
}
