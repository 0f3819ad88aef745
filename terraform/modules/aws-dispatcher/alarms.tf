locals {
  alarms = {
    dead-letters = {
      description = "Wakes, ticks or task events could not be handled: look into the queue ${aws_sqs_queue.dead_letters.name}."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      minutes     = 1
      missing     = "notBreaching"
    }
    dispatch-errors = {
      description = "Passes failed: look into the log group ${aws_cloudwatch_log_group.function["dispatch"].name}."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = aws_lambda_function.this["dispatch"].function_name }
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      minutes     = 1
      missing     = "notBreaching"
    }
    failed-passes = {
      description = "Passes over some pool fail, again and again: look into the log group ${aws_cloudwatch_log_group.function["dispatch"].name}."
      namespace   = "pushpool"
      metric      = "PassesFailed"
      dimensions  = { Installation = var.name }
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      minutes     = 3
      missing     = "notBreaching"
    }
    no-tick = {
      description = "No tick was finished for five minutes, so nothing scheduled starts: look at the schedule ${aws_scheduler_schedule_group.this.name}/tick and the function ${aws_lambda_function.this["dispatch"].function_name}."
      namespace   = "pushpool"
      metric      = "Ticks"
      dimensions  = { Installation = var.name }
      statistic   = "Sum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      minutes     = 5
      missing     = "breaching"
    }
    api-errors = {
      description = "The API answered 5xx: look into the log group ${aws_cloudwatch_log_group.function["api"].name}."
      namespace   = "AWS/ApiGateway"
      metric      = "5xx"
      dimensions  = { ApiId = aws_apigatewayv2_api.this.id }
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      minutes     = 1
      missing     = "notBreaching"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.alarms.enabled ? local.alarms : {}

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarms.topic_arns
  ok_actions          = var.alarms.topic_arns
}
