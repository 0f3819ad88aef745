output "api_url" {
  description = "PUSHPOOL_API_URL of whoever calls the API."
  value       = module.dispatcher.api_url
}

output "first_admin_key" {
  description = "The command that makes the first API key."
  value       = module.dispatcher.first_admin_key
}

output "work_pools" {
  description = "The pool for pushpool.yaml, with what Terraform made of it: `terraform output -raw work_pools >> pushpool.yaml`."
  value       = module.pool.work_pools
}

output "database_name" {
  description = "Name of the Firestore database."
  value       = module.dispatcher.database_name
}

output "function_names" {
  description = "Names of the functions: api, dispatch, events."
  value       = module.dispatcher.function_names
}

output "dead_letter_subscription" {
  description = "Full name of the subscription that holds events that could not be handled."
  value       = module.dispatcher.dead_letter_subscription
}

output "service_account" {
  description = "Email of the service account that the pool's jobs run as unless they name another."
  value       = module.pool.service_account
}
