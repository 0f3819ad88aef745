# What each role may do, planned by the real provider without credentials: what only AWS could say is said here.
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

override_resource {
  target          = aws_dynamodb_table.this
  override_during = plan
  values          = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/pushpool" }
}

override_resource {
  target          = aws_sqs_queue.wake
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-central-1:123456789012:pushpool-wake" }
}

override_resource {
  target          = aws_sqs_queue.dead_letters
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-central-1:123456789012:pushpool-dead-letters", url = "https://sqs.example/1/pushpool-dead-letters" }
}

override_resource {
  target          = aws_cloudwatch_log_group.function
  override_during = plan
  values          = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:made" }
}

override_resource {
  target          = aws_lambda_function.this
  override_during = plan
  values          = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:made" }
}

override_resource {
  target          = aws_scheduler_schedule_group.this
  override_during = plan
  values          = { arn = "arn:aws:scheduler:eu-central-1:123456789012:schedule-group/pushpool" }
}

variables {
  package         = "tests/packages/pushpool-aws-python3.11-x86_64.zip"
  make_token_keys = false
}

run "roles_reach_what_they_need_and_nothing_else" {
  command = plan

  assert {
    condition = distinct(flatten([for statement in jsondecode(aws_iam_role_policy.function["api"].policy).Statement : [
      for action in statement.Action : split(":", action)[0]
    ]])) == tolist(["dynamodb", "sqs", "secretsmanager", "logs"])
    error_message = "The API's role must have rights on the table, the wake queue, the token keys and its log alone."
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.function["api"].policy).Statement : statement.Sid => statement.Resource } == {
      Table     = ["arn:aws:dynamodb:eu-central-1:123456789012:table/pushpool"]
      Index     = ["arn:aws:dynamodb:eu-central-1:123456789012:table/pushpool/index/due"]
      Wake      = ["arn:aws:sqs:eu-central-1:123456789012:pushpool-wake"]
      TokenKeys = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:pushpool/token-keys-??????"]
      Logs      = ["arn:aws:logs:eu-central-1:123456789012:log-group:made:*"]
    }
    error_message = "The API's role must reach these five things and no other."
  }

  assert {
    condition = [for key in ["api", "dispatch", "events"] : key if anytrue([
      for statement in jsondecode(aws_iam_role_policy.function[key].policy).Statement : anytrue([
        for resource in statement.Resource : strcontains(resource, ":secret:pushpool/secrets/")
      ])
    ])] == ["dispatch"]
    error_message = "Dispatch, and it alone, must be able to read the secrets of jobs."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.function["events"].policy, "secretsmanager")
    error_message = "The events function must read no secret."
  }

  assert {
    condition = alltrue(flatten([for policy in concat(values(aws_iam_role_policy.function), [aws_iam_role_policy.scheduler]) : [
      for statement in jsondecode(policy.policy).Statement : concat(
        [for action in statement.Action : !strcontains(action, "*")],
        [for resource in statement.Resource : resource != "*"],
      )
    ]]))
    error_message = "Actions must be named one by one, and each resource by its ARN."
  }

  assert {
    condition = jsondecode(aws_iam_role.scheduler.assume_role_policy).Statement[0].Condition.StringEquals == {
      "aws:SourceAccount" = "123456789012"
      "aws:SourceArn"     = "arn:aws:scheduler:eu-central-1:123456789012:schedule-group/pushpool"
    }
    error_message = "The role must be for this account's schedules of this group."
  }
}

run "dispatch_alone_may_have_itself_signed_for_to_azure_and_read_the_token_for_modal" {
  command = plan

  variables {
    azure_identity   = { tenant_id = "33333333-0000-4000-8000-000000000000", client_id = "22222222-0000-4000-8000-000000000000" }
    make_modal_token = true
  }

  override_resource {
    target          = aws_secretsmanager_secret.modal_token
    override_during = plan
    values          = { arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:pushpool/modal-token-a1B2c3" }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["dispatch"].policy).Statement : statement if statement.Sid == "TokensForAzure"] == [{
      Sid      = "TokensForAzure"
      Effect   = "Allow"
      Action   = ["sts:GetWebIdentityToken"]
      Resource = ["*"]
      Condition = {
        "ForAllValues:StringEquals" = { "sts:IdentityTokenAudience" = ["api://AzureADTokenExchange"] }
        NumericLessThanEquals       = { "sts:DurationSeconds" = "300" }
        StringEquals                = { "sts:SigningAlgorithm" = "RS256" }
      }
    }]
    error_message = "The tokens must be for Azure alone, and short."
  }

  assert {
    condition     = !anytrue([for key in ["api", "events"] : strcontains(aws_iam_role_policy.function[key].policy, "sts:")])
    error_message = "No other function may be signed for."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.function["dispatch"].policy).Statement : jsonencode([statement.Action, statement.Resource]) if statement.Sid == "ModalToken"] == [jsonencode([["secretsmanager:GetSecretValue"], [aws_secretsmanager_secret.modal_token[0].arn]])]
    error_message = "Dispatch must be able to read this one secret."
  }

  assert {
    condition     = !anytrue([for key in ["api", "events"] : strcontains(aws_iam_role_policy.function[key].policy, "modal-token")])
    error_message = "No other function may read it."
  }

  assert {
    condition     = !startswith(aws_secretsmanager_secret.modal_token[0].name, output.job_secret_prefix)
    error_message = "No job must be able to name it."
  }

  assert {
    condition     = length(aws_secretsmanager_secret_version.modal_token) == 0
    error_message = "Its value must be somebody else's to put in, as long as no version of it is given."
  }
}

run "a_key_of_ones_own_is_admitted_to_all" {
  command = plan

  variables {
    kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition = alltrue([for policy in concat(values(aws_iam_role_policy.function), [aws_iam_role_policy.scheduler]) : anytrue([
      for statement in jsondecode(policy.policy).Statement : statement.Sid == "Key" && jsonencode(statement.Resource) == jsonencode([var.kms_key_arn])
    ])])
    error_message = "Every role must be able to use the key, and no other."
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role.function), [aws_iam_role.scheduler]) : role.permissions_boundary == var.permissions_boundary_arn])
    error_message = "Every role must be bounded."
  }
}
