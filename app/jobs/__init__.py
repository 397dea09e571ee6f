"""The life of a job, whatever its kind: from submission to its last result row."""
