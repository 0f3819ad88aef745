output "pool" {
  description = "The pool's type and variables."
  value       = local.pool
}

output "work_pools" {
  description = "The pool as YAML, for pushpool.yaml."
  value       = yamlencode({ work_pools = { (var.pool) = local.pool } })
}

output "cluster_arn" {
  description = "ARN of the cluster that the pool's tasks run in."
  value       = local.cluster_arn
}

output "execution_role_arn" {
  description = "ARN of the role with which ECS starts the pool's tasks."
  value       = local.execution_role_arn
}

output "log_group_name" {
  description = "Name of the log group of the pool's containers."
  value       = aws_cloudwatch_log_group.this.name
}

output "google_dispatcher_role_arn" {
  description = "ARN of the role in which a dispatcher on Google Cloud acts: aws_role_arn of gcp-dispatcher. Null without google_dispatcher."
  value       = one(aws_iam_role.google_dispatcher[*].arn)
}
