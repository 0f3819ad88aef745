data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

  package    = regex("pushpool-aws-(?P<runtime>python3\\.[0-9]+)-(?P<architecture>x86_64|arm64)\\.zip$", var.package)
  public_url = coalesce(var.public_url, aws_apigatewayv2_api.this.api_endpoint)

  functions = {
    api = {
      description = "pushpool: the HTTP API and the containers' callbacks"
      timeout     = 29 # an HTTP API's integration is cut off at 30 seconds
      memory      = var.api.memory_mb
      reserved    = var.api.reserved_concurrency
    }
    dispatch = {
      description = "pushpool: passes, each minute and when woken"
      timeout     = var.dispatch.timeout_seconds
      memory      = var.dispatch.memory_mb
      reserved    = var.dispatch.reserved_concurrency
    }
    events = {
      description = "pushpool: what ECS says of its tasks"
      timeout     = 30
      memory      = 256
      reserved    = null
    }
  }

  environment = merge(var.environment, {
    PUSHPOOL_INSTALLATION      = var.name
    PUSHPOOL_STORE             = "dynamodb://${aws_dynamodb_table.this.name}"
    PUSHPOOL_PUBLIC_URL        = local.public_url
    PUSHPOOL_WAKER             = "sqs:${local.wake_queue_url}"
    PUSHPOOL_SECRETS           = "secretsmanager://${var.name}"
    PUSHPOOL_EVENTS            = "ecs:push"
    PUSHPOOL_RETENTION_DAYS    = tostring(var.retention_days)
    PUSHPOOL_HEARTBEAT_SECONDS = tostring(var.heartbeat_seconds)
    PUSHPOOL_LOG_LEVEL         = var.log_level
  })
}

locals {
  # Not with the functions above: the roles, which are made of those, must not wait for what lets one of them in.
  clouds = merge(
    var.google_credentials == null ? {} : { PUSHPOOL_GOOGLE_CREDENTIALS = var.google_credentials },
    var.azure_identity == null ? {} : {
      PUSHPOOL_AZURE_TENANT_ID  = var.azure_identity.tenant_id
      PUSHPOOL_AZURE_CLIENT_ID  = var.azure_identity.client_id
      PUSHPOOL_AZURE_FEDERATION = "aws"
    },
    var.aci_creates == null ? {} : {
      PUSHPOOL_ACI_CREATES_PER_HOUR         = tostring(var.aci_creates.per_hour)
      PUSHPOOL_ACI_CREATES_PER_FIVE_MINUTES = tostring(var.aci_creates.per_five_minutes)
    },
  )
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_lambda_function" "this" {
  for_each = local.functions

  function_name                  = "${var.name}-${each.key}"
  description                    = each.value.description
  role                           = aws_iam_role.function[each.key].arn
  filename                       = var.package
  source_code_hash               = filebase64sha256(var.package)
  handler                        = "app.${each.key}"
  runtime                        = local.package.runtime
  architectures                  = [local.package.architecture]
  memory_size                    = each.value.memory
  timeout                        = each.value.timeout
  reserved_concurrent_executions = each.value.reserved == null ? -1 : each.value.reserved
  kms_key_arn                    = var.kms_key_arn

  # It holds no secret, and only dispatch goes to other clouds.
  environment {
    variables = merge(
      local.environment,
      each.key == "dispatch" ? local.clouds : {},
    )
  }

  # The functions write JSON lines themselves.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  # Without its rights a function must not be reached.
  depends_on = [aws_iam_role_policy.function]
}
