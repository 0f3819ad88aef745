variable "pool" {
  description = "Name of the work pool."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", var.pool))
    error_message = "pool must have 1 to 100 letters, digits, hyphens, underscores and dots, a letter or digit first."
  }
}

variable "project" {
  description = "Id of the Google Cloud project in which the pool's jobs run."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a project, not its number or name: 6 to 30 lower case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region in which the pool's jobs run."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region must be the name of a region: europe-west1."
  }
}

variable "name" {
  description = "Name of what the module makes: accounts and roles. Null: pushpool-<pool>. Two installations in one project need two."
  type        = string
  default     = null

  # An account's id has 6 to 30 characters, and is this with -jobs or -aws.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}[a-z0-9]$", replace(replace(lower(coalesce(var.name, "pushpool-${var.pool}")), ".", "-"), "_", "-")))
    error_message = "name must have 4 to 25 letters, digits, hyphens, underscores and dots, a letter first and a letter or digit last; for a pool whose name has more than 16 characters, give a name."
  }
}

variable "dispatcher" {
  description = "Who dispatches, as policies name it: the output dispatch_member of gcp-dispatcher. Null with aws_dispatcher."
  type        = string
  default     = null

  validation {
    condition     = var.dispatcher == null || can(regex("^(serviceAccount:[^@*]+@[a-z0-9.-]+\\.gserviceaccount\\.com|principal://iam\\.googleapis\\.com/[^*]+)$", var.dispatcher))
    error_message = "dispatcher must be one service account, serviceAccount:<email>, or one federated identity, principal://iam.googleapis.com/…"
  }

  validation {
    condition     = (var.dispatcher == null) != (var.aws_dispatcher == null)
    error_message = "either dispatcher or aws_dispatcher must be given, and not both."
  }
}

variable "aws_dispatcher" {
  description = <<-EOT
    A dispatcher on AWS, let in by workload identity federation; give the output google_credentials to aws-dispatcher.
    `account_id`; `role_name`: the output dispatch_role_name of aws-dispatcher; `partition`: aws-us-gov or aws-cn elsewhere.
  EOT
  type = object({
    account_id = string
    role_name  = string
    partition  = optional(string, "aws")
  })
  default = null

  validation {
    condition     = var.aws_dispatcher == null || can(regex("^[0-9]{12}$", var.aws_dispatcher.account_id))
    error_message = "aws_dispatcher.account_id must be the 12 digits of an AWS account."
  }

  # A subject has at most 127 characters, an IAM role's name 64.
  validation {
    condition     = var.aws_dispatcher == null || can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.aws_dispatcher.role_name))
    error_message = "aws_dispatcher.role_name must be the name of an IAM role, not its ARN."
  }

  validation {
    condition     = var.aws_dispatcher == null || can(regex("^aws(-[a-z]+)*$", var.aws_dispatcher.partition))
    error_message = "aws_dispatcher.partition must be aws, aws-us-gov or aws-cn."
  }
}

variable "service_accounts" {
  description = "Emails of the service accounts that the pool's jobs may run as; the first is the pool's own choice. Empty: the module makes one that may do nothing."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for email in var.service_accounts : can(regex("^[^@*:/]+@[a-z0-9.-]+\\.gserviceaccount\\.com$", email))])
    error_message = "service_accounts must be emails of service accounts, without serviceAccount: before them."
  }
}

variable "secrets" {
  description = "Secrets that the pool's jobs may name as environment variables or volumes: projects/<project>/secrets/<name>."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for secret in var.secrets : can(regex("^projects/[^/*]+/secrets/[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "secrets must be names of secrets, without a version: projects/<project>/secrets/<name>."
  }
}

variable "repositories" {
  description = "Artifact Registry repositories whose images the pool's jobs run: projects/<project>/locations/<location>/repositories/<name>. Public images need none."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for repository in var.repositories : can(regex("^projects/[^/*]+/locations/[^/*]+/repositories/[^/*]+$", repository))])
    error_message = "repositories must be names of repositories: projects/<project>/locations/<location>/repositories/<name>."
  }
}

variable "shared_jobs" {
  description = "Whether runs may be submitted as a `shared job`, which is started with a run's own arguments and environment, for more runs than a region holds jobs. It needs the permission run.jobs.runWithOverrides, which is given for every job of the project."
  type        = bool
  default     = false
  nullable    = false
}

variable "events_topic" {
  description = "Topic that is told of ended executions, for a pool in another project than its dispatcher's: the output events_topic of gcp-dispatcher. Null: in the dispatcher's own, which hears of them, or where none can hear."
  type        = string
  default     = null

  validation {
    condition     = var.events_topic == null || can(regex("^projects/[^/]+/topics/[^/]+$", var.events_topic))
    error_message = "events_topic must be the full name of a topic: projects/<project>/topics/<name>."
  }
}

variable "enable_apis" {
  description = "Whether the module turns on the project's APIs that it needs. They stay on when it is destroyed."
  type        = bool
  default     = true
  nullable    = false
}
