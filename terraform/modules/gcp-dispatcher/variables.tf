variable "project" {
  description = "Id of the Google Cloud project of everything."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a project, not its number or name: 6 to 30 lower case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region of functions, queue, schedule, bucket and secret: one that has Cloud Run functions, Cloud Scheduler and Cloud Tasks."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region must be the name of a region: europe-west1."
  }
}

variable "name" {
  description = "Name of the installation. Every resource is named after it, so that several installations fit into one project."
  type        = string
  default     = "pushpool"
  nullable    = false

  # A service account's id has 6 to 30 characters, and is this with -dispatch; a database's name has at least 4.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,18}[a-z0-9]$", var.name))
    error_message = "name must have 4 to 20 characters: lower case letters, digits and hyphens, a letter first and no hyphen last."
  }

  # Those of the installation `pushpool` are pushpool-secrets-…
  validation {
    condition     = !can(regex("-secrets(-|$)", var.name))
    error_message = "name must not end in -secrets or hold -secrets-: its token keys would read as a job's secret of another installation."
  }
}

variable "package" {
  description = "Path of the source package that `make package-gcp` builds. Its file name says for which runtime: pushpool-gcp-<runtime>.zip."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("(^|/)pushpool-gcp-python3\\.(11|12|13)\\.zip$", var.package))
    error_message = "package must be named pushpool-gcp-<python3.11, python3.12 or python3.13>.zip; `make package-gcp` builds it."
  }

  validation {
    condition     = fileexists(var.package)
    error_message = "package is not there; `make package-gcp` builds it into dist/."
  }
}

variable "public_url" {
  description = "URL under which containers reach the API, where that is not the function's own: a custom domain. Without a slash at its end."
  type        = string
  default     = null

  validation {
    condition     = var.public_url == null || can(regex("^https?://[^/?#]+(/[^?#]*)?[^/?#]$", var.public_url))
    error_message = "public_url must be an http or https URL without query and without a slash at its end."
  }
}

variable "api" {
  description = <<-EOT
    The function that serves the HTTP API.
    `memory_mb`; `concurrency`: requests that one instance answers at once; `maximum_instances`: what is above is answered 429; `public`: whether everybody may call it, and its own keys decide; without, containers and people need an invoker's token for it, which pushpool does not send.
  EOT
  type = object({
    memory_mb         = optional(number, 512)
    concurrency       = optional(number, 10)
    maximum_instances = optional(number, 10)
    public            = optional(bool, true)
  })
  default  = {}
  nullable = false

  # Cloud Run documentation, "Configure memory limits for services": 512 MiB to 4 GiB with one CPU.
  validation {
    condition     = var.api.memory_mb >= 512 && var.api.memory_mb <= 4096 && floor(var.api.memory_mb) == var.api.memory_mb
    error_message = "api.memory_mb must be a whole number from 512 to 4096."
  }

  validation {
    condition     = var.api.concurrency >= 1 && var.api.concurrency <= 1000 && floor(var.api.concurrency) == var.api.concurrency
    error_message = "api.concurrency must be a whole number from 1 to 1000."
  }

  validation {
    condition     = var.api.maximum_instances >= 1 && var.api.maximum_instances <= 1000 && floor(var.api.maximum_instances) == var.api.maximum_instances
    error_message = "api.maximum_instances must be a whole number from 1 to 1000."
  }
}

