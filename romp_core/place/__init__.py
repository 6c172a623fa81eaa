"""Where people stand, in metres: from pixels alone, and from measured depth."""
