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

output "table_name" {
  description = "Name of the DynamoDB table."
  value       = module.dispatcher.table_name
}

output "function_names" {
  description = "Names of the functions: api, dispatch, events."
  value       = module.dispatcher.function_names
}

output "wake_queue_url" {
  description = "URL of the queue whose messages ask for passes."
  value       = module.dispatcher.wake_queue_url
}

output "dead_letter_queue_url" {
  description = "URL of the queue of wakes, ticks and events that could not be handled."
  value       = module.dispatcher.dead_letter_queue_url
}

output "log_group_name" {
  description = "Name of the log group of the pool's containers."
  value       = module.pool.log_group_name
}
