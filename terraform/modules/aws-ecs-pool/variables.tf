variable "pool" {
  description = "Name of the work pool. Its task definitions are named pushpool-<pool>-<hash>, and dispatch may start no others than these and task_definition_arns."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", var.pool))
    error_message = "pool must have 1 to 100 letters, digits, hyphens, underscores and dots, a letter or digit first."
  }
}

variable "name" {
  description = "Name of what the module makes: cluster, log group, roles and policies. Null: pushpool-<pool>. Two installations in one account need two."
  type        = string
  default     = null

  # IAM's names have at most 64 characters; the execution role's is this and the region's.
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{1,37}$", coalesce(var.name, "pushpool-${var.pool}")))
    error_message = "name must have 2 to 38 letters, digits, hyphens, underscores and dots, a letter or digit first; for a pool whose name has more than 29 characters, give a name."
  }
}

variable "dispatch_role_name" {
  description = "Name of the role of the dispatch function: the output dispatch_role_name of aws-dispatcher. Null with google_dispatcher."
  type        = string
  default     = null

  validation {
    condition     = var.dispatch_role_name == null || can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.dispatch_role_name))
    error_message = "dispatch_role_name must be the name of an IAM role, not its ARN."
  }

  validation {
    condition     = (var.dispatch_role_name == null) != (var.google_dispatcher == null)
    error_message = "either dispatch_role_name or google_dispatcher must be given, and not both."
  }
}

variable "google_dispatcher" {
  description = <<-EOT
    A dispatcher on Google Cloud, for which the module makes a role; give the output google_dispatcher_role_arn to gcp-dispatcher.
    `unique_id`: the number of dispatch's service account, the output dispatch_unique_id of gcp-dispatcher; `audience`: whom its tokens are for, aws_audience there.
  EOT
  type = object({
    unique_id = string
    audience  = optional(string, "pushpool")
  })
  default = null

  validation {
    condition     = var.google_dispatcher == null || can(regex("^[0-9]{21}$", var.google_dispatcher.unique_id))
    error_message = "google_dispatcher.unique_id must be the 21 digits of a service account's unique id, not its email."
  }

  validation {
    condition     = var.google_dispatcher == null || can(regex("^[A-Za-z0-9:/._-]{1,255}$", var.google_dispatcher.audience))
    error_message = "google_dispatcher.audience must have 1 to 255 letters, digits and characters of : / . _ -"
  }
}

variable "cluster_arn" {
  description = "ECS cluster that the pool's tasks run in. Null: the module makes one with Fargate and Fargate Spot."
  type        = string
  default     = null

  validation {
    condition     = var.cluster_arn == null || can(regex("^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]{1,255}$", var.cluster_arn))
    error_message = "cluster_arn must be the ARN of an ECS cluster: arn:aws:ecs:<region>:<account>:cluster/<name>."
  }
}

variable "execution_role_arns" {
  description = "Roles with which ECS may pull the pool's images, read its secrets and write its logs; the first is the pool's own choice. Empty: the module makes one, for which `execution` says what it may read."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.execution_role_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "execution_role_arns must be ARNs of IAM roles, without wildcards."
  }
}

variable "execution" {
  description = <<-EOT
    What the made execution role may read, besides writing logs.
    `repository_arns`: ECR repositories whose images it pulls; `secret_arns`: secrets and parameters that task definitions name.
  EOT
  type = object({
    repository_arns = optional(list(string), [])
    secret_arns     = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for arn in var.execution.repository_arns : can(regex("^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/[^*]+$", arn))])
    error_message = "execution.repository_arns must be ARNs of ECR repositories, without wildcards."
  }

  validation {
    condition     = alltrue([for arn in var.execution.secret_arns : can(regex("^arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*]+|ssm:[a-z0-9-]+:[0-9]{12}:parameter/[^*]+)$", arn))])
    error_message = "execution.secret_arns must be ARNs of Secrets Manager secrets or SSM parameters, without wildcards."
  }
}

variable "task_role_arns" {
  description = "Roles that the pool's containers may run as; the first is the pool's own choice. Empty: containers have no rights in AWS."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.task_role_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "task_role_arns must be ARNs of IAM roles, without wildcards."
  }
}

variable "task_definition_arns" {
  description = "Task definitions registered elsewhere that jobs of the pool may name, each for all its revisions: arn:aws:ecs:<region>:<account>:task-definition/<family>:*. Their roles belong into execution_role_arns and task_role_arns."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.task_definition_arns : can(regex("^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:task-definition/[A-Za-z0-9_-]{1,255}:([0-9]+|\\*)$", arn))])
    error_message = "task_definition_arns must be ARNs of task definitions that end in a revision or in :*, with no other wildcard."
  }
}

variable "network" {
  description = <<-EOT
    Where the pool's tasks are attached: subnets, or a VPC in which dispatch looks them up, each of its processes once.
    `security_group_ids`: empty, the VPC's default one; `assign_public_ip`: needed in subnets without NAT; null, only where dispatch finds that it is needed.
  EOT
  type = object({
    vpc_id             = optional(string)
    subnet_ids         = optional(list(string), [])
    security_group_ids = optional(list(string), [])
    assign_public_ip   = optional(bool)
  })
  nullable = false

  validation {
    condition     = var.network.vpc_id == null || can(regex("^vpc-[0-9a-f]+$", var.network.vpc_id))
    error_message = "network.vpc_id must be the id of a VPC: vpc-…"
  }

  validation {
    condition     = var.network.vpc_id != null || length(var.network.subnet_ids) > 0
    error_message = "network needs subnet_ids, or a vpc_id in which to look for them."
  }

  # RunTask, AwsVpcConfiguration: at most 16 subnets and 5 security groups.
  validation {
    condition     = length(var.network.subnet_ids) <= 16 && alltrue([for id in var.network.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "network.subnet_ids must be at most 16 ids of subnets: subnet-…"
  }

  validation {
    condition     = length(var.network.security_group_ids) <= 5 && alltrue([for id in var.network.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "network.security_group_ids must be at most 5 ids of security groups: sg-…"
  }
}

variable "allow_execute_command" {
  description = "Whether the pool's tasks may be started with ECS Exec, which opens a shell in a running container."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that the containers' logs are kept: one of the numbers that CloudWatch Logs takes."
  type        = number
  default     = 30
  nullable    = false

  # PutRetentionPolicy, retentionInDays.
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "kms_key_arn" {
  description = "KMS key for the containers' logs; null: AWS's own. The key's policy must admit logs.<region>.amazonaws.com."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, not of an alias: arn:aws:kms:<region>:<account>:key/<id>."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds the made execution role, where the account demands one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy: arn:aws:iam::<account>:policy/<name>."
  }
}
