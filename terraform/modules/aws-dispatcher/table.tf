# Keys, index and what it projects are those of adapters/stores/dynamodb/table.py.
resource "aws_dynamodb_table" "this" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = var.table.deletion_protection

  dynamic "attribute" {
    for_each = toset(["pk", "sk", "due_pk", "due_sk"])

    content {
      name = attribute.value
      type = "S"
    }
  }

  global_secondary_index {
    name            = "due"
    hash_key        = "due_pk"
    range_key       = "due_sk"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    attribute_name = "expires"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.table.point_in_time_recovery
  }

  # DynamoDB always encrypts; without a key of one's own, with a key of its own.
  dynamic "server_side_encryption" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value
    }
  }
}