variable "dispatch" {
  description = <<-EOT
    The function that makes passes.
    `memory_mb`; `timeout_seconds`: a pass stops in time and wakes itself for the rest; `maximum_concurrency`: so many wakes at once; `wakes_per_second`: so many at most.
  EOT
  type = object({
    memory_mb           = optional(number, 512)
    timeout_seconds     = optional(number, 120)
    maximum_concurrency = optional(number, 5)
    wakes_per_second    = optional(number, 50)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.dispatch.memory_mb >= 512 && var.dispatch.memory_mb <= 4096 && floor(var.dispatch.memory_mb) == var.dispatch.memory_mb
    error_message = "dispatch.memory_mb must be a whole number from 512 to 4096."
  }

  # Cloud Scheduler (Job, attempt_deadline) and Cloud Tasks (Task, dispatch_deadline) wait 30 minutes at most.
  validation {
    condition     = var.dispatch.timeout_seconds >= 30 && var.dispatch.timeout_seconds <= 1800 && floor(var.dispatch.timeout_seconds) == var.dispatch.timeout_seconds
    error_message = "dispatch.timeout_seconds must be a whole number from 30 to 1800."
  }

  validation {
    condition     = var.dispatch.maximum_concurrency >= 1 && var.dispatch.maximum_concurrency <= 998 && floor(var.dispatch.maximum_concurrency) == var.dispatch.maximum_concurrency
    error_message = "dispatch.maximum_concurrency must be a whole number from 1 to 998."
  }

  # Queue, RateLimits, max_dispatches_per_second.
  validation {
    condition     = var.dispatch.wakes_per_second > 0 && var.dispatch.wakes_per_second <= 500
    error_message = "dispatch.wakes_per_second must be above 0 and at most 500."
  }
}

variable "database" {
  description = <<-EOT
    The Firestore database, in native mode.
    `name`: null is the installation's; `make`: false for one that is there already, in which only the indexes are made; `location`: a region or multi-region, null the installation's region; `point_in_time_recovery`: it can be read as of any minute of the last 7 days; `deletion_protection`: it cannot be deleted, by Terraform neither.
  EOT
  type = object({
    name                   = optional(string)
    make                   = optional(bool, true)
    location               = optional(string)
    point_in_time_recovery = optional(bool, true)
    deletion_protection    = optional(bool, true)
  })
  default  = {}
  nullable = false

  # projects.databases.create, databaseId.
  validation {
    condition     = var.database.name == null || can(regex("^(\\(default\\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.database.name))
    error_message = "database.name must be (default), or 4 to 63 lower case letters, digits and hyphens, a letter first and no hyphen last."
  }

  validation {
    condition     = var.database.location == null || can(regex("^(nam5|nam7|eur3|[a-z]+-[a-z]+[0-9]{1,2})$", var.database.location))
    error_message = "database.location must be a region, as europe-west1, or a multi-region: eur3, nam5 or nam7."
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
  description = "Seconds between two beats of a run's container. Each costs one read and one write."
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
    condition     = alltrue([for name in keys(var.environment) : !startswith(name, "PUSHPOOL_") && name != "GOOGLE_CLOUD_PROJECT"])
    error_message = "environment: GOOGLE_CLOUD_PROJECT and names that begin with PUSHPOOL_ are set by the module's own variables."
  }
}

variable "aws_role_arn" {
  description = "Role in AWS in which dispatch acts there, for pools of ECS tasks: the output google_dispatcher_role_arn of aws-ecs-pool. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.aws_role_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", var.aws_role_arn))
    error_message = "aws_role_arn must be the ARN of an IAM role: arn:aws:iam::<account>:role/<name>."
  }
}

variable "aws_audience" {
  description = "Whom dispatch's identity tokens for AWS are for: the audience that aws_role_arn's trust policy names."
  type        = string
  default     = "pushpool"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9:/._-]{1,255}$", var.aws_audience))
    error_message = "aws_audience must have 1 to 255 letters, digits and characters of : / . _ -"
  }
}

variable "azure_identity" {
  description = "As whom dispatch acts in Azure, for pools of Azure Container Instances: the output azure_identity of azure-aci-pool, which holds no secret. The package must be built with CLOUDS='gcp aci'. Null: none."
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
  description = "Whether the module makes the secret <name>-token-keys, with the keys that sign run tokens. False: it is there already, in the form of token_keys."
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
  description = "Whether the module makes the secret <name>-modal-token, for pools on Modal, which dispatch alone may read."
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

variable "kms_key" {
  description = "Cloud KMS key for database, topics, secret and the package's bucket; null: Google's own. It must lie in their locations and admit the service agents of Firestore, Pub/Sub, Secret Manager and Cloud Storage as encrypters and decrypters."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key must be the name of a key, not of a version: projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>."
  }
}

variable "labels" {
  description = "Labels of whatever can have them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels must have keys and values of at most 63 lower case letters, digits, hyphens and underscores, keys with a letter first."
  }
}

variable "enable_apis" {
  description = "Whether the module turns on the project's APIs that it needs. They stay on when it is destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "alerts" {
  description = <<-EOT
    Alerts for dead letters, errors of dispatch, failed passes, five minutes without a tick, and errors of the API.
    `enabled`: false makes none; `notification_channels`: channels of Cloud Monitoring that are told, projects/<project>/notificationChannels/<id>.
  EOT
  type = object({
    enabled               = optional(bool, true)
    notification_channels = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for channel in var.alerts.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "alerts.notification_channels must be names of channels: projects/<project>/notificationChannels/<id>."
  }
}
