"""Sessions on disk: written at once and always, opened again, never by two processes at a time."""
