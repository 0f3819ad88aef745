# Each cloud's pool is told of the dispatcher, and that of the pool: no account or role may wait for what it lets in.
module "on_aws" {
  source             = "../../modules/aws-dispatcher"
  package            = "../../modules/aws-dispatcher/tests/packages/pushpool-aws-python3.11-x86_64.zip"
  google_credentials = module.cloud_run.google_credentials
  azure_identity     = module.aci.azure_identity
}

module "cloud_run" {
  source         = "../../modules/gcp-cloud-run-pool"
  pool           = "cloud-run"
  project        = "my-project"
  region         = "europe-west1"
  aws_dispatcher = { account_id = "123456789012", role_name = module.on_aws.dispatch_role_name }
}

module "on_google" {
  source         = "../../modules/gcp-dispatcher"
  project        = "my-project"
  region         = "europe-west1"
  package        = "../../modules/gcp-dispatcher/tests/packages/pushpool-gcp-python3.11.zip"
  aws_role_arn   = module.ecs.google_dispatcher_role_arn
  azure_identity = module.aci.azure_identity
}

module "ecs" {
  source            = "../../modules/aws-ecs-pool"
  pool              = "fargate"
  google_dispatcher = { unique_id = module.on_google.dispatch_unique_id }
  network           = { subnet_ids = ["subnet-0a1b2c3d4e5f60718"] }
}

module "aci" {
  source            = "../../modules/azure-aci-pool"
  pool              = "aci"
  region            = "westeurope"
  aws_dispatcher    = { issuer = "https://a1b2.tokens.sts.global.api.aws", role_arn = module.on_aws.dispatch_role_arn }
  google_dispatcher = { unique_id = module.on_google.dispatch_unique_id }
}

module "further_aci" {
  source                  = "../../modules/azure-aci-pool"
  pool                    = "further"
  region                  = "eastus2"
  dispatcher_principal_id = module.aci.dispatcher_principal_id
}
