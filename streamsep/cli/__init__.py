"""What a person types: one module a command, assembled in `main`."""
