output "pool" {
  description = "The pool's type and variables."
  value       = local.pool
}

output "work_pools" {
  description = "The pool as YAML, for pushpool.yaml."
  value       = yamlencode({ work_pools = { (var.pool) = local.pool } })
}

output "resource_group_name" {
  description = "Name of the resource group that holds the pool's container groups."
  value       = local.resource_group.name
}

output "dispatcher_principal_id" {
  description = "Whom the rights are given to: dispatcher_principal_id of a further pool's module."
  value       = local.dispatcher_principal_id
}

output "azure_identity" {
  description = "As whom a dispatcher on AWS or Google Cloud acts in Azure: azure_identity of aws-dispatcher or gcp-dispatcher. It holds no secret. Null with dispatcher_principal_id."
  value = one([for identity in azurerm_user_assigned_identity.dispatcher : {
    tenant_id = identity.tenant_id
    client_id = identity.client_id
  }])
}
