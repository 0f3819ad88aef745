# What each function may do. The API, which the outside world calls, may start no container and pass no role; only
# dispatch reads the secrets of jobs. Dispatch's rights on a cloud come from the pools' modules.
locals {
  statements = {
    table = [
      {
        Sid    = "Table"
        Effect = "Allow"
        Action = [
          "dynamodb:BatchGetItem",
          "dynamodb:BatchWriteItem",
          "dynamodb:ConditionCheckItem",
          "dynamodb:DeleteItem",
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:Query",
          "dynamodb:UpdateItem",
        ]
        Resource = [aws_dynamodb_table.this.arn]
      },
      {
        Sid      = "Index"
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = ["${aws_dynamodb_table.this.arn}/index/due"]
      },
    ]
    wake = [{
      Sid      = "Wake"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [aws_sqs_queue.wake.arn]
    }]
    woken = [{
      Sid      = "BeWoken"
      Effect   = "Allow"
      Action   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      Resource = [aws_sqs_queue.wake.arn]
    }]
    dead_letters = [{
      Sid      = "InvocationsThatFailed"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [aws_sqs_queue.dead_letters.arn]
    }]
    token_keys = [{
      Sid      = "TokenKeys"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [local.token_keys_arn]
    }]
    job_secrets = [{
      Sid      = "SecretsOfJobs"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = ["arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.name}/secrets/*"]
    }]
    modal_token = [for secret in aws_secretsmanager_secret.modal_token : {
      Sid      = "ModalToken"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [secret.arn]
    }]
    # It cannot be limited to a resource, but to whom the token is for. Without an audience STS refuses the call, so that
    # ForAllValues is never asked about none (IAM User Guide, "Controlling access with IAM policies").
    azure_tokens = [for audience in var.azure_identity == null ? [] : ["api://AzureADTokenExchange"] : {
      Sid      = "TokensForAzure"
      Effect   = "Allow"
      Action   = ["sts:GetWebIdentityToken"]
      Resource = ["*"]
      Condition = {
        "ForAllValues:StringEquals" = { "sts:IdentityTokenAudience" = [audience] }
        NumericLessThanEquals       = { "sts:DurationSeconds" = "300" }
        StringEquals                = { "sts:SigningAlgorithm" = "RS256" }
      }
    }]
    key = [for arn in compact([var.kms_key_arn]) : {
      Sid      = "Key"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
      Resource = [arn]
    }]
  }

  rights = {
    api      = concat(local.statements.table, local.statements.wake, local.statements.token_keys, local.statements.key)
    dispatch = concat(local.statements.table, local.statements.wake, local.statements.woken, local.statements.dead_letters, local.statements.token_keys, local.statements.job_secrets, local.statements.modal_token, local.statements.azure_tokens, local.statements.key)
    events   = concat(local.statements.table, local.statements.wake, local.statements.dead_letters, local.statements.key)
  }
}

# IAM's names hold for all regions, so they name theirs.
resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = "${var.name}-${each.key}-${local.region}"
  description          = each.value.description
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "pushpool"
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.rights[each.key], [{
      Sid      = "Logs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
    }])
  })
}

resource "aws_iam_role" "scheduler" {
  name                 = "${var.name}-scheduler-${local.region}"
  description          = "pushpool: EventBridge Scheduler, for the minute's tick"
  permissions_boundary = var.permissions_boundary_arn

  # For Scheduler the source is the schedule's group (User Guide, "Confused deputy prevention").
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account
          "aws:SourceArn"     = aws_scheduler_schedule_group.this.arn
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "pushpool"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Tick"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [aws_lambda_function.this["dispatch"].arn]
      },
      {
        Sid      = "TicksThatFailed"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
    ], local.statements.key)
  })
}
