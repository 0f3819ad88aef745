"""Everything that may import a cloud's SDK: one module a cloud, none of which knows another."""
