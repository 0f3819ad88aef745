resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

resource "aws_scheduler_schedule" "tick" {
  name                = "tick"
  group_name          = aws_scheduler_schedule_group.this.name
  description         = "A pass over every pool, each minute."
  schedule_expression = "rate(1 minute)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this["dispatch"].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ source = "pushpool.tick" })

    # The next minute's tick does what this one could not.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }

  depends_on = [aws_iam_role_policy.scheduler]
}

resource "aws_lambda_function_event_invoke_config" "dispatch" {
  function_name                = aws_lambda_function.this["dispatch"].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_cloudwatch_event_rule" "tasks" {
  name        = "${var.name}-tasks"
  description = "ECS tasks that pushpool started, as they run and stop."

  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = merge(
      {
        lastStatus = ["RUNNING", "STOPPED"]
        startedBy  = [{ prefix = "pushpool/" }]
      },
      length(var.cluster_arns) == 0 ? {} : { clusterArn = var.cluster_arns },
    )
  })
}

resource "aws_cloudwatch_event_target" "tasks" {
  rule      = aws_cloudwatch_event_rule.tasks.name
  target_id = "events"
  arn       = aws_lambda_function.this["events"].arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }
}

resource "aws_lambda_permission" "tasks" {
  statement_id  = "events"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["events"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.tasks.arn
}

resource "aws_lambda_function_event_invoke_config" "events" {
  function_name                = aws_lambda_function.this["events"].function_name
  maximum_event_age_in_seconds = 6 * 3600
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}
