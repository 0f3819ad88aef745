variable "region" {
  description = "AWS region of the dispatcher."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region: eu-central-1."
  }
}

variable "name" {
  description = "Name of the installation."
  type        = string
  default     = "pushpool"
  nullable    = false
}

variable "package" {
  description = "Path of the deployment package that `make package-aws` builds, with the libraries for Azure and Modal."
  type        = string
  default     = "../../../dist/pushpool-aws-python3.11-x86_64.zip"
  nullable    = false
}

variable "aws_issuer" {
  description = "The AWS account's own issuer URL, which `aws iam enable-outbound-web-identity-federation` tells."
  type        = string
  nullable    = false
}

variable "azure_subscription_id" {
  description = "Id of the Azure subscription in which containers run."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$", var.azure_subscription_id))
    error_message = "azure_subscription_id must be the id of a subscription, a UUID: `az account show --query id`."
  }
}

variable "azure_region" {
  description = "Region of Azure in which containers run unless a job says otherwise."
  type        = string
  nullable    = false
}

variable "azure_other_regions" {
  description = "Regions that are tried in turn where one before them has no capacity."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "azure_identities" {
  description = "User-assigned identities that containers in Azure may have, by their full ids; the first is the pool's own choice."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "azure_subnet_ids" {
  description = "Subnets that containers in Azure may be in, by their full ids; the first is the pool's own choice. None with azure_other_regions."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "modal_token" {
  description = "Token for Modal, `token_id` and `token_secret`, where Terraform is to write it into its secret. Null: somebody else does."
  type = object({
    token_id     = string
    token_secret = string
  })
  default   = null
  sensitive = true
  ephemeral = true
}

variable "modal_token_version" {
  description = "Counts up from 1: another number writes modal_token anew. 0: it is not written."
  type        = number
  default     = 0
  nullable    = false
}

variable "keep_data" {
  description = "Whether the table is protected from deletion and can be restored, and deleted secrets can be brought back. False: for trying out, so that `terraform destroy` leaves nothing."
  type        = bool
  default     = true
  nullable    = false
}
