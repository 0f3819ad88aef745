"""Where runs, pools and deployments are kept: one module a database."""
