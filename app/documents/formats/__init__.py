"""One module per format: bytes in, text out. Loaded in the child process and nowhere else."""
