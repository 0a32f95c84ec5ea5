"""See docs/interfaces.md and DESIGN section 2 for what belongs in mox.reports."""
