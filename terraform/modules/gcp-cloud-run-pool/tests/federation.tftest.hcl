# A dispatcher on AWS, planned without an account.
provider "google" {
  access_token = "none"
}

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

override_resource {
  target          = google_service_account.dispatcher
  override_during = plan
  values = {
    email  = "pushpool-fargate-aws@my-project.iam.gserviceaccount.com"
    member = "serviceAccount:pushpool-fargate-aws@my-project.iam.gserviceaccount.com"
    name   = "projects/my-project/serviceAccounts/pushpool-fargate-aws@my-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = google_iam_workload_identity_pool.aws
  override_during = plan
  values          = { name = "projects/123456789012/locations/global/workloadIdentityPools/pushpool-fargate-aws" }
}

override_resource {
  target          = google_iam_workload_identity_pool_provider.aws
  override_during = plan
  values          = { name = "projects/123456789012/locations/global/workloadIdentityPools/pushpool-fargate-aws/providers/dispatcher" }
}

variables {
  pool           = "fargate"
  project        = "my-project"
  region         = "europe-west1"
  aws_dispatcher = { account_id = "210987654321", role_name = "pushpool-dispatch-eu-central-1" }
}

run "one_role_of_one_account_is_let_in" {
  command = plan

  assert {
    condition     = google_iam_workload_identity_pool_provider.aws[0].aws[0].account_id == "210987654321"
    error_message = "Only that account of AWS must be taken at its word."
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.aws[0].attribute_condition == "assertion.arn.startsWith('arn:aws:sts::210987654321:assumed-role/pushpool-dispatch-eu-central-1/')"
    error_message = "Only sessions of that role must be let in."
  }

  assert {
    condition     = google_service_account_iam_member.dispatcher[0].member == "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pushpool-fargate-aws/subject/pushpool-dispatch-eu-central-1" && google_service_account_iam_member.dispatcher[0].role == "roles/iam.workloadIdentityUser"
    error_message = "That role must act as the pool's dispatcher, and no other identity."
  }

  assert {
    condition     = google_project_iam_member.dispatch.member == "serviceAccount:pushpool-fargate-aws@my-project.iam.gserviceaccount.com" && output.dispatcher_member == google_project_iam_member.dispatch.member
    error_message = "The rights must go to the account that it acts as."
  }
}

run "the_longest_names_are_ids_that_google_takes" {
  command = plan

  variables {
    pool = join("", [for _ in range(100) : "p"])
    name = "pushpool-of-twenty-five-c"
  }

  # workloadIdentityPools.create and workloadIdentityPools.providers.create: 4 to 32 characters.
  assert {
    condition     = alltrue([for id in [google_iam_workload_identity_pool.aws[0].workload_identity_pool_id, google_iam_workload_identity_pool_provider.aws[0].workload_identity_pool_provider_id] : can(regex("^[a-z0-9-]{4,32}$", id))])
    error_message = "Identity pool and provider must have ids of 4 to 32 characters."
  }

  # serviceAccounts.create, and the resources ServiceAccount and Role.
  assert {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", google_service_account.dispatcher[0].account_id)) && can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", google_service_account.jobs[0].account_id))
    error_message = "Accounts must have ids of 6 to 30 characters."
  }

  assert {
    condition     = alltrue([for title in [google_service_account.dispatcher[0].display_name, google_service_account.jobs[0].display_name, google_project_iam_custom_role.dispatch.title, google_project_iam_custom_role.act_as.title] : length(title) <= 100 && strcontains(title, "pppp")])
    error_message = "What is shown of accounts and roles must have at most 100 characters."
  }
}

run "the_configuration_names_the_way_and_no_secret" {
  command = plan

  assert {
    condition = jsondecode(output.google_credentials) == {
      universe_domain                   = "googleapis.com"
      type                              = "external_account"
      audience                          = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pushpool-fargate-aws/providers/dispatcher"
      subject_token_type                = "urn:ietf:params:aws:token-type:aws4_request"
      token_url                         = "https://sts.googleapis.com/v1/token"
      service_account_impersonation_url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/pushpool-fargate-aws@my-project.iam.gserviceaccount.com:generateAccessToken"
      credential_source = {
        environment_id                 = "aws1"
        regional_cred_verification_url = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
      }
    }
    error_message = "The configuration must be the one that Google's libraries take."
  }
}
