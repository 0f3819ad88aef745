variable "region" {
  description = "AWS region of everything."
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
  description = "Path of the deployment package that `make package-aws` builds."
  type        = string
  default     = "../../../dist/pushpool-aws-python3.11-x86_64.zip"
  nullable    = false
}

variable "public_url" {
  description = "URL under which containers reach the API, where that is not the API's own. Without a slash at its end."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets of the pool's tasks. Empty: those of the region's default VPC."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "security_group_ids" {
  description = "Security groups of the pool's tasks. They need no way in, and a way out to the API, the image and the logs. Empty: the VPC's default one."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "assign_public_ip" {
  description = "Whether tasks get a public address: they need one in subnets without NAT, as those of a default VPC are."
  type        = bool
  default     = true
  nullable    = false
}

variable "task_role_arns" {
  description = "Roles that containers may run as; the first is the pool's own choice."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "repository_arns" {
  description = "ECR repositories from which the pool's images are pulled. Public images need none."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "alarm_topic_arns" {
  description = "SNS topics that are told of alarms."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "keep_data" {
  description = "Whether the table is protected from deletion and can be restored, and deleted keys can be brought back. False: for trying out, so that `terraform destroy` leaves nothing."
  type        = bool
  default     = true
  nullable    = false
}
