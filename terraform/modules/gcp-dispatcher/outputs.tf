output "api_url" {
  description = "URL of the HTTP API, without a slash at its end: PUSHPOOL_API_URL of whoever calls it."
  value       = local.public_url
}

output "database_name" {
  description = "Name of the Firestore database."
  value       = local.database
}

output "wake_queue_name" {
  description = "Full name of the queue whose tasks ask for passes."
  value       = "projects/${var.project}/locations/${var.region}/queues/${google_cloud_tasks_queue.wake.name}"
}

output "dead_letter_subscription" {
  description = "Full name of the subscription that holds events that could not be handled."
  value       = "projects/${var.project}/subscriptions/${google_pubsub_subscription.dead_letters.name}"
}

output "events_topic" {
  description = "Full name of the topic to which executions in further projects can be told: events_topic of gcp-cloud-run-pool."
  value       = "projects/${var.project}/topics/${google_pubsub_topic.this["events"].name}"
}

output "dispatch_member" {
  description = "Dispatch's service account as policies name it, to which the pools' modules give their rights."
  value       = google_service_account.function["dispatch"].member
}

output "dispatch_unique_id" {
  description = "Number of dispatch's service account, by which other clouds let it in: google_dispatcher of aws-ecs-pool."
  value       = google_service_account.function["dispatch"].unique_id
}

output "service_accounts" {
  description = "Emails of the functions' service accounts: api, dispatch, events."
  value       = { for key, account in google_service_account.function : key => account.email }
}

output "function_names" {
  description = "Names of the functions: api, dispatch, events."
  value       = { for key, function in google_cloudfunctions2_function.this : key => function.name }
}

output "token_keys_secret_name" {
  description = "Name of the secret with the keys that sign run tokens."
  value       = local.token_keys
}

output "modal_token_secret_name" {
  description = "Name of the secret with the token for Modal. Null without make_modal_token."
  value       = one(google_secret_manager_secret.modal_token[*].secret_id)
}

output "job_secret_prefix" {
  description = "A job's secret NAME is the secret of this prefix and NAME in Secret Manager."
  value       = local.job_secret_prefix
}

output "first_admin_key" {
  description = "The command that makes the first API key: for whoever may write to the database, so it needs no key itself."
  value       = "PUSHPOOL_API_URL= PUSHPOOL_STORE='firestore://${var.project}/${local.database}' pushpool api-key create admin --scope admin"
}
