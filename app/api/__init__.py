"""HTTP in, HTTP out: parse, call, render. One file per dialect, and what they share."""
