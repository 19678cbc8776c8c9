"""The audio side: what runs once per hop, against a deadline. NumPy and our own arrays and errors, nothing else."""
