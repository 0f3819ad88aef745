"""What the functions of `app` do, a module each; Chalice packs this folder beside it."""
