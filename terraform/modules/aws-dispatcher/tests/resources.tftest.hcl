# What is made, planned by the real provider without credentials.
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
  target          = aws_sqs_queue.wake
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-central-1:123456789012:pushpool-wake" }
}

override_resource {
  target          = aws_sqs_queue.dead_letters
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-central-1:123456789012:pushpool-dead-letters", url = "https://sqs.example/1/pushpool-dead-letters" }
}

override_resource {
  target          = aws_apigatewayv2_api.this
  override_during = plan
  values = {
    api_endpoint  = "https://abc.execute-api.eu-central-1.amazonaws.com"
    execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:abc"
  }
}

variables {
  package         = "tests/packages/pushpool-aws-python3.11-x86_64.zip"
  make_token_keys = false
}

run "functions_are_told_where_everything_is" {
  command = plan

  assert {
    condition = alltrue([for function in aws_lambda_function.this : function.environment[0].variables == tomap({
      PUSHPOOL_HEARTBEAT_SECONDS = "120"
      PUSHPOOL_INSTALLATION      = "pushpool"
      PUSHPOOL_LOG_LEVEL         = "INFO"
      PUSHPOOL_PUBLIC_URL        = "https://abc.execute-api.eu-central-1.amazonaws.com"
      PUSHPOOL_EVENTS            = "ecs:push"
      PUSHPOOL_RETENTION_DAYS    = "30"
      PUSHPOOL_SECRETS           = "secretsmanager://pushpool"
      PUSHPOOL_STORE             = "dynamodb://pushpool"
      PUSHPOOL_WAKER             = "sqs:https://sqs.example/1/pushpool-wake"
    })])
    error_message = "Every function must have the same settings."
  }

  assert {
    condition     = { for key, function in aws_lambda_function.this : key => function.handler } == { api = "app.api", dispatch = "app.dispatch", events = "app.events" }
    error_message = "The handlers must be those of infra/aws/app.py."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.runtime == "python3.11" && function.architectures == tolist(["x86_64"])])
    error_message = "Runtime and architecture must be those of the package's name."
  }

  assert {
    condition     = alltrue([for key, function in aws_lambda_function.this : function.logging_config[0].log_group == aws_cloudwatch_log_group.function[key].name])
    error_message = "Each function must log into its own group."
  }

  assert {
    condition     = output.first_admin_key == "AWS_REGION=eu-central-1 PUSHPOOL_API_URL= PUSHPOOL_STORE=dynamodb://pushpool pushpool api-key create admin --scope admin"
    error_message = "first_admin_key must be the command for this table."
  }
}

run "what_is_set_is_what_is_made" {
  command = plan

  variables {
    package      = "tests/packages/pushpool-aws-python3.13-arm64.zip"
    dispatch     = { timeout_seconds = 900 }
    cluster_arns = ["arn:aws:ecs:eu-central-1:123456789012:cluster/jobs"]
    kms_key_arn  = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"
    alarms       = { topic_arns = ["arn:aws:sns:eu-central-1:123456789012:ops"] }

    make_modal_token    = true
    modal_token         = { token_id = "ak-a1B2", token_secret = "as-c3D4" }
    modal_token_version = 2
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.runtime == "python3.13" && function.architectures == tolist(["arm64"])])
    error_message = "Runtime and architecture must be those of the package's name."
  }

  assert {
    condition     = aws_sqs_queue.wake.visibility_timeout_seconds == 6 * 900 && aws_lambda_function.this["dispatch"].timeout == 900
    error_message = "A wake must stay hidden six times as long as the function may run."
  }

  assert {
    condition     = aws_sqs_queue.wake.message_retention_seconds > 3 * aws_sqs_queue.wake.visibility_timeout_seconds
    error_message = "A wake must live longer than its three receptions."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.wake.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:pushpool-dead-letters", maxReceiveCount = 3 }
    error_message = "A wake must go to the dead letters after three receptions."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.tasks.event_pattern) == {
      source      = ["aws.ecs"]
      detail-type = ["ECS Task State Change"]
      detail = {
        clusterArn = ["arn:aws:ecs:eu-central-1:123456789012:cluster/jobs"]
        lastStatus = ["RUNNING", "STOPPED"]
        startedBy  = [{ prefix = "pushpool/" }]
      }
    }
    error_message = "The pattern must match tasks of ours that run or stopped, in the clusters that were named."
  }

  assert {
    condition = alltrue(concat(
      [for function in aws_lambda_function.this : function.kms_key_arn == var.kms_key_arn],
      [for group in aws_cloudwatch_log_group.function : group.kms_key_id == var.kms_key_arn],
      [for queue in [aws_sqs_queue.wake, aws_sqs_queue.dead_letters] : queue.kms_master_key_id == var.kms_key_arn],
      [aws_cloudwatch_log_group.access.kms_key_id == var.kms_key_arn],
      [aws_dynamodb_table.this.server_side_encryption[0].kms_key_arn == var.kms_key_arn],
    ))
    error_message = "Table, queues, logs and functions must use the key."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_actions == toset(var.alarms.topic_arns) && alarm.ok_actions == toset(var.alarms.topic_arns)])
    error_message = "Every alarm must tell of itself and of its end."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["no-tick"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.this["no-tick"].evaluation_periods * aws_cloudwatch_metric_alarm.this["no-tick"].period == 300
    error_message = "Five minutes without a tick must be an alarm, also when nothing is reported."
  }

  assert {
    condition     = [aws_secretsmanager_secret.modal_token[0].name, aws_secretsmanager_secret.modal_token[0].kms_key_id, aws_secretsmanager_secret.modal_token[0].recovery_window_in_days] == ["pushpool/modal-token", var.kms_key_arn, 7] && output.modal_token_secret_name == "pushpool/modal-token"
    error_message = "The secret must have the name that dispatch reads, and be kept as the token keys are."
  }

  assert {
    condition     = aws_secretsmanager_secret_version.modal_token[0].secret_string_wo_version == 2 && aws_secretsmanager_secret_version.modal_token[0].secret_string == null
    error_message = "The value must be written, and never be in a plan."
  }
}

run "only_dispatch_is_told_of_other_clouds" {
  command = plan

  variables {
    azure_identity     = { tenant_id = "33333333-0000-4000-8000-000000000000", client_id = "22222222-0000-4000-8000-000000000000" }
    aci_creates        = { per_hour = 3000, per_five_minutes = 500 }
    google_credentials = jsonencode({ type = "external_account" })
  }

  assert {
    condition = { for key, function in aws_lambda_function.this : key => { for name, value in function.environment[0].variables : name => value if can(regex("^PUSHPOOL_(ACI|AZURE|GOOGLE)_", name)) } } == {
      api = {}
      dispatch = {
        PUSHPOOL_ACI_CREATES_PER_FIVE_MINUTES = "500"
        PUSHPOOL_ACI_CREATES_PER_HOUR         = "3000"
        PUSHPOOL_AZURE_CLIENT_ID              = "22222222-0000-4000-8000-000000000000"
        PUSHPOOL_AZURE_FEDERATION             = "aws"
        PUSHPOOL_AZURE_TENANT_ID              = "33333333-0000-4000-8000-000000000000"
        PUSHPOOL_GOOGLE_CREDENTIALS           = var.google_credentials
      }
      events = {}
    }
    error_message = "Dispatch, and it alone, must know as whom it acts there."
  }
}

run "what_is_not_asked_for_is_not_made" {
  command = plan

  variables {
    alarms = { enabled = false }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) + length(aws_secretsmanager_secret.modal_token) == 0 && output.modal_token_secret_name == null
    error_message = "No alarm and no secret must be made."
  }
}
