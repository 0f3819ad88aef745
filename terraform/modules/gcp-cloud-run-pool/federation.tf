# A dispatcher on AWS: Google takes AWS's word for who calls, and lets the one role act as an account of this project. No key
# is stored anywhere (IAM documentation, "Configure Workload Identity Federation with AWS").
locals {
  aws_count = var.aws_dispatcher == null ? 0 : 1
}

resource "google_iam_workload_identity_pool" "aws" {
  count = local.aws_count

  project                   = var.project
  workload_identity_pool_id = "${local.name}-aws"
  display_name              = "pushpool on AWS"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "aws" {
  count = local.aws_count

  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.aws[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "dispatcher" # at least 4 characters
  attribute_condition                = "assertion.arn.startsWith('${local.aws_session}')"

  # A session's whole ARN may be longer than the 127 characters that a subject can have.
  attribute_mapping = {
    "google.subject" = "assertion.arn.extract('assumed-role/{role}/')"
  }

  aws {
    account_id = var.aws_dispatcher.account_id
  }
}

locals {
  aws_session = try("arn:${var.aws_dispatcher.partition}:sts::${var.aws_dispatcher.account_id}:assumed-role/${var.aws_dispatcher.role_name}/", "")
}

resource "google_service_account" "dispatcher" {
  count = local.aws_count

  project      = var.project
  account_id   = "${local.name}-aws"
  display_name = substr("pushpool: dispatch on AWS, for the pool ${var.pool}", 0, 100)

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "dispatcher" {
  count = local.aws_count

  service_account_id = google_service_account.dispatcher[0].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.aws[0].name}/subject/${var.aws_dispatcher.role_name}"
}

locals {
  # It holds no secret: it says where to go with what AWS has signed. No address of a metadata server is named, so that only a
  # function's own credentials are ever used.
  google_credentials = one([for provider in google_iam_workload_identity_pool_provider.aws : jsonencode({
    universe_domain                   = "googleapis.com"
    type                              = "external_account"
    audience                          = "//iam.googleapis.com/${provider.name}"
    subject_token_type                = "urn:ietf:params:aws:token-type:aws4_request"
    token_url                         = "https://sts.googleapis.com/v1/token"
    service_account_impersonation_url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${google_service_account.dispatcher[0].email}:generateAccessToken"
    credential_source = {
      environment_id                 = "aws1"
      regional_cred_verification_url = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    }
  })])
}
