"""What the control socket's commands do, one module a family. `mox.cli` has the other side."""
