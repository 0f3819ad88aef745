variable "pool" {
  description = "Name of the work pool."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", var.pool))
    error_message = "pool must have 1 to 100 letters, digits, hyphens, underscores and dots, a letter or digit first."
  }
}

variable "region" {
  description = "Region in which the pool's containers run unless a job says otherwise, and in which the module makes what it makes."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{4,}[a-z0-9]*$", var.region))
    error_message = "region must be the name of a region as `az account list-locations` has it: westeurope."
  }
}

variable "other_regions" {
  description = "Regions that are tried in turn where one before them has no capacity. None with subnet_ids: a subnet lies in one region."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for region in var.other_regions : can(regex("^[a-z]{4,}[a-z0-9]*$", region)) && region != var.region])
    error_message = "other_regions must be names of regions, without the pool's own: northeurope."
  }

  validation {
    condition     = length(var.other_regions) == 0 || length(var.subnet_ids) == 0
    error_message = "other_regions cannot be used with subnet_ids: a subnet lies in one region. Make a pool for each region."
  }
}

variable "resource_group_name" {
  description = "Resource group that holds the pool's container groups. Null: the module makes one. On everything of this kind in it dispatch gets its rights."
  type        = string
  default     = null

  # Azure's naming rules, Microsoft.Resources.
  validation {
    condition     = var.resource_group_name == null || can(regex("^[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]$", var.resource_group_name))
    error_message = "resource_group_name must have 1 to 90 letters, digits, underscores, parentheses, hyphens and dots, and no dot last."
  }
}

variable "name" {
  description = "Name of what the module makes: resource group, identity and roles. Null: pushpool-<pool>. Two installations in one subscription need two."
  type        = string
  default     = null

  # A resource group's name has at most 90 characters, an identity's at least 3, and this one's is the name with -dispatch.
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$", replace(coalesce(var.name, "pushpool-${var.pool}"), ".", "-")))
    error_message = "name must have 1 to 80 letters, digits, hyphens, underscores and dots, a letter or digit first; for a pool whose name has more than 71 characters, give a name."
  }
}

variable "aws_dispatcher" {
  description = <<-EOT
    A dispatcher on AWS, let in by workload identity federation; give the output azure_identity to aws-dispatcher.
    `issuer`: the account's own, which `aws iam enable-outbound-web-identity-federation` tells; `role_arn`: the output dispatch_role_arn of aws-dispatcher.
  EOT
  type = object({
    issuer   = string
    role_arn = string
  })
  default = null

  validation {
    condition     = var.aws_dispatcher == null || can(regex("^https://[A-Za-z0-9.-]+(/[A-Za-z0-9._/-]*[A-Za-z0-9_-])?$", var.aws_dispatcher.issuer))
    error_message = "aws_dispatcher.issuer must be the account's issuer URL, without a slash at its end: https://<id>.tokens.sts.global.api.aws."
  }

  validation {
    condition     = var.aws_dispatcher == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", var.aws_dispatcher.role_arn))
    error_message = "aws_dispatcher.role_arn must be the ARN of an IAM role, not of a session: arn:aws:iam::<account>:role/<name>."
  }
}

variable "google_dispatcher" {
  description = <<-EOT
    A dispatcher on Google Cloud, let in by workload identity federation; give the output azure_identity to gcp-dispatcher.
    `unique_id`: the output dispatch_unique_id of gcp-dispatcher.
  EOT
  type = object({
    unique_id = string
  })
  default = null

  validation {
    condition     = var.google_dispatcher == null || can(regex("^[0-9]{21}$", var.google_dispatcher.unique_id))
    error_message = "google_dispatcher.unique_id must be the 21 digits of a service account's unique id, not its email."
  }
}

variable "dispatcher_principal_id" {
  description = "Who dispatches, where that is known to Azure already: the output dispatcher_principal_id of another pool's module. Null with aws_dispatcher or google_dispatcher."
  type        = string
  default     = null

  validation {
    condition     = var.dispatcher_principal_id == null || can(regex("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", var.dispatcher_principal_id))
    error_message = "dispatcher_principal_id must be the principal id of a managed identity, a UUID."
  }

  validation {
    condition     = (var.dispatcher_principal_id == null) != (var.aws_dispatcher == null && var.google_dispatcher == null)
    error_message = "either aws_dispatcher or google_dispatcher, or both, or else dispatcher_principal_id must be given."
  }
}

variable "identities" {
  description = "User-assigned identities that the pool's containers may have, by their full ids; the first is the pool's own choice."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.identities : can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.ManagedIdentity/userAssignedIdentities/[^/]+$", id))])
    error_message = "identities must be full ids: /subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>."
  }
}

variable "subnet_ids" {
  description = "Subnets that the pool's containers may be in, by their full ids; the first is the pool's own choice. They must be delegated to Microsoft.ContainerInstance/containerGroups, and have a way out to the API."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.Network/virtualNetworks/[^/]+/subnets/[^/]+$", id))])
    error_message = "subnet_ids must be full ids: /subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.Network/virtualNetworks/<network>/subnets/<name>."
  }
}

variable "tags" {
  description = "Tags of the resource group and the identity that the module makes."
  type        = map(string)
  default     = {}
  nullable    = false

  # Resource Manager documentation, "Use tags", "Limitations".
  validation {
    condition     = length(var.tags) <= 50 && alltrue([for key, value in var.tags : can(regex("^[^<>%&\\\\?/]{1,512}$", key)) && length(value) <= 256])
    error_message = "tags must be at most 50, names of at most 512 characters without < > % & \\ ? and /, values of at most 256."
  }
}
