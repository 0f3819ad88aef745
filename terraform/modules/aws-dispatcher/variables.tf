variable "name" {
  description = "Name of the installation. Every resource is named after it, so that several installations fit into one account and region."
  type        = string
  default     = "pushpool"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,28}[a-z0-9]$", var.name))
    error_message = "name must have 2 to 30 characters: lower case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "package" {
  description = "Path of the deployment package that `make package-aws` builds. Its file name says for which runtime and architecture: pushpool-aws-<runtime>-<architecture>.zip."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("(^|/)pushpool-aws-python3\\.(11|12|13)-(x86_64|arm64)\\.zip$", var.package))
    error_message = "package must be named pushpool-aws-<python3.11, python3.12 or python3.13>-<x86_64 or arm64>.zip; `make package-aws` builds it."
  }

  validation {
    condition     = fileexists(var.package)
    error_message = "package is not there; `make package-aws` builds it into dist/."
  }
}

variable "public_url" {
  description = "URL under which containers reach the API, where that is not the API's own: a custom domain. Without a slash at its end."
  type        = string
  default     = null

  validation {
    condition     = var.public_url == null || can(regex("^https?://[^/?#]+(/[^?#]*)?[^/?#]$", var.public_url))
    error_message = "public_url must be an http or https URL without query and without a slash at its end."
  }
}

variable "api" {
  description = <<-EOT
    The function that serves the HTTP API, and the API's limits for all callers together.
    `memory_mb`; `reserved_concurrency`: null leaves it to the account; `requests_per_second` and `request_burst`: what is above is answered 429.
  EOT
  type = object({
    memory_mb            = optional(number, 512)
    reserved_concurrency = optional(number)
    requests_per_second  = optional(number, 50)
    request_burst        = optional(number, 100)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.api.memory_mb >= 256 && var.api.memory_mb <= 10240 && floor(var.api.memory_mb) == var.api.memory_mb
    error_message = "api.memory_mb must be a whole number from 256 to 10240."
  }

  validation {
    condition     = var.api.reserved_concurrency == null || try(var.api.reserved_concurrency >= 1 && floor(var.api.reserved_concurrency) == var.api.reserved_concurrency, false)
    error_message = "api.reserved_concurrency must be a whole number from 1, or null."
  }

  validation {
    condition     = var.api.requests_per_second > 0 && var.api.requests_per_second <= 10000
    error_message = "api.requests_per_second must be above 0 and at most 10000, the account's own limit."
  }

  validation {
    condition     = var.api.request_burst >= 1 && var.api.request_burst <= 5000 && floor(var.api.request_burst) == var.api.request_burst
    error_message = "api.request_burst must be a whole number from 1 to 5000, the account's own limit."
  }
}

variable "dispatch" {
  description = <<-EOT
    The function that makes passes.
    `memory_mb`; `timeout_seconds`: a pass stops in time and wakes itself for the rest; `maximum_concurrency`: so many at once may answer wakes; `reserved_concurrency`: null leaves it to the account.
  EOT
  type = object({
    memory_mb            = optional(number, 512)
    timeout_seconds      = optional(number, 120)
    maximum_concurrency  = optional(number, 5)
    reserved_concurrency = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.dispatch.memory_mb >= 256 && var.dispatch.memory_mb <= 10240 && floor(var.dispatch.memory_mb) == var.dispatch.memory_mb
    error_message = "dispatch.memory_mb must be a whole number from 256 to 10240."
  }

  validation {
    condition     = var.dispatch.timeout_seconds >= 30 && var.dispatch.timeout_seconds <= 900 && floor(var.dispatch.timeout_seconds) == var.dispatch.timeout_seconds
    error_message = "dispatch.timeout_seconds must be a whole number from 30 to 900."
  }

  # CreateEventSourceMapping, ScalingConfig: 2 to 1000.
  validation {
    condition     = var.dispatch.maximum_concurrency >= 2 && var.dispatch.maximum_concurrency <= 1000 && floor(var.dispatch.maximum_concurrency) == var.dispatch.maximum_concurrency
    error_message = "dispatch.maximum_concurrency must be a whole number from 2 to 1000."
  }

  validation {
    condition     = var.dispatch.reserved_concurrency == null || try(var.dispatch.reserved_concurrency > var.dispatch.maximum_concurrency && floor(var.dispatch.reserved_concurrency) == var.dispatch.reserved_concurrency, false)
    error_message = "dispatch.reserved_concurrency must be a whole number above dispatch.maximum_concurrency, so that wakes leave room for the minute's tick, or null."
  }
}

variable "table" {
  description = <<-EOT
    The DynamoDB table, on demand.
    `point_in_time_recovery`: it can be restored to any second of the last 35 days; `deletion_protection`: it cannot be deleted, by Terraform neither.
  EOT
  type = object({
    point_in_time_recovery = optional(bool, true)
    deletion_protection    = optional(bool, true)
  })
  default  = {}
  nullable = false
}

variable "cluster_arns" {
  description = "ECS clusters whose task events are listened to. Empty: every cluster of this account and region; only tasks that pushpool started count in either case."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.cluster_arns : can(regex("^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]{1,255}$", arn))])
    error_message = "cluster_arns must be ARNs of ECS clusters: arn:aws:ecs:<region>:<account>:cluster/<name>."
  }
}

