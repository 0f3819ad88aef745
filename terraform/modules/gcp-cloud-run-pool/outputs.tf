output "pool" {
  description = "The pool's type and variables."
  value       = local.pool
}

output "work_pools" {
  description = "The pool as YAML, for pushpool.yaml."
  value       = yamlencode({ work_pools = { (var.pool) = local.pool } })
}

output "service_account" {
  description = "Email of the service account that the pool's jobs run as unless they name another."
  value       = local.service_accounts[0]
}

output "dispatcher_member" {
  description = "Whom the rights are given to, as policies name it."
  value       = local.dispatcher
}

output "google_credentials" {
  description = "How a dispatcher on AWS becomes known to Google Cloud: google_credentials of aws-dispatcher. It holds no secret. Null without aws_dispatcher."
  value       = local.google_credentials
}
