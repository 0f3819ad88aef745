output "api_url" {
  description = "URL of the HTTP API, without a slash at its end: PUSHPOOL_API_URL of whoever calls it."
  value       = local.public_url
}

output "table_name" {
  description = "Name of the DynamoDB table."
  value       = aws_dynamodb_table.this.name
}

output "wake_queue_url" {
  description = "URL of the queue whose messages ask for passes."
  value       = aws_sqs_queue.wake.url
}

output "dead_letter_queue_url" {
  description = "URL of the queue of wakes, ticks and events that could not be handled."
  value       = aws_sqs_queue.dead_letters.url
}

output "dispatch_role_name" {
  description = "Name of dispatch's role, to which the pools' modules add their rights."
  value       = aws_iam_role.function["dispatch"].name
}

output "dispatch_role_arn" {
  description = "ARN of dispatch's role, for other accounts and clouds that let it in."
  value       = aws_iam_role.function["dispatch"].arn
}

output "function_names" {
  description = "Names of the functions: api, dispatch, events."
  value       = { for key, function in aws_lambda_function.this : key => function.function_name }
}

output "token_keys_secret_name" {
  description = "Name of the secret with the keys that sign run tokens."
  value       = local.token_keys
}

output "modal_token_secret_name" {
  description = "Name of the secret with the token for Modal. Null without make_modal_token."
  value       = one(aws_secretsmanager_secret.modal_token[*].name)
}

output "job_secret_prefix" {
  description = "A job's secret NAME is the secret of this prefix and NAME in Secrets Manager."
  value       = "${var.name}/secrets/"
}

output "first_admin_key" {
  description = "The command that makes the first API key: for whoever may write to the table, so it needs no key itself."
  value       = "AWS_REGION=${local.region} PUSHPOOL_API_URL= PUSHPOOL_STORE=dynamodb://${aws_dynamodb_table.this.name} pushpool api-key create admin --scope admin"
}