variable "retention_days" {
  description = "Days that ended runs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 3650 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days must be a whole number from 1 to 3650."
  }
}

variable "heartbeat_seconds" {
  description = "Seconds between two beats of a run's container. Each costs one write."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.heartbeat_seconds >= 1 && var.heartbeat_seconds <= 86400 && floor(var.heartbeat_seconds) == var.heartbeat_seconds
    error_message = "heartbeat_seconds must be a whole number from 1 to 86400."
  }
}

variable "log_level" {
  description = "The least level that the functions log: DEBUG, INFO, WARNING or ERROR."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be DEBUG, INFO, WARNING or ERROR."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept: one of the numbers that CloudWatch Logs takes."
  type        = number
  default     = 30
  nullable    = false

  # PutRetentionPolicy, retentionInDays.
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "environment" {
  description = "Further environment variables of the functions. They are readable by whoever may read a function's configuration: put no secret here."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Za-z][A-Za-z0-9_]*$", name))])
    error_message = "environment: each name must have letters, digits and underscores only, a letter first."
  }

  validation {
    condition     = alltrue([for name in keys(var.environment) : !startswith(name, "PUSHPOOL_")])
    error_message = "environment: names that begin with PUSHPOOL_ are set by the module's own variables."
  }
}

variable "google_credentials" {
  description = "How dispatch becomes known to Google Cloud, for pools of Cloud Run jobs: the output google_credentials of gcp-cloud-run-pool, which holds no secret. The package must be built with CLOUDS='aws cloud-run'. Null: not at all."
  type        = string
  default     = null

  validation {
    condition     = var.google_credentials == null || try(jsondecode(var.google_credentials).type == "external_account", false)
    error_message = "google_credentials must be the configuration of a workload identity federation: JSON whose type is external_account. A key of a service account is not taken."
  }
}

variable "azure_identity" {
  description = "As whom dispatch acts in Azure, for pools of Azure Container Instances: the output azure_identity of azure-aci-pool, which holds no secret. The package must be built with CLOUDS='aws aci'. Null: none."
  type = object({
    tenant_id = string
    client_id = string
  })
  default = null

  validation {
    condition     = var.azure_identity == null || try(alltrue([for id in values(var.azure_identity) : can(regex("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", id))]), false)
    error_message = "azure_identity.tenant_id and azure_identity.client_id must be UUIDs."
  }
}

variable "aci_creates" {
  description = <<-EOT
    How many container groups Azure lets a subscription make in a region, where it has raised its quota. Null: 300 in an hour and 100 in five minutes.
    `per_hour`; `per_five_minutes`.
  EOT
  type = object({
    per_hour         = number
    per_five_minutes = number
  })
  default = null

  validation {
    condition     = var.aci_creates == null || try(alltrue([for count in values(var.aci_creates) : count >= 1 && count <= 1000000 && floor(count) == count]), false)
    error_message = "aci_creates.per_hour and aci_creates.per_five_minutes must be whole numbers from 1 to 1000000."
  }
}

