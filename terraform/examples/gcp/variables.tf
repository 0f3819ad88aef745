variable "project" {
  description = "Id of the Google Cloud project of everything."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of everything: one that has Cloud Run functions, Cloud Scheduler and Cloud Tasks."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the installation."
  type        = string
  default     = "pushpool"
  nullable    = false
}

variable "package" {
  description = "Path of the source package that `make package-gcp` builds."
  type        = string
  default     = "../../../dist/pushpool-gcp-python3.11.zip"
  nullable    = false
}

variable "public_url" {
  description = "URL under which containers reach the API, where that is not the function's own. Without a slash at its end."
  type        = string
  default     = null
}

variable "service_accounts" {
  description = "Emails of the service accounts that containers may run as; the first is the pool's own choice. Empty: one is made that may do nothing."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "secrets" {
  description = "Secrets that the pool's jobs may name: projects/<project>/secrets/<name>."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "repositories" {
  description = "Artifact Registry repositories from which the pool's images are pulled: projects/<project>/locations/<location>/repositories/<name>. Public images need none."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that are told of alerts: projects/<project>/notificationChannels/<id>."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "keep_data" {
  description = "Whether the database is protected from deletion and can be restored. False: for trying out, so that `terraform destroy` takes it along."
  type        = bool
  default     = true
  nullable    = false
}
