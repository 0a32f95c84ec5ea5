"""Schema of the queue, in numbered files."""
