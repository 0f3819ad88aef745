resource "aws_apigatewayv2_api" "this" {
  name                         = var.name
  description                  = "pushpool's HTTP API"
  protocol_type                = "HTTP"
  disable_execute_api_endpoint = false
}

resource "aws_apigatewayv2_integration" "this" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.this["api"].invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

# Who may do what is decided by the function: API keys with scopes, and run tokens.
resource "aws_apigatewayv2_route" "default" {
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = "$default"
  target             = "integrations/${aws_apigatewayv2_integration.this.id}"
  authorization_type = "NONE"
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.api.requests_per_second
    throttling_burst_limit = var.api.request_burst
  }

  # `path` is without the query, in which somebody may have put what is not for a log.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      time        = "$context.requestTime"
      requestId   = "$context.requestId"
      sourceIp    = "$context.identity.sourceIp"
      method      = "$context.httpMethod"
      path        = "$context.path"
      status      = "$context.status"
      bytes       = "$context.responseLength"
      latency     = "$context.responseLatency"
      integration = "$context.integrationErrorMessage"
    })
  }
}

# Under this prefix API Gateway needs no resource policy that grows with each log group.
resource "aws_cloudwatch_log_group" "access" {
  name              = "/aws/vendedlogs/${var.name}-access"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_lambda_permission" "api" {
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["api"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*"
}
