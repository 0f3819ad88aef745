locals {
  token_keys = "${var.name}/token-keys"

  # The six characters are what Secrets Manager adds to a secret's name.
  token_keys_arn = one(concat(
    aws_secretsmanager_secret.token_keys[*].arn,
    var.make_token_keys ? [] : ["arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${local.token_keys}-??????"],
  ))
}

ephemeral "aws_secretsmanager_random_password" "token_key" {
  count = var.make_token_keys ? 1 : 0

  password_length     = 64
  exclude_punctuation = true
}

# Read only to put a new key before the old ones.
ephemeral "aws_secretsmanager_secret_version" "token_keys" {
  count = var.make_token_keys && var.token_keys_version > 1 ? 1 : 0

  secret_id = aws_secretsmanager_secret.token_keys[0].id
}

locals {
  new_token_keys  = [for made in ephemeral.aws_secretsmanager_random_password.token_key : "k${var.token_keys_version}:${made.random_password}"]
  old_token_keys  = flatten([for old in ephemeral.aws_secretsmanager_secret_version.token_keys : split(",", old.secret_string)])
  kept_token_keys = slice(local.old_token_keys, 0, min(2, length(local.old_token_keys)))
}

resource "aws_secretsmanager_secret" "token_keys" {
  count = var.make_token_keys ? 1 : 0

  name                    = local.token_keys
  description             = "Keys that sign the tokens of pushpool's runs, the first one signing."
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

# The value is write-only: neither state nor plan has it.
resource "aws_secretsmanager_secret_version" "token_keys" {
  count = var.make_token_keys ? 1 : 0

  secret_id                = aws_secretsmanager_secret.token_keys[0].id
  secret_string_wo         = var.token_keys != null ? var.token_keys : join(",", concat(local.new_token_keys, local.kept_token_keys))
  secret_string_wo_version = var.token_keys_version
}

resource "aws_secretsmanager_secret" "modal_token" {
  count = var.make_modal_token ? 1 : 0

  name                    = "${var.name}/modal-token"
  description             = "Token with which pushpool calls Modal."
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

resource "aws_secretsmanager_secret_version" "modal_token" {
  count = var.make_modal_token && var.modal_token_version > 0 ? 1 : 0

  secret_id                = aws_secretsmanager_secret.modal_token[0].id
  secret_string_wo         = jsonencode(var.modal_token)
  secret_string_wo_version = var.modal_token_version
}
