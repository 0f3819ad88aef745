locals {
  queues     = "arn:${local.partition}:sqs:${local.region}:${local.account}"
  wake_queue = "${var.name}-wake"

  # As the other queue's tells it: the provider waits 25 seconds for each, and the functions need not wait for both.
  wake_queue_url = "${trimsuffix(aws_sqs_queue.dead_letters.url, aws_sqs_queue.dead_letters.name)}${local.wake_queue}"

  # Six times the function's timeout: the least that AWS advises for a queue that feeds a function.
  wake_visibility_seconds = 6 * var.dispatch.timeout_seconds
}

# A wake is a hint: one that is an hour old tells nothing that the minute's tick has not found.
resource "aws_sqs_queue" "wake" {
  name                       = local.wake_queue
  visibility_timeout_seconds = local.wake_visibility_seconds
  message_retention_seconds  = max(3600, 4 * local.wake_visibility_seconds)
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 3
  })
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = ["${local.queues}:${local.wake_queue}"]
  })

  # EventBridge's rules have no role for this: the queue itself must admit them.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventsThatCouldNotBeDelivered"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "${local.queues}:${var.name}-dead-letters"
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.tasks.arn } }
    }]
  })
}

resource "aws_lambda_event_source_mapping" "wake" {
  event_source_arn        = aws_sqs_queue.wake.arn
  function_name           = aws_lambda_function.this["dispatch"].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.dispatch.maximum_concurrency
  }
}

# A pass that runs out of time wakes itself for the rest, at most ten times in a row: the program counts. Lambda would
# take that for a runaway loop and stop it after 16.
resource "aws_lambda_function_recursion_config" "dispatch" {
  function_name  = aws_lambda_function.this["dispatch"].function_name
  recursive_loop = "Allow"
}
