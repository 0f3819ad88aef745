output "api_url" {
  description = "PUSHPOOL_API_URL of whoever calls the API."
  value       = module.dispatcher.api_url
}

output "first_admin_key" {
  description = "The command that makes the first API key."
  value       = module.dispatcher.first_admin_key
}

output "work_pools" {
  description = "The pools for pushpool.yaml, with what Terraform made of them: `terraform output -raw work_pools >> pushpool.yaml`."
  value       = yamlencode({ work_pools = { aci = module.aci.pool, modal = local.modal } })
}

output "function_names" {
  description = "Names of the functions: api, dispatch, events."
  value       = module.dispatcher.function_names
}

output "modal_token_secret_name" {
  description = "Name of the secret with the token for Modal."
  value       = module.dispatcher.modal_token_secret_name
}

output "resource_group_name" {
  description = "Name of the resource group that holds the containers in Azure."
  value       = module.aci.resource_group_name
}
