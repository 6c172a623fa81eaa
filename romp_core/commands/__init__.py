"""The functions behind the `romp-core` command, one module per command."""