variable "make_token_keys" {
  description = "Whether the module makes the secret <name>/token-keys, with the keys that sign run tokens. False: somebody else does, in the form of token_keys."
  type        = bool
  default     = true
  nullable    = false
}

variable "token_keys" {
  description = "Own keys for signing run tokens, `id:key[,id:key…]`, the first signing: keys of at least 43 characters of base64url. Null: the module makes them. Written when token_keys_version changes; never in a state or plan."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = var.token_keys == null || can(regex("^[A-Za-z0-9_-]{1,32}:[A-Za-z0-9_-]{43,}(,[A-Za-z0-9_-]{1,32}:[A-Za-z0-9_-]{43,})*$", var.token_keys))
    error_message = "token_keys must be id:key[,id:key…], keys of at least 43 characters of base64url."
  }
}

variable "token_keys_version" {
  description = "Counts up from 1: another number writes the token keys anew. A made key then signs, and the two before it stay valid for the tokens that they signed."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.token_keys_version >= 1 && floor(var.token_keys_version) == var.token_keys_version
    error_message = "token_keys_version must be a whole number from 1."
  }
}

variable "make_modal_token" {
  description = "Whether the module makes the secret <name>/modal-token, for pools on Modal, which dispatch alone may read."
  type        = bool
  default     = false
  nullable    = false
}

variable "modal_token" {
  description = <<-EOT
    Token with which dispatch calls Modal, which `modal token new` makes. Written when modal_token_version changes; never in a state or plan.
    `token_id`; `token_secret`.
  EOT
  type = object({
    token_id     = string
    token_secret = string
  })
  default   = null
  sensitive = true
  ephemeral = true

  validation {
    condition     = var.modal_token == null || try(can(regex("^ak-[A-Za-z0-9]+$", var.modal_token.token_id)) && can(regex("^as-[A-Za-z0-9]+$", var.modal_token.token_secret)), false)
    error_message = "modal_token.token_id must begin with ak-, and modal_token.token_secret with as-."
  }

  validation {
    condition     = var.modal_token_version == 0 || var.modal_token != null
    error_message = "modal_token must be given where modal_token_version is 1 or more."
  }
}

variable "modal_token_version" {
  description = "Counts up from 1: another number writes modal_token anew. 0: the module makes the secret without a value, which somebody else puts in."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.modal_token_version >= 0 && floor(var.modal_token_version) == var.modal_token_version
    error_message = "modal_token_version must be a whole number from 0."
  }

  validation {
    condition     = var.modal_token_version == 0 || var.make_modal_token
    error_message = "modal_token_version must be 0 without make_modal_token."
  }
}

variable "secret_recovery_days" {
  description = "Days that the deleted secret of the token keys can be brought back, 7 to 30, in which no other can have its name; 0 deletes it at once."
  type        = number
  default     = 7
  nullable    = false

  # DeleteSecret, RecoveryWindowInDays.
  validation {
    condition     = var.secret_recovery_days == 0 || (var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30 && floor(var.secret_recovery_days) == var.secret_recovery_days)
    error_message = "secret_recovery_days must be 0, or a whole number from 7 to 30."
  }
}

variable "kms_key_arn" {
  description = "KMS key for the table, queues, logs, secrets and the functions' environment; null: AWS's own keys. The key's policy must admit logs.<region>.amazonaws.com, events.amazonaws.com and scheduler.amazonaws.com."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, not of an alias: arn:aws:kms:<region>:<account>:key/<id>."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds every role of the module, where the account demands one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy: arn:aws:iam::<account>:policy/<name>."
  }
}

variable "alarms" {
  description = <<-EOT
    Alarms for dead letters, errors of dispatch, five minutes without a tick, and errors of the API.
    `enabled`: false makes none; `topic_arns`: SNS topics that are told of an alarm and of its end.
  EOT
  type = object({
    enabled    = optional(bool, true)
    topic_arns = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for arn in var.alarms.topic_arns : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", arn))])
    error_message = "alarms.topic_arns must be ARNs of SNS topics: arn:aws:sns:<region>:<account>:<name>."
  }
}
